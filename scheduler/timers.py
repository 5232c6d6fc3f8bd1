"""Due timers: claimed from the database, handled once each; a lost wake-up only makes them later."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog

from core.clock import Clock
from core.errors import StoreUnavailable
from core.store import timers
from core.store.database import Database
from core.store.timers import Timer

logger = structlog.get_logger()

BATCH = 100
AT_ONCE = 8
"""Handled beside each other: most of a timer's time is the database's."""

RETRY_S = 15.0

OnTimer = Callable[[Timer], Awaitable[datetime | None]]
"""Handles a due timer; returns when it is due again, or None when it is over."""


class TimerWorker:
    """Handles timers as they fall due.

    me: this process's id; handlers: by the timer's kind.
    """

    def __init__(
        self,
        me: str,
        database: Database,
        clock: Clock,
        handlers: Mapping[str, OnTimer],
        sweep_s: float,
    ) -> None:
        self._me = me
        self._database = database
        self._clock = clock
        self._handlers = handlers
        self._sweep_s = sweep_s
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    async def run(self) -> None:
        """Handle what is due until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._sweep_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                while await self.sweep() == BATCH:
                    pass
            except StoreUnavailable:
                await logger.awarning("timers_unreachable")

    async def sweep(self) -> int:
        """Handle up to a batch of due timers; return how many were due."""
        async with self._database.transaction() as tx:
            await tx.run(timers.RECLAIM, me=self._me)
            due = await timers.claim(tx, self._me, self._clock(), BATCH)
        for at in range(0, len(due), AT_ONCE):
            done = await asyncio.gather(*map(self._handle, due[at : at + AT_ONCE]), return_exceptions=True)
            for failed in filter(None, done):
                raise failed
        return len(due)

    async def _handle(self, timer: Timer) -> None:
        handler = self._handlers.get(timer.kind)
        if handler is None:
            await logger.aerror("timer_unknown", kind=timer.kind)
            return await self._later(timer)
        try:
            again_at = await handler(timer)
        except StoreUnavailable:
            raise
        except Exception:  # one timer's trouble must not stop the others
            await logger.aexception("timer_failed", kind=timer.kind, timer=timer.id)
            return await self._later(timer)
        async with self._database.transaction() as tx:
            if again_at is None:
                await tx.run(timers.DONE, id=timer.id, me=self._me)
            else:
                await tx.run(timers.REPEAT, id=timer.id, me=self._me, due_at=again_at)
        return None

    async def _later(self, timer: Timer) -> None:
        async with self._database.transaction() as tx:
            await tx.run(
                timers.LATER,
                id=timer.id,
                me=self._me,
                now=self._clock(),
                delay_s=RETRY_S * timer.attempts,
            )
