"""How it0 itself is: what ``/readyz``, ``it0 doctor`` and ``/doctor`` show."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.engine import Engine
from bot import metrics
from bot.catalogue import Catalogue
from core.errors import It0Error
from core.messages import Part
from core.settings import Settings
from core.store import inbox, outbox
from core.store.database import Database
from core.tenant import Tenants
from core.texts import Say, say

DISK_LOW_BYTES = 500_000_000
WATCH_S = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. state: ok, warning or failed; words: what, and what to do."""

    name: str
    state: Literal["ok", "warning", "failed"]
    words: Say

    def as_json(self, texts: Catalogue) -> dict[str, str]:
        """Return the form of ``it0 doctor --json``."""
        return {"name": self.name, "state": self.state, "message": texts(self.words, "en")}


class Doctor:
    """Looks at the parts that it0 stands on."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        tenants: Tenants,
        texts: Catalogue,
        engines: Mapping[str, Engine],
    ) -> None:
        self._settings = settings
        self._database = database
        self._tenants = tenants
        self._texts = texts
        self._engines = engines
        self._seen = 0.0

    async def findings(self) -> Sequence[Finding]:
        """Return everything that was looked at."""
        found = [await self._store(), await self._roles(), self._disk()]
        found += [await self._queues()]
        for name, engine in self._engines.items():
            trouble = await engine.health()
            found.append(
                Finding(f"engine {name}", "warning", trouble)
                if trouble
                else Finding(f"engine {name}", "ok", say("doctor.engine_ok", engine=name))
            )
        if not self._settings.url.startswith("https:") and self._settings.it0_http_host not in (
            "127.0.0.1",
            "localhost",
            "::1",
        ):
            found.append(Finding("https", "warning", say("doctor.no_https", url=self._settings.url)))
        return found

    async def say(self) -> Sequence[Part]:
        """Return the report as lines for a chat."""
        marks = {"ok": "✓", "warning": "!", "failed": "✗"}
        parts: list[Part] = []
        for finding in await self.findings():
            line = {"mark": marks[finding.state], "name": finding.name}
            parts.append(say("doctor.line", **line, words=finding.words))
        return parts

    async def ready(self) -> Mapping[str, Any]:
        """Return whether work can be taken, and by which parts."""
        store = await self._store()
        alive = self._seen == 0.0 or time.monotonic() - self._seen < 3 * WATCH_S
        report = {"ready": store.state == "ok" and alive, "store": store.state, "loops": alive}
        return {**report, "channels": {"console": "ok"}}

    async def watch(self) -> None:
        """Keep the figures of the queues fresh until cancelled."""
        while True:
            self._seen = time.monotonic()
            with contextlib.suppress(It0Error):
                await self._measure()
            await asyncio.sleep(WATCH_S)

    async def _measure(self) -> None:
        async with self._database.reading() as db:
            for name, statement in (("inbox", inbox.DEPTH), ("outbox", outbox.DEPTH)):
                rows = {row[0]: row[1] for row in await db.all(statement)}
                for state in ("new", "taken", "set_aside"):
                    metrics.QUEUE.labels(name, state).set(rows.get(state, 0))
        metrics.HEARTBEAT.set_to_current_time()

    async def _store(self) -> Finding:
        try:
            async with asyncio.timeout(5):
                tenants = await self._tenants.all()
        except (It0Error, TimeoutError) as error:
            words = error.say if isinstance(error, It0Error) else say("error.store_unavailable", reason="")
            return Finding("database", "failed", words)
        return Finding("database", "ok", say("doctor.store_ok", tenants=len(tenants)))

    async def _roles(self) -> Finding:
        settings = self._settings
        if settings.database_url and not settings.database_admin_url:
            return Finding("roles", "warning", say("doctor.one_role"))
        return Finding("roles", "ok", say("doctor.roles_ok"))

    def _disk(self) -> Finding:
        free = shutil.disk_usage(self._settings.home).free if self._settings.home.exists() else 0
        words = say("doctor.disk", free_mb=free // 1_000_000, home=str(self._settings.home))
        return Finding("disk", "ok" if free > DISK_LOW_BYTES else "warning", words)

    async def _queues(self) -> Finding:
        try:
            async with self._database.reading() as db:
                inbound = {row[0]: row[1] for row in await db.all(inbox.DEPTH)}
                outbound = {row[0]: row[1] for row in await db.all(outbox.DEPTH)}
        except It0Error as error:
            return Finding("queues", "failed", error.say)
        aside = inbound.get("set_aside", 0) + outbound.get("set_aside", 0)
        words = say(
            "doctor.queues", waiting=inbound.get("new", 0), unsent=outbound.get("new", 0), aside=aside
        )
        return Finding("queues", "warning" if aside else "ok", words)
