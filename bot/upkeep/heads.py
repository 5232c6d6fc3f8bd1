"""The audit chains' heads, kept in files outside the database, so that a cut-off end is seen."""

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import structlog

from core.audit import Head
from core.tenant import Tenant

logger = structlog.get_logger()


class Heads:
    """One file a tenant, a line for each head. folder: made with mode 0700."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def write(self, tenants: Sequence[Tenant], at: datetime) -> None:
        """Append each tenant's head, where it has moved."""
        for tenant in tenants:
            head = await tenant.audit.head()
            if head is not None:
                await asyncio.to_thread(self._append, tenant.id, head, at)

    def read(self, tenant_id: str) -> list[Head]:
        """Return the heads that were kept, the oldest first."""
        path = self._folder / f"{tenant_id}.heads"
        if not path.exists():
            return []
        found = []
        for line in filter(str.strip, path.read_text().splitlines()):
            try:
                raw = json.loads(line)
                found.append(Head(raw["seq"], raw["hash"]))
            except (ValueError, KeyError, TypeError):  # cut short by a full disk
                logger.warning("audit_head_unreadable", path=str(path))
        return found

    def _append(self, tenant_id: str, head: Head, at: datetime) -> None:
        kept = self.read(tenant_id)
        if kept and kept[-1] == head:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = json.dumps({"at": at.isoformat(), "seq": head.seq, "hash": head.hash})
        path = self._folder / f"{tenant_id}.heads"
        if path.exists() and not path.read_bytes().endswith(b"\n"):
            line = "\n" + line
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(path, flags, 0o600)
        with os.fdopen(descriptor, "a") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
