"""Waiting for the disk together: PostgreSQL's log is flushed in its order, so any later commit will do."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

PATIENCE_S = 0.005
"""How long something that is committed anyway is waited for: a short turn is over by then."""


class Flushes:
    """What was committed without waiting for the disk, by numbers, and who waits for it.

    flush: flushes the log; committed: the number of the last such commit.
    """

    def __init__(self, flush: Callable[[], Awaitable[None]]) -> None:
        self._flush = flush
        self.committed = 0
        self._flushed = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._flushing: asyncio.Task[None] | None = None

    def flushed_up_to(self, number: int) -> None:
        """Note that the commits up to ``number`` are on the disk."""
        self._flushed = max(self._flushed, number)
        while self._waiting and self._waiting[0][0] <= self._flushed:
            _, waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        """Return once all that was committed by now is on the disk; raises what ``flush`` does."""
        number = self.committed
        if number <= self._flushed:
            return
        flushed = asyncio.get_running_loop().create_future()
        self._waiting.append((number, flushed))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await flushed
        except TimeoutError:
            await self._flush_now(number)

    async def _flush_now(self, number: int) -> None:
        while self._flushed < number:
            if self._flushing is None:
                self._flushing = asyncio.ensure_future(self._flush_all())
            await asyncio.shield(self._flushing)

    async def _flush_all(self) -> None:
        try:
            number = self.committed
            await self._flush()
            self.flushed_up_to(number)
        finally:
            self._flushing = None
