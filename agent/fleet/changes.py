"""What every change of the fleet begins and ends with: who may make it, and its row in the audit."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from core.audit import Entry
from core.errors import NotAllowed
from core.store.database import Transaction
from core.tenant import Tenant
from core.work import Role, User


def admins_only(by: User) -> None:
    """Raise NotAllowed unless ``by`` is an admin."""
    if not by.role.covers(Role.ADMIN):
        raise NotAllowed("error.admins_only")


async def note(
    tx: Transaction,
    tenant: Tenant,
    at: datetime,
    action: str,
    by: User | None,
    kind: str,
    ref: str,
    detail: Mapping[str, Any],
) -> None:
    """Audit a change within its own transaction, last: it holds the chain's lock.

    by: None for what the system does of itself; kind and ref: what was changed.
    """
    actor: Literal["user", "system"] = "user" if by else "system"
    entry = Entry(action, actor, by.id if by else None, None, kind, ref, detail=detail)
    await tenant.audit.append_in(tx, entry, at)
