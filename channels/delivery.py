"""Delivery, once for all channels: the outbox's parcels to their platforms, in order, with patience."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from core.errors import Flooded, It0Error, NotFound, StoreUnavailable, Undeliverable
from core.messages import Sending
from core.ports import Bus, Channel
from core.store import log, outbox
from core.store.database import Database
from core.store.lost import Lost
from core.store.outbox import Parcel
from core.tenant import Tenants

logger = structlog.get_logger()

ATTEMPTS = 8
BATCH = 50
TOPIC = "outbox"
HERE = "console"
"""The channel of which each process delivers what it has written: there is no platform to be paced."""


class Delivery:
    """Hands parcels to channels and marks what was taken.

    me: this process's id; only parcels that it has taken are delivered.
    """

    def __init__(
        self,
        me: str,
        database: Database,
        tenants: Tenants,
        channels: Mapping[str, Channel],
        bus: Bus,
        sweep_s: float,
    ) -> None:
        self._me = me
        self._database = database
        self._tenants = tenants
        self._channels = channels
        self._bus = bus
        self._sweep_s = sweep_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: set[int] = set()
        self._lost = Lost()
        self._look = asyncio.Event()
        self._behind = False

    def post(self, parcel: Parcel) -> None:
        """Deliver a parcel that was just put into the outbox, or tell whoever is to send it."""
        if parcel.mine:
            return self._keep(self._deliver(parcel))
        self._behind = True
        if parcel.address and parcel.address.channel != HERE:
            self._keep(self._bus.publish(TOPIC, {}))

    def _keep(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def listen(self) -> None:
        """Look at once when another process has put something into the outbox, until cancelled."""
        async for _ in self._bus.subscribe(TOPIC):
            self._look.set()

    async def run(self) -> None:
        """Deliver what others left, or what was put back, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sweep_s):
                    await self._look.wait()
            self._look.clear()
            try:
                while await self.sweep():
                    pass  # what stood behind these is due now
            except StoreUnavailable:
                await logger.awarning("outbox_unreachable")

    async def sweep(self) -> int:
        """Take and deliver what is due; return how many parcels that were."""
        async with self._database.transaction() as tx:
            await tx.run(outbox.RECLAIM)
            mine = [row["id"] for row in await tx.all(outbox.MINE, me=self._me)]
            if lost := self._lost.among(mine, self._held):
                await tx.run(outbox.LET_GO, me=self._me, ids=lost)
            parcels = await outbox.claim(tx, self._me, BATCH)
        await asyncio.gather(*(self._deliver(parcel) for parcel in parcels))
        return len(parcels)

    async def drain(self, timeout_s: float) -> None:
        """Wait for what is under way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    async def _deliver(self, parcel: Parcel) -> None:
        self._held.add(parcel.id)
        try:
            after = await self._handed_over(parcel)
            await self._patiently(after)
        finally:
            self._held.discard(parcel.id)
        if self._behind:
            self._behind = False
            self._look.set()

    async def _handed_over(self, parcel: Parcel) -> Callable[[], Awaitable[None]]:
        """Hand a parcel to its platform; return how to write down what came of it."""
        receipt = list(parcel.receipt or ())
        delay_s, limit = min(300.0, 2.0**parcel.attempts), ATTEMPTS
        try:
            await self._hand_over(parcel, receipt)
        except Flooded as error:
            reason, delay_s, limit = str(error), error.wait_s, parcel.attempts + 1  # it is no failed attempt
        except Undeliverable as error:
            reason, limit = str(error), 0
        except It0Error as error:
            reason = str(error)
        except Exception as error:  # one parcel's trouble must not stop the others
            await logger.aexception("parcel_failed", parcel=parcel.id)
            reason = type(error).__name__
        else:
            return lambda: self._sent(parcel, receipt)
        return lambda: self._again(parcel, receipt, reason, delay_s, limit)

    async def _patiently(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write down what cannot be done again, however long the database is away."""
        pause_s = 0.2
        while True:
            try:
                return await write()
            except StoreUnavailable:
                await logger.awarning("outbox_unreachable")
            await asyncio.sleep(pause_s)
            pause_s = min(5.0, pause_s * 2)

    async def _sent(self, parcel: Parcel, receipt: Sequence[Any]) -> None:
        async with self._database.reading() as db:
            await outbox.sent(db, self._me, parcel, receipt)

    async def _hand_over(self, parcel: Parcel, receipt: list[Any]) -> None:
        address, body = parcel.address, parcel.body
        if address is None or body is None:
            tenant = await self._tenants.by_id(parcel.tenant_id)
            async with tenant.reading() as db:
                row = await log.conversation(db, parcel.conversation_id)
                event = await log.event_at(db, parcel.conversation_id, parcel.seq)
            if row is None or event is None:
                raise NotFound("error.not_found")
            address, body = log.address_of(row), event["body"]
        reply = self._channels[address.channel].reply_to(address)
        event_of = (parcel.tenant_id, parcel.conversation_id, parcel.seq)
        await reply.deliver(Sending(*event_of, body, receipt, parcel.language))

    async def _again(
        self, parcel: Parcel, receipt: Sequence[Any], reason: str, delay_s: float, limit: int
    ) -> None:
        async with self._database.transaction() as tx:
            row = await outbox.again(tx, self._me, parcel, receipt, reason[:500], delay_s, limit)
        if row is not None and row["state"] == "set_aside":
            await logger.aerror("parcel_set_aside", parcel=parcel.id, reason=reason[:500])
