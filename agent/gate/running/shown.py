"""A command's output while it runs: passed on to onlookers, and kept for when it is cut off."""

import asyncio
import time

from agent.gate.running.jobs import Job
from agent.redaction.redact import Redact, StreamRedact
from agent.shell.output import Output
from core.messages import Progress
from core.ports import Target
from core.work import RunTarget

CUT_OFF_BYTES = 65_536
"""Kept of each stream of a command that is stopped, as of one that ends."""


class Shown:
    """Passes a command's output on to onlookers, redacted; a slow onlooker never slows the command.

    It is kept as well: when the command is cut off, this is all that is left of it.
    """

    def __init__(self, job: Job, server: str, redact: Redact) -> None:
        self._job = job
        self._server = server
        self._streams = {"stdout": StreamRedact(redact), "stderr": StreamRedact(redact)}
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept = Output(CUT_OFF_BYTES)
        self._began = time.monotonic()

    def so_far(self, target: Target) -> RunTarget:
        """Return what was seen of the command until now."""
        return RunTarget(
            target.server.id,
            target.server.name,
            "running",
            duration_ms=round((time.monotonic() - self._began) * 1000),
            stdout=self._kept.text("stdout"),
            stderr=self._kept.text("stderr"),
            dropped=self._kept.dropped,
        )

    def take(self, stream: str, piece: str) -> None:
        """Take a piece of output in."""
        self._kept.add(stream, piece.encode("utf-8", "replace"))
        self._show(self._streams[stream].feed(piece))

    def _show(self, text: str) -> None:
        if text and len(self._tasks) < 20:
            data = {"step": self._job.step, "server": self._server, "text": text[-8192:]}
            task = asyncio.ensure_future(self._job.live.update(Progress("output", data)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Show what was held back."""
        for stream in self._streams.values():
            self._show(stream.end())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)
