"""How it0 itself is: what ``/readyz``, ``it0 doctor`` and ``/doctor`` show."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from agent.engine import Engine
from bot.embedded import valkey
from bot.texts.catalogue import Catalogue
from bot.texts.visible import listed
from bot.upkeep.heads import Heads
from bot.web import metrics
from core.audit import PAGE
from core.errors import It0Error, VaultError
from core.messages import Part
from core.settings import Settings
from core.store import fleet, inbox, outbox
from core.store.database import Database, Row
from core.tenant import Tenant, Tenants
from core.texts import Say, say
from core.vault import Place
from core.work import Server

DISK_LOW_BYTES = 500_000_000
WATCH_S = 10.0
PATIENCE_S = 5.0
ELSEWHERE = "elsewhere"
NAMED = 5
"""So many servers or credentials are named; the others are counted."""


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
        bots: Callable[[], Mapping[str, str]],
        held: Callable[[], Awaitable[Mapping[str, bool]]],
    ) -> None:
        self._settings = settings
        self._database = database
        self._tenants = tenants
        self._texts = texts
        self._engines = engines
        self._bots = bots
        self._held = held
        self._seen = 0.0

    async def findings(self, of: Tenant | None = None) -> Sequence[Finding]:
        """Return everything that was looked at.

        of: whose servers and credentials are named, None for everybody's.
        """
        found = [await self._store(), await self._redis(), await self._roles(), self._disk()]
        found += [await self._queues()]
        if found[0].state != "failed":
            found += await self._tenants_things(of)
        for name, engine in self._engines.items():
            trouble = await engine.health()
            found.append(
                Finding(f"engine {name}", "warning", trouble)
                if trouble
                else Finding(f"engine {name}", "ok", say("doctor.engine_ok", engine=name))
            )
        if found[0].state != "failed":
            here = self._bots()
            held = await self._held()
            found += [_bot(name, here.get(name, ELSEWHERE if held[name] else "—")) for name in held]
        if not self._settings.url.startswith("https:") and self._settings.it0_http_host not in (
            "127.0.0.1",
            "localhost",
            "::1",
        ):
            found.append(Finding("https", "warning", say("doctor.no_https", url=self._settings.url)))
        return found

    async def say(self, of: Tenant) -> Sequence[Part]:
        """Return the report as lines for a chat of a tenant."""
        marks = {"ok": "✓", "warning": "!", "failed": "✗"}
        parts: list[Part] = []
        for finding in await self.findings(of):
            line = {"mark": marks[finding.state], "name": finding.name}
            parts.append(say("doctor.line", **line, words=finding.words))
        return parts

    async def ready(self) -> Mapping[str, Any]:
        """Return whether work can be taken, and by which parts."""
        store = await self._store()
        alive = self._seen == 0.0 or time.monotonic() - self._seen < 3 * WATCH_S
        report = {"ready": store.state == "ok" and alive, "store": store.state, "loops": alive}
        return {**report, "channels": {"console": "ok", **self._bots()}}

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
            async with asyncio.timeout(PATIENCE_S):
                tenants = await self._tenants.all()
        except (It0Error, TimeoutError) as error:
            words = error.say if isinstance(error, It0Error) else say("error.store_unavailable", reason="")
            return Finding("database", "failed", words)
        return Finding("database", "ok", say("doctor.store_ok", tenants=len(tenants)))

    async def _redis(self) -> Finding:
        """Look whether wake-ups and live output get from process to process."""
        given, home = self._settings.redis_url, self._settings.home
        if given is None and not (home / "valkey").exists():
            return Finding("redis", "ok", say("doctor.no_redis"))
        url = given.get_secret_value() if given else valkey.socket_url(home)
        try:
            async with asyncio.timeout(PATIENCE_S), Redis.from_url(url) as client:
                await client.ping()
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            if given is None and self._settings.database_url is not None:
                return Finding("redis", "ok", say("doctor.no_redis"))  # what an earlier `it0 up` left
            return Finding("redis", "warning", say("doctor.redis_gone", reason=type(error).__name__))
        return Finding("redis", "ok", say("doctor.redis_ok"))

    async def _tenants_things(self, of: Tenant | None) -> Sequence[Finding]:
        """Look at what tenants keep: their secrets, the heads of their audit logs, and their servers."""
        try:
            tenants = [of] if of else await self._tenants.all()
            kept = [await _kept(tenant) for tenant in tenants]
            return [_vault(kept), await self._heads(tenants), _logins(kept), _trust(kept)]
        except It0Error as error:
            return [Finding("tenants", "failed", error.say)]

    async def _heads(self, tenants: Sequence[Tenant]) -> Finding:
        """Look whether a tenant's audit log has grown for long without its head being kept elsewhere."""
        interval = timedelta(minutes=self._settings.audit_head_minutes)
        heads = Heads(self._settings.home / "audit")
        late: list[timedelta] = []
        for tenant in tenants:
            kept = await asyncio.to_thread(heads.read, tenant.id)
            async with tenant.reading() as db:
                row = await db.one(PAGE, first=kept[-1].seq + 1 if kept else 1, count=1)
            if row is not None and (age := datetime.now(UTC) - row["at"]) > 2 * interval:
                late.append(age)
        folder = str(self._settings.home / "audit")
        if not late:
            return Finding("audit heads", "ok", say("doctor.heads_ok", folder=folder))
        hours = round(max(late) / timedelta(hours=1), 1)
        words = say("doctor.heads_late", folder=folder, hours=hours, minutes=interval // timedelta(minutes=1))
        return Finding("audit heads", "warning", words)

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


@dataclass(frozen=True, slots=True)
class Kept:
    """A tenant with its servers, and its credentials that are not revoked."""

    tenant: Tenant
    servers: Sequence[Server]
    credentials: Sequence[Row]


async def _kept(tenant: Tenant) -> Kept:
    async with tenant.reading() as db:
        rows = await db.all(fleet.CREDENTIALS)
        return Kept(tenant, await fleet.servers(db), [row for row in rows if row["revoked_at"] is None])


def _names(kept: Sequence[Kept], found: Sequence[tuple[Tenant, str]]) -> Any:
    """Return names for a sentence, each with its tenant where there are several."""
    return listed([f"{t.row.slug}/{name}" if len(kept) > 1 else name for t, name in found], NAMED)


def _bot(name: str, state: str) -> Finding:
    """Return how a bot on a platform is."""
    if state in ("ok", ELSEWHERE):
        return Finding(name, "ok", say(f"doctor.telegram_{state}"))
    return Finding(name, "warning", say("doctor.telegram_trouble", reason=state))


def _vault(kept: Sequence[Kept]) -> Finding:
    """Open every secret."""
    shut = [(each.tenant, row["name"]) for each in kept for row in each.credentials if not _opens(each, row)]
    total = sum(len(each.credentials) for each in kept)
    if not shut:
        return Finding(
            "vault", "ok", say("doctor.vault_ok", total=total) if total else say("doctor.vault_empty")
        )
    words = say("doctor.vault_shut", count=len(shut), total=total, credentials=_names(kept, shut))
    return Finding("vault", "failed", words)


def _opens(kept: Kept, row: Row) -> bool:
    place = Place(kept.tenant.id, "credential", row["id"], "sealed", row["kind"])
    try:
        kept.tenant.vault.open(row["sealed"], place)
    except VaultError:
        return False
    return True


def _logins(kept: Sequence[Kept]) -> Finding:
    """Look for servers that nothing opens any more."""
    now, total = datetime.now(UTC), 0
    shut: list[tuple[Tenant, str]] = []
    for each in kept:
        usable = {row["id"] for row in each.credentials if fleet.credential_of(row).usable(now)}
        remote = [server for server in each.servers if server.connection == "ssh"]
        shut += [(each.tenant, server.name) for server in remote if server.credential_id not in usable]
        total += len(remote)
    if not shut:
        return Finding("logins", "ok", say("doctor.logins_ok", total=total))
    words = say("doctor.logins_dead", count=len(shut), servers=_names(kept, shut))
    return Finding("logins", "warning", words)


def _trust(kept: Sequence[Kept]) -> Finding:
    """Look for servers that wait for somebody to confirm their key."""
    open_ = [
        (each.tenant, s.name)
        for each in kept
        for s in each.servers
        if s.connection == "ssh" and not s.host_key
    ]
    if not open_:
        return Finding("host keys", "ok", say("doctor.trust_ok"))
    return Finding(
        "host keys", "warning", say("doctor.trust_waits", count=len(open_), servers=_names(kept, open_))
    )
