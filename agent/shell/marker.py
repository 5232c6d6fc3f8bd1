"""Asks a server what became of a run, or for its end: each over a process of its own."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from agent.shell.output import OnData
from agent.shell.wrapper import REQUEST, Opening, Report, marker, outcome_script, parse_report, stop_script
from core.errors import ServerUnreachable, Unavailable
from core.ports import Target
from core.texts import Say, say

STOP_S = 9.0
"""How long ending may take: 5 s after TERM, 2 s after KILL, and some for the way."""


class Process(Protocol):
    """A process that was started on a server. fresh_connection: it is the first on its connection."""

    fresh_connection: bool

    def send(self, data: bytes) -> None:
        """Write all of its stdin."""
        ...

    async def ended(self) -> int | None:
        """Return its exit code, or None when the connection broke before one."""
        ...

    def close(self) -> None:
        """Leave it alone; it may go on."""
        ...


class Door(Protocol):
    """A way to start processes on servers."""

    async def open(self, target: Target, request: str, on_data: OnData, extra: bool = False) -> Process:
        """Return a new process; raises It0Error if nothing was started, MaybeStarted if that is unsure."""
        ...


@dataclass(frozen=True, slots=True)
class Went:
    """How a run went, without its output; the fields are RunTarget's."""

    state: Literal["running", "done", "failed", "stopped", "timeout", "unknown"]
    exit_code: int | None = None
    error: Say | None = None
    duration_ms: int | None = None


async def ask_outcome(
    door: Door, target: Target, run_id: str, answer_s: float, follow_s: float = 0.0
) -> Report:
    """Return what is known of a run, after at most ``follow_s`` seconds while it still goes on.

    answer_s: seconds until the server has to begin to answer. Raises It0Error when it does not answer.
    """
    mark = marker(run_id, target.server.id)
    return await _ask(door, target, lambda nonce: outcome_script(mark, nonce, follow_s), answer_s, follow_s)


async def ask_end(door: Door, target: Target, run_id: str, reason: str, answer_s: float) -> Report:
    """End a run with everything it started, and return what is known of it then.

    reason: stopped or timeout; answer_s: as in ``ask_outcome``. Raises It0Error when it does not answer.
    """
    mark = marker(run_id, target.server.id)
    return await _ask(door, target, lambda nonce: stop_script(mark, nonce, reason), answer_s, STOP_S)


def has_ended(report: Report) -> bool:
    """Return whether nothing of the run is left."""
    return report.word in ("ended", "gone")


def known(report: Report, target: Target) -> Went:
    """Return what a report says, in RunTarget's words."""
    name = target.server.name
    match report:
        case Report("ended", None):
            return Went("failed", error=say("shell.never_started", server=name))
        case Report("ended", code, "stopped" | "timeout" as why):
            return replace(ended_by(why, code, target), duration_ms=report.duration_ms)
        case Report("ended", code):
            return Went("done", code, duration_ms=report.duration_ms)
        case Report("running"):
            return Went("running")
        case _:
            return Went("unknown", error=say("shell.unknown", server=name))


def ended_by(why: Literal["stopped", "timeout"], code: int | None, target: Target) -> Went:
    """Return the end of a run that was asked to end."""
    return Went(why, code, say(f"shell.{why}", server=target.server.name))


async def _ask(
    door: Door, target: Target, script: Callable[[str], bytes], answer_s: float, work_s: float
) -> Report:
    """Return what ``script`` reports; work_s: how long its work may take once it began to answer."""
    nonce = secrets.token_hex(16)
    opening, answered, text = Opening(nonce), asyncio.Event(), bytearray()

    def feed(stream: str, data: bytes) -> None:
        if stream == "stdout":
            text.extend(opening.feed(data))
            if opening.word:
                answered.set()

    process: Process | None = None
    try:
        async with asyncio.timeout(answer_s):
            process = await door.open(target, REQUEST, feed, extra=True)
            process.send(script(nonce))
            ended = asyncio.create_task(process.ended())
            ended.add_done_callback(lambda _: answered.set())
            await answered.wait()
        async with asyncio.timeout(work_s + answer_s):
            await ended
    except TimeoutError:
        silent = say("shell.reason_silent", seconds=round(answer_s))
        raise ServerUnreachable(server=target.server.name, reason=silent) from None
    finally:
        if process:
            process.close()
    report = parse_report(text.decode("utf-8", "replace"))
    if report is None:
        raise Unavailable("shell.bad_answer", server=target.server.name)
    return report
