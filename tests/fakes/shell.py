"""A ``core.ports.Shell`` without servers: commands get the answers that a test wrote for them."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import HostKeyUnknown, It0Error
from core.ports import OnOutput, Order, Target
from core.texts import Say, say
from core.work import RunTarget


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command does.

    after_s: seconds that it takes; ``hang`` takes for ever. error: why the server cannot be reached.
    lost: the connection breaks while it runs, and its end cannot be known.
    """

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    after_s: float = 0.0
    hang: bool = False
    lost: bool = False
    error: It0Error | None = None


Script = Answer | Callable[[Target, Order], Answer]


@dataclass(slots=True)
class _Run:
    """A run that was begun. why: "stopped" or "timeout" once somebody asked for its end.

    alone: nobody watches it any more, as a command goes on whose bot has died.
    """

    answer: Answer
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    why: str = ""
    alone: bool = False
    result: RunTarget | None = None


class ScriptedShell:
    """Answers every command from ``on``'s scripts, the last that fits first; others get ``default``.

    started: (server name, order) of every command that was begun, in order.
    stopped: (server name, run id) of every ``stop``. host_keys: by server id, else the pinned one is shown.
    """

    def __init__(self, default: Script | None = None, host_keys: Mapping[str, str] | None = None) -> None:
        self.started: list[tuple[str, Order]] = []
        self.stopped: list[tuple[str, str]] = []
        self.forgotten: list[str] = []
        self.left = False
        self.host_keys = dict(host_keys or {})
        self._default: Script = default or Answer()
        self._scripts: list[tuple[re.Pattern[str], str | None, Script]] = []
        self._runs: dict[tuple[str, str], _Run | None] = {}
        self._going_on: set[asyncio.Task[RunTarget]] = set()

    def on(
        self, command: str, script: Script | None = None, server: str | None = None, **fields: Any
    ) -> None:
        """Answer ``command``, a whole command or a regular expression of one.

        server: only on the server of that name. fields: of ``Answer``, instead of ``script``.
        """
        try:
            pattern = re.compile(f"{re.escape(command)}|{command}", re.DOTALL)
        except re.error:
            pattern = re.compile(re.escape(command))
        self._scripts.insert(0, (pattern, server, script or Answer(**fields)))

    async def run(self, target: Target, order: Order, on_output: OnOutput | None = None) -> RunTarget:
        """Do what the script says."""
        server = target.server
        answer = self._answer(target, order)
        if refusal := _refusal(target, answer):
            return _result(target, "failed", error=refusal)
        key = (server.id, order.run_id)
        if key in self._runs:
            return _result(target, "failed", error=say("shell.run_twice", server=server.name))
        run = self._runs[key] = _Run(answer)
        self.started.append((server.name, order))
        began = time.monotonic()
        try:
            for stream in ("stdout", "stderr"):
                if on_output and (text := getattr(answer, stream)):
                    on_output(stream, text)
            result = await self._work(target, order, run)
        except asyncio.CancelledError:
            if self.left:
                self._go_on(target, order, run)
            else:
                run.result = _ended(target, "stopped", answer)
                run.over.set()
            raise
        return replace(result, duration_ms=round((time.monotonic() - began) * 1000))

    async def outcome(self, target: Target, run_id: str) -> RunTarget:
        """Return how a run went; one that was not begun never will be."""
        server = target.server
        if server.restricted:
            return _result(target, "unknown", error=say("shell.no_record", server=server.name))
        run = self._runs.setdefault((server.id, run_id), None)
        if run is None:
            return _result(target, "failed", error=say("shell.never_started", server=server.name))
        return replace(run.result, stdout="", stderr="") if run.result else _result(target, "running")

    async def stop(self, target: Target, run_id: str) -> bool:
        """End a run."""
        self.stopped.append((target.server.name, run_id))
        run = self._runs.setdefault((target.server.id, run_id), None)
        if run and run.result is None:
            run.why = run.why or "stopped"
            run.asked.set()
            if run.alone:
                run.result = _ended(target, run.why, run.answer)
                run.over.set()
            await run.over.wait()
        return not target.server.restricted and not (run and run.answer.lost)

    async def host_key(self, target: Target) -> str:
        """Return the key that the server shows."""
        if target.server.connection == "local":
            return ""
        shown = self.host_keys.get(target.server.id) or target.server.host_key
        if shown is None:
            raise HostKeyUnknown(server=target.server.name)
        return shown

    async def reach(self, target: Target) -> None:
        """Raise what ``on("", error=…)`` says of the server, if anything."""
        if target.server.connection == "ssh" and target.server.host_key is None:
            raise HostKeyUnknown(server=target.server.name)
        if error := self._answer(target, Order("", "", 1)).error:
            raise error

    async def leave(self) -> None:
        """Let runs that are cancelled from now on go on."""
        self.left = True

    def forget(self, tenant_id: str, server_id: str) -> None:
        """Note it."""
        self.forgotten.append(server_id)

    def forget_credential(self, credential_id: str) -> None:
        """Note it."""
        self.forgotten.append(credential_id)

    async def close(self) -> None:
        """Break off what goes on."""
        for task in list(self._going_on):
            task.cancel()
        await asyncio.gather(*self._going_on, return_exceptions=True)

    def _answer(self, target: Target, order: Order) -> Answer:
        fits = (
            script
            for pattern, server, script in self._scripts
            if pattern.fullmatch(order.command) and server in (None, target.server.name)
        )
        script = next(fits, self._default)
        return script if isinstance(script, Answer) else script(target, order)

    def _go_on(self, target: Target, order: Order, run: _Run) -> None:
        task = asyncio.create_task(self._work(target, order, run))
        self._going_on.add(task)

        def ended(done: asyncio.Task[RunTarget]) -> None:
            self._going_on.discard(done)
            run.alone = done.cancelled()

        task.add_done_callback(ended)

    async def _work(self, target: Target, order: Order, run: _Run) -> RunTarget:
        """Wait until the command ends, or is ended."""
        answer = run.answer
        duration_s = order.timeout_s + 1 if answer.hang else answer.after_s
        try:
            async with asyncio.timeout(min(duration_s, order.timeout_s)):
                await run.asked.wait()
        except TimeoutError:
            run.why = "" if duration_s <= order.timeout_s else "timeout"
        if answer.lost:
            run.result = _result(target, "unknown", error=say("shell.lost", server=target.server.name))
        else:
            run.result = _ended(target, run.why, answer)
        run.over.set()
        return run.result


def _refusal(target: Target, answer: Answer) -> Say | None:
    """Return why the server is not entered."""
    if answer.error:
        return answer.error.say
    if target.server.connection == "ssh" and target.server.host_key is None:
        return HostKeyUnknown(server=target.server.name).say
    return None


def _ended(target: Target, why: str, answer: Answer) -> RunTarget:
    if not why:
        return _result(target, "done", exit_code=answer.exit_code, stdout=answer.stdout, stderr=answer.stderr)
    error = say(f"shell.{why}", server=target.server.name)
    return _result(target, why, exit_code=143, stdout=answer.stdout, stderr=answer.stderr, error=error)


def _result(target: Target, state: Any, error: Say | None = None, **fields: Any) -> RunTarget:
    stored = error.as_json() if error else None
    return RunTarget(target.server.id, target.server.name, state, error=stored, **fields)
