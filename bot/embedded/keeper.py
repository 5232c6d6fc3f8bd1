"""Keep one server running: start it, start it again when it dies, stop it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from bot.embedded.child import Child

log = structlog.get_logger()

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
"""As long as work waits between two looks for its database: everything stands still meanwhile."""
STEADY_S = 60.0
"""A server that ran this long starts again after the first pause."""


class Keeper:
    """Supervise one server.

    start: returns the child once it answers; it is called again, without end, after each death. Nothing is
    given up: without its database it0 can do nothing better than try.
    """

    def __init__(self, name: str, start: Callable[[], Awaitable[Child]]) -> None:
        self.name = name
        self.restarts = 0
        self._start = start
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Return the server's process id while it runs."""
        child = self._child
        return child.pid if child and not child.exited.done() else None

    async def open(self) -> None:
        """Start the server, and watch it from now on.

        Raises what ``start`` raises: the first start is not repeated.
        """
        self._child = await self._start()
        self._task = asyncio.create_task(self._keep(self._child), name=f"keep-{self.name}")

    async def close(self) -> None:
        """Stop watching, then stop the server."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._child:
            await self._child.stop()

    async def _keep(self, child: Child) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            code = await child.watch()
            if time.monotonic() - began > STEADY_S:
                pause_s = FIRST_PAUSE_S
            log.error("server_died", server=self.name, pid=child.pid, code=code, said=child.tail())
            child, pause_s = await self._again(pause_s)

    async def _again(self, pause_s: float) -> tuple[Child, float]:
        """Start the server after a pause, until it answers; return it with the next pause."""
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            try:
                self._child = await self._start()
            except Exception as error:  # whatever it is, the next try may go better
                log.error("server_not_restarted", server=self.name, error=str(error), next_try_s=pause_s)
                continue
            self.restarts += 1
            log.warning("server_restarted", server=self.name, pid=self._child.pid, restarts=self.restarts)
            return self._child, pause_s
