"""Tenants on shared connections: nothing of one is ever read, written or shown by another (N5, F20)."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from fakes.shell import ScriptedShell
from support.store import Cluster, Store, add_user, fresh_store

from agent.fleet.forms import NewServer
from agent.fleet.servers import Fleet
from core.audit import Entry
from core.errors import StoreUnavailable
from core.ids import new_id
from core.messages import Address
from core.ports import Target
from core.store import approvals, arrivals, fleet, log, outbox, people, preferences, runs, talks, turns
from core.store.log import Event
from core.store.runs import Run
from core.store.turns import Turn
from core.tenant import Tenant, console_installation
from core.work import Action, Approval, Risk, RunTarget, User

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILZ7RY1W8yZq1Zx0h5gkVHkQzQ3T0lXn5rjQ2mB9kq5o"
CANARY = re.compile(r"canary-([a-z0-9]+)-end")


class Reached(ScriptedShell):
    """A shell that reaches any host."""

    async def host_key(self, target: Target) -> str:
        """Return the key that they all show."""
        return HOST_KEY


class Life:
    """What goes on in a tenant; each word that it writes is its canary."""

    def __init__(self, store: Store, tenant: Tenant, admin: User, dice: random.Random) -> None:
        self.store, self.tenant, self.admin, self.dice = store, tenant, admin, dice
        self.word = f"canary-{tenant.id}-end"
        self.hands = Fleet(Reached(), store.clock)
        self.seen = 0
        self.writes: Sequence[Callable[[], Awaitable[Any]]] = [
            self.talk, self.person, self.secret, self.server, self.wish, self.run, self.audit, self.turn,
            self.ask,
        ]  # fmt: skip
        self.reads: Sequence[Callable[[], Awaitable[Any]]] = [
            self.conversations, self.persons, self.secrets, self.servers, self.wishes, self.ran, self.audited,
            self.asked, self.deliver,
        ]  # fmt: skip

    async def go_on(self) -> None:
        """Do one thing, and look at everything that it shows."""
        work = self.dice.choice([*self.writes, *self.reads])
        self.look(await work())

    def look(self, shown: Any) -> None:
        """Fail if another tenant's canary shows."""
        found = set(CANARY.findall(repr(shown)))
        assert found <= {self.tenant.id}, f"{self.tenant.id} sees {found}"
        self.seen += bool(found)

    async def conversation(self) -> str:
        """Return the one conversation, made where it is missing; every tenant's has the same thread."""
        async with self.tenant.transaction() as tx:
            address = Address("console", "same", "same")
            return await log.open_conversation(
                tx, f"id-{self.word}", address, self.admin.id, self.store.clock(), self.word
            )

    async def talk(self) -> Any:
        conversation = await self.conversation()
        async with self.tenant.transaction() as tx:
            event = Event("said", {"text": self.word}, "same-turn", self.admin.id)
            seq = await log.append(tx, conversation, [event], self.store.clock())
            place = Address("console", console_installation(self.tenant.id), "same")
            arrival = arrivals.Arrival(
                self.tenant.id, place.installation_id, new_id(), conversation, seq, True
            )
            await arrivals.post(tx, arrival)
            await outbox.put(tx, "gone", self.tenant.id, place, conversation, seq, event.body)
        return seq

    async def conversations(self) -> Any:
        conversation = await self.conversation()
        async with self.tenant.reading() as db:
            return (
                await log.events_after(db, conversation, 0),
                await log.events_before(db, conversation, 2**40),
                await log.steps_of(db, "same-turn"),
                await talks.listed(db, self.admin.id, (), "", 100),
            )

    async def person(self) -> Any:
        return await add_user(self.tenant, self.store.clock, f"{self.word}{new_id()}")

    async def persons(self) -> Any:
        async with self.tenant.reading() as db:
            return await people.users(db), await people.user_named(db, "same"), await db.value(people.COUNT)

    async def secret(self) -> Any:
        name, secret = f"s{new_id()}", f"secret {self.word}".encode()
        await self.hands.credentials.add(self.tenant, self.admin, name, "ssh_password", secret)
        return name

    async def secrets(self) -> Any:
        opened = await self.hands.credentials.secrets(self.tenant)
        async with self.tenant.reading() as db:
            return opened, await db.all(fleet.CREDENTIALS)

    async def server(self) -> Any:
        secret, host = await self.secret(), f"{self.word}.example"
        new = NewServer(f"n{new_id()}", host, user="it0", credential=secret, description=self.word)
        return await self.hands.add_server(self.tenant, self.admin, new)

    async def servers(self) -> Any:
        found = await self.hands.servers(self.tenant)
        async with self.tenant.reading() as db:
            return found, await fleet.servers_by_id(db, [server.id for server in found])

    async def wish(self) -> Any:
        async with self.tenant.transaction() as tx:
            await preferences.put(tx, "halted_by", self.word, self.store.clock(), None)

    async def wishes(self) -> Any:
        async with self.tenant.reading() as db:
            return await preferences.load(db)

    async def run(self) -> Any:
        run_id = new_id()
        async with self.tenant.transaction() as tx:
            servers = (("same", self.word),)
            run = Run(run_id, "same", "same", None, self.word, Risk.L0, servers, self.admin.id, None)
            assert await runs.start(tx, run, "me", self.store.clock())
        async with self.tenant.transaction() as tx:
            done = RunTarget("same", self.word, "done", 0, 1, self.word, "")
            assert await runs.end(tx, run_id, "me", [done], self.store.clock())
            return await runs.get(tx, run_id)

    async def ran(self) -> Any:
        async with self.tenant.reading() as db:
            return await db.all(runs.NEWEST, count=500), await db.value(runs.RUNNING)

    async def turn(self) -> Any:
        async with self.tenant.transaction() as tx:
            at = self.store.clock()
            await turns.write(tx, Turn("same-turn", self.word, None, self.word, "running", at))
            return await turns.get(tx, "same-turn")

    async def audit(self) -> Any:
        detail = {"word": self.word}
        return await self.tenant.audit.append(Entry("test", "system", detail=detail), self.store.clock())

    async def audited(self) -> Any:
        return await self.tenant.audit.page()

    async def ask(self) -> Any:
        key, at = new_id(), self.store.clock()
        action = Action("run", self.word, ("same",), (self.word,), ("same",))
        wants = ("same", key, 0, action, self.word, "same", Risk.L2, (), self.word, "", self.admin.id)
        end = at + timedelta(hours=1)
        request = Approval(key, self.word, *wants, 1, 0, False, "pending", created_at=at, expires_at=end)
        async with self.tenant.transaction() as tx:
            assert await approvals.ask(tx, request)
            return await approvals.get(tx, key)

    async def asked(self) -> Any:
        async with self.tenant.reading() as db:
            return (await approvals.page_of(db))[0], (await approvals.page_of(db, "pending"))[0]

    async def deliver(self) -> None:
        """Deliver what is due, whoever's it is: each parcel must hold its own tenant's words."""
        async with self.store.database.transaction() as tx:
            await tx.run(outbox.RECLAIM)
            parcels = await outbox.claim(tx, "me", 5)
        for parcel in parcels:
            tenant = await self.store.tenants.by_id(parcel.tenant_id)
            async with tenant.reading() as db:
                place = await log.conversation(db, parcel.conversation_id)
                event = await log.event_at(db, parcel.conversation_id, parcel.seq)
                await outbox.sent(db, "me", parcel, [])
            assert set(CANARY.findall(repr((place, event)))) == {parcel.tenant_id}


async def lives(store: Store, tenants: Sequence[Tenant], dice: random.Random) -> list[Life]:
    """Return the tenants at work, with users of the same names."""
    return [Life(store, each, await add_user(each, store.clock, "same"), dice) for each in tenants]


async def until_stored(work: Callable[[], Awaitable[Any]]) -> None:
    """Do it again until no dead connection is left in the pool."""
    for _ in range(10):
        try:
            await work()
            return
        except StoreUnavailable:
            await asyncio.sleep(0.05)
    raise AssertionError("never stored")


async def nothing_leaked(store: Store, tenants: Sequence[Tenant]) -> None:
    """Look as the owner at every row of every table."""
    async with store.connection() as owner:
        for tenant in tenants:
            lines = " ".join([line async for line in lines_of(owner, tenant.schema)])
            assert set(CANARY.findall(lines)) == {tenant.id}
            assert (await tenant.audit.verify([]))[1] == []
        async for line in lines_of(owner, "it0_shared"):
            assert set(CANARY.findall(line)) <= {json.loads(line).get("tenant_id")}


async def lines_of(owner: "asyncpg.Connection[asyncpg.Record]", schema: str) -> AsyncIterator[str]:
    """Yield every row of a schema as JSON."""
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
    for table in tables:
        for row in await owner.fetch(f'SELECT to_jsonb(t)::text FROM {schema}."{table[0]}" t'):
            yield row[0]


@pytest.mark.parametrize("at_once", [1, 8])
async def test_two_tenants_in_turns_on_one_connection_see_nothing_of_each_other(
    cluster: Cluster, at_once: int
) -> None:
    async with fresh_store(cluster, size=1) as store:
        both = [await store.first(), await store.second()]
        at_work = await lives(store, both, random.Random(5))
        for number in range(0, 500, at_once):
            await asyncio.gather(*(at_work[(number + n) % 2].go_on() for n in range(at_once)))
        assert all(life.seen > 20 for life in at_work)
        await nothing_leaked(store, both)


async def at_random(cluster: Cluster, count: int, rounds: int) -> None:
    """Let ``count`` tenants do anything in any order over three connections, which die again and again."""
    dice = random.Random(50)
    async with fresh_store(cluster, size=3) as store:
        for number in range(count - 2):
            await store.make_tenant(f"t{number}", id=f"many{number}")
        tenants = await store.tenants.all()
        assert len(tenants) == count
        at_work = await lives(store, tenants, dice)
        lost = 0

        async def some_rounds(mine: Sequence[Life]) -> None:
            nonlocal lost
            for _ in range(rounds):
                try:
                    await dice.choice(mine).go_on()
                except StoreUnavailable:
                    lost += 1

        kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'it0_app' \
                 AND datname = '{store.name}' ORDER BY random() LIMIT 1"
        busy = asyncio.gather(*(some_rounds(at_work) for _ in range(8)))
        while not busy.done():
            await asyncio.sleep(0.05)
            await cluster.superuser(kill)
        await busy
        for life in at_work:
            await until_stored(life.audit)
        seen = sum(life.seen for life in at_work)
        print(f"{count} tenants, {8 * rounds} acts, {lost} lost to dead connections, {seen} showed a canary")
        assert lost > 0
        assert seen > rounds
        await nothing_leaked(store, tenants)


async def test_ten_tenants_at_random_see_nothing_of_each_other_while_connections_die(
    cluster: Cluster,
) -> None:
    await at_random(cluster, 10, 60)


@pytest.mark.long
async def test_fifty_tenants_at_random_see_nothing_of_each_other_while_connections_die(
    cluster: Cluster,
) -> None:
    await at_random(cluster, 50, 2000)
