"""A whole it0 inside the test's own process, with a scripted shell, on a fresh database."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fakes.shell import ScriptedShell
from support.store import AUDIT_KEY, Store, add_user

from agent.engine import Engine
from agent.fleet.forms import NewServer
from bot.process.running import running
from bot.wiring import App, Parts, build
from core.ids import new_id
from core.messages import Accepted, Address, Body, Click, Inbound, Sender, Text
from core.settings import Settings
from core.store import log, people
from core.store.database import Database, Row
from core.tenant import Tenant, console_installation
from core.vault import new_key
from core.work import User

VAULT_KEY = new_key()


@dataclass
class Place:
    """A built process with an admin, a server called ``web``, and a shell that never leaves the test."""

    app: App
    store: Store
    tenant: Tenant
    shell: ScriptedShell
    ann: User

    async def send(
        self, body: Body | str, thread: str = "here", user: User | None = None, event_id: str = ""
    ) -> Accepted:
        """Send something as a page does."""
        address = Address("console", console_installation(self.tenant.id), thread)
        sender = Sender((user or self.ann).id, "192.0.2.7")
        content = Text(body) if isinstance(body, str) else body
        inbound = Inbound(address, event_id or new_id(), content, sender)
        accepted = await self.app.front(inbound, self.app.channels["console"].reply_to(address))
        assert accepted is not None
        return accepted

    async def click(self, button: str, thread: str, user: User) -> Accepted:
        """Press a button."""
        return await self.send(Click(button), thread, user)

    async def seal(self, name: str, secret: bytes) -> None:
        """Put a password into the vault."""
        await self.app.fleet.credentials.add(self.tenant, self.ann, name, "ssh_password", secret)

    async def events(self, accepted: Accepted) -> list[Row]:
        """Return what stands in the conversation after an accepted message."""
        async with self.tenant.reading() as db:
            return await log.events_after(db, accepted.conversation_id, accepted.seq)

    async def words(self, accepted: Accepted, kind: str = "reply") -> list[list[Any]]:
        """Return the parts of each reply after a message: texts, and the keys of sentences."""
        rows = [row for row in await self.events(accepted) if row["kind"] == kind]
        return [[p if isinstance(p, str) else p.get("say", p) for p in row["body"]["parts"]] for row in rows]

    async def replies(self, accepted: Accepted, count: int = 1) -> list[list[Any]]:
        """Wait for ``count`` replies after a message, and return them."""

        async def enough() -> list[list[Any]]:
            found = await self.words(accepted)
            return found if len(found) >= count else []

        return await until(enough)

    async def open_work(self) -> list[str]:
        """Return the states of whatever was accepted and is not done."""
        rows = await self.store.as_owner("SELECT state FROM it0_shared.inbox WHERE state <> 'done'")
        return [row["state"] for row in rows]


async def until(look: Callable[[], Awaitable[Any]], timeout_s: float = 30) -> Any:
    """Look until there is something, and return it."""
    deadline = time.monotonic() + timeout_s
    while not (found := await look()):
        assert time.monotonic() < deadline, f"not seen within {timeout_s} s"
        await asyncio.sleep(0.01)
    return found


def settings_for(store: Store, **values: Any) -> Settings:
    """Return settings with short beats; ``values`` are not checked."""
    settings = Settings(
        vault_master_key=VAULT_KEY,  # type: ignore[arg-type]
        audit_key=base64.b64encode(AUDIT_KEY).decode(),  # type: ignore[arg-type]
        it0_http_port=0,
    )
    quick = {"heartbeat_s": 0.1, "dead_after_s": 1.0, "sweep_s": 0.1, "stop_grace_s": 0.1}
    return settings.model_copy(update={**quick, **values})


@asynccontextmanager
async def built(
    store: Store,
    *engines: Engine,
    shell: ScriptedShell | None = None,
    database: type[Database] = Database,
    **values: Any,
) -> AsyncIterator[Place]:
    """Yield a process that is built and takes messages, but looks for no work of others."""
    hands = shell or ScriptedShell()
    parts = Parts(shell=hands, engines={engine.name: engine for engine in engines}, database=database)
    default = {"it0_engine": engines[0].name} if engines else {}
    settings = settings_for(store, **{**default, **values})
    async with build(settings, store.app_url, None, "up", parts) as app:
        tenant = await app.tenants.by_slug("first")
        known = {user.name: user for user in await _users(tenant)}
        ann = known.get("ann") or await add_user(tenant, store.clock, "ann")
        if not await app.fleet.servers(tenant):
            await app.fleet.add_server(tenant, ann, NewServer("web", connection="local"))
        yield Place(app, store, tenant, hands, ann)


@asynccontextmanager
async def at_work(store: Store, *engines: Engine, **values: Any) -> AsyncIterator[Place]:
    """Yield a process that runs."""
    async with (
        built(store, *engines, **values) as place,
        running(place.app, serves=False, works=True, alone=False),
    ):
        yield place


async def _users(tenant: Tenant) -> list[User]:
    async with tenant.reading() as db:
        return await people.users(db)
