"""The workers of a process: they take accepted work, see it to its end, and take over from dead processes."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from agent.context import Work
from bot.inbound.front import Arrived
from bot.inbound.shares import Shares
from core.errors import Fenced, It0Error, StoreUnavailable
from core.messages import Address, Progress
from core.ports import Bus, Channel
from core.store import inbox, log, preferences, processes
from core.store.database import Database, Row, Transaction
from core.store.inbox import Taken
from core.store.lost import Lost
from core.store.openings import Opening
from core.tenant import Tenants
from core.texts import say
from core.work import Role, User

logger = structlog.get_logger()

CONTROL_TOPIC = "control"
BATCH = 50
NOBODY = User("", "it0", Role.VIEWER, "en", active=False)
"""Whose work is until its user is read, and stays where an event has none: it0's own carry their rights."""

Handle = Callable[[Work, Mapping[str, Any]], Awaitable[None]]
"""Sees one piece of work to its end; takes the event's row."""


class Workers:
    """Runs the handler for everything that this process has taken.

    shares: of turns; acts_at_once: approved commands, which have places of their own.
    set_aside: tells people of a message whose handling died with its process too often.
    handle: raises Fenced when the work went to another process, StoreUnavailable to be called again.
    """

    def __init__(
        self,
        me: str,
        role: str,
        database: Database,
        tenants: Tenants,
        channels: Mapping[str, Channel],
        bus: Bus,
        handle: Handle,
        set_aside: Callable[[Row], Awaitable[None]],
        *,
        shares: Shares,
        acts_at_once: int,
        heartbeat_s: float,
        dead_after_s: float,
        sweep_s: float,
    ) -> None:
        self._me = me
        self._role = role
        self._database = database
        self._tenants = tenants
        self._channels = channels
        self._bus = bus
        self._handle = handle
        self._set_aside = set_aside
        self._shares = shares
        self._acts = asyncio.Semaphore(acts_at_once)
        self._heartbeat_s = heartbeat_s
        self._dead_after_s = dead_after_s
        self._sweep_s = sweep_s
        self._running: dict[asyncio.Task[None], Work | None] = {}
        self._held: set[int] = set()
        self._lost = Lost()
        self._halts: dict[str, datetime] = {}
        self._wake = asyncio.Event()
        self._stopping = False

    async def enter(self, alone: bool) -> None:
        """Write the heartbeat row. alone: no other process can be alive, so their work is free at once."""
        async with self._database.transaction() as tx:
            if alone:
                await tx.run(processes.BURY_OTHERS, me=self._me)
            await processes.enter(tx, self._me, self._role, socket.gethostname(), os.getpid())

    async def leave(self) -> None:
        """Remove the heartbeat row: what this process still holds may be taken over at once."""
        async with self._database.transaction() as tx:
            await tx.run(processes.LEAVE, me=self._me)

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    def start(self, arrived: Arrived) -> Callable[[], object]:
        """Take on work that was just accepted; return what gives it up again, without a word."""
        return self._spawn(arrived.taken, arrived).cancel

    @property
    def load(self) -> int:
        """Return how many pieces of work are under way."""
        return len(self._running)

    def stop_where(self, tenant_id: str, conversation_id: str | None = None) -> int:
        """Stop the turns and acts of a conversation, or of a whole tenant; return how many."""
        stopped = 0
        for task, work in tuple(self._running.items()):
            if work is None or work.tenant.id != tenant_id or work.is_control or work.closing.is_set():
                continue
            if work.stopping.is_set():
                continue  # it is on its way out; another cancellation would hit the writing of its end
            if conversation_id in (None, work.conversation_id):
                work.stopping.set()
                task.cancel()
                stopped += 1
        return stopped

    async def run(self) -> None:
        """Beat, claim and take over until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            group.create_task(self._claim())
            group.create_task(self._listen())

    async def drain(self, grace_s: float) -> None:
        """Take nothing new, wait for what runs, and leave the rest to whoever comes after."""
        self._stopping = True
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=grace_s)

    async def abandon(self) -> None:
        """Cancel what still runs, without stopping it on the servers."""
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, taken: Taken, arrived: Arrived | None) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._work(taken, arrived))
        self._running[task] = None
        self._held.add(taken.id)

        def ended(done: asyncio.Task[None]) -> None:
            self._running.pop(done, None)
            self._held.discard(taken.id)

        task.add_done_callback(ended)
        return task

    async def _work(self, taken: Taken, arrived: Arrived | None) -> None:
        structlog.contextvars.bind_contextvars(
            tenant=taken.tenant_id, conversation=taken.conversation_id, seq=taken.seq
        )
        stopping = asyncio.Event()
        if taken.stop:
            stopping.set()
        pause_s = 0.0
        while True:
            try:
                await asyncio.sleep(pause_s)
                await self._once(taken, arrived, stopping)
                return
            except asyncio.CancelledError:
                if not stopping.is_set():
                    raise
                _uncancel()  # stopped before its handler could write an end: that is written now
                pause_s = 0.0
            except Fenced:
                await logger.awarning("work_taken_over")
                return
            except StoreUnavailable as error:
                await logger.awarning("store_unavailable", reason=str(error))
                pause_s = min(5.0, pause_s * 2 or 0.2)
            except Exception:
                await logger.aexception("work_failed", attempts=taken.attempts)
                if taken.attempts >= processes.MAX_ATTEMPTS:
                    return await self._give_up(taken)
                pause_s = min(5.0, pause_s * 2 or 0.2)
            taken = replace(taken, attempts=taken.attempts + 1)

    async def _give_up(self, taken: Taken) -> None:
        """Set work aside that cannot be seen to its end, and let its lane go."""
        async with self._database.transaction() as tx:
            row = await inbox.give_up(tx, taken, self._me)
        if row is not None:
            await self._set_aside(row)
            self.wake()

    async def _once(self, taken: Taken, arrived: Arrived | None, stopping: asyncio.Event) -> None:
        tenant = arrived.tenant if arrived else await self._tenants.by_id(taken.tenant_id)
        if arrived:
            event, address = arrived.event, arrived.event["address"]
        else:
            async with tenant.reading() as db:
                event, address = await _load(db, taken)
        reply = self._channels[address.channel].reply_to(address)
        turn_id = event["turn_id"] or ""
        live = reply.live(tenant.id, taken.conversation_id, turn_id)
        is_control = not taken.laned and event["kind"] != "act"
        opening = arrived.opening if arrived else Opening()
        work = Work(tenant, taken, NOBODY, address, turn_id, live, is_control, stopping, opening)
        task = asyncio.current_task()
        if task is not None:
            self._running[task] = work
        structlog.contextvars.bind_contextvars(turn=turn_id)
        try:
            if taken.laned and self._shares.is_full(tenant.id, event["user_id"] or ""):
                await live.update(Progress("state", say("message.queued").as_json()))
            async with self._place(work, event):
                await self._handle(work, event)
        finally:
            await live.close()

    def _place(self, work: Work, event: Mapping[str, Any]) -> AbstractAsyncContextManager[object]:
        """Return what to wait for before the work begins: what was approved never waits for turns."""
        if work.is_control:
            return nullcontext()
        # What goes on after an approval is nobody's: conversations share it, not all of a tenant's people.
        whose = event["user_id"] or work.conversation_id
        return self._acts if event["kind"] == "act" else self._shares.one(work.tenant.id, whose)

    async def _beat(self) -> None:
        while True:
            try:
                await self._beat_once()
            except StoreUnavailable:
                await logger.awarning("heartbeat_missed")
            await asyncio.sleep(self._heartbeat_s)

    async def _beat_once(self) -> None:
        async with self._database.transaction() as tx:
            if not await tx.run(processes.BEAT, me=self._me):
                await processes.enter(tx, self._me, self._role, socket.gethostname(), os.getpid())
            freed = await processes.reclaim(tx, self._me, self._dead_after_s)
            mine = [row["id"] for row in await tx.all(processes.MINE, me=self._me)]
            if lost := self._lost.among(mine, self._held):
                freed += await processes.let_go(tx, self._me, lost)
            asked = await tx.all(inbox.STOPPED_OF_MINE, me=self._me)
        for row in asked:
            self.stop_where(row["tenant_id"], row["conversation_id"])
        await self._stop_halted()
        for row in freed:
            if row["state"] == "set_aside":
                await self._set_aside(row)
        if freed:
            await logger.awarning("work_reclaimed", count=len(freed))
            self.wake()

    async def _stop_halted(self) -> None:
        """Stop what runs for a tenant that was halted, also when nobody could tell this process so."""
        busy = {
            work.tenant.id: work.tenant for work in self._running.values() if work and not work.is_control
        }
        for tenant in busy.values():
            async with tenant.reading() as db:
                halted_at = await preferences.halted_at(db)
            if halted_at and self._halts.get(tenant.id) != halted_at:
                self._halts[tenant.id] = halted_at
                self.stop_where(tenant.id)

    async def _claim(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._sweep_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if self._stopping:
                continue
            try:
                async with self._database.transaction() as tx:
                    taken = await inbox.claim(tx, self._me, BATCH)
            except StoreUnavailable:
                await logger.awarning("claim_missed")
                continue
            for each in taken:
                self._spawn(each, None)
            if len(taken) == BATCH:
                self._wake.set()

    async def _listen(self) -> None:
        async for message in self._bus.subscribe(CONTROL_TOPIC):
            match message:
                case {"stop": [tenant_id, conversation_id]}:
                    self.stop_where(tenant_id, conversation_id)
                case {"halt": tenant_id}:
                    self.stop_where(tenant_id)
                case {"tenant": tenant_id}:
                    self._tenants.forget(tenant_id)
                case {"wake": _}:
                    self.wake()
                case _:
                    pass


async def _load(db: Transaction, taken: Taken) -> tuple[dict[str, Any], Address]:
    row = await log.conversation(db, taken.conversation_id)
    event = await log.event_at(db, taken.conversation_id, taken.seq)
    event_id = await db.value(inbox.EVENT_ID, id=taken.id)
    if row is None or event is None:
        raise It0Error("error.internal")
    return {**dict(event), "ip": None, "event_id": event_id}, log.address_of(row)


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
