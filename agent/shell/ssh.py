"""Runs commands on servers: once each, bounded in time and memory, and with an end that can be known later.

What happens on the server is in ``agent.shell.wrapper``; what carries it there is a ``Door``: the SSH pool,
or the bot's own machine. A server declared restricted takes the bare command, so of its runs less is known.
"""

import asyncio
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace

from agent.shell.connect import connect_s
from agent.shell.local import Local
from agent.shell.marker import Door, Process, Went, ask_end, ask_outcome, ended_by, has_ended, known
from agent.shell.output import Output
from agent.shell.pool import IDLE_S, MaybeStarted, Pool
from agent.shell.wrapper import REQUEST, Opening, Report, marker, run_script, unfit
from core.errors import It0Error
from core.ports import OnOutput, Order, Target
from core.texts import Say, say
from core.work import RunTarget

HUNG_S = 1.5
"""How long a server may take to answer once a run's time is over, before it counts as hung (F21: 2 s)."""

SETTLE_S = 5.0
"""How long a broken connection may take to be made again."""

CANCEL_S = 15.0
KILLED = (128 + 9, 128 + 15)
REFUSALS = {
    "again": "shell.run_twice",
    "no-setsid": "shell.no_setsid",
    "no-marker": "shell.no_marker",
    "no-cwd": "shell.no_cwd",
}


@dataclass(slots=True)
class Run:
    """A run that this process started. stop_asked: somebody asked for its end here."""

    target: Target
    order: Order
    output: Output
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    openings: dict[str, Opening] = field(default_factory=dict)
    process: Process | None = None
    deadline: float = 0.0
    stop_asked: bool = False

    def feed(self, stream: str, data: bytes) -> None:
        """Take output, without the wrapper's own line."""
        opening = self.openings.get(stream)
        self.output.add(stream, opening.feed(data) if opening else data)

    @property
    def restricted(self) -> bool:
        """Return whether there is no wrapper."""
        return self.target.server.restricted

    @property
    def word(self) -> str | None:
        """Return the wrapper's first word, None until it came."""
        return next((opening.word for opening in self.openings.values() if opening.word), None)

    def say(self, key: str) -> Say:
        """Return a sentence about this run."""
        return say(key, server=self.target.server.name)


class SshShell:
    """Implements ``core.ports.Shell`` over SSH, and for ``local`` servers on the bot's own machine.

    connect_timeout_s: for each connection on the way to a server; output_cap_bytes: kept of each stream;
    idle_s: until an unused connection is closed.
    """

    def __init__(
        self,
        connect_timeout_s: float = 10.0,
        output_cap_bytes: int = 65_536,
        idle_s: float = IDLE_S,
        local: Local | None = None,
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._cap = output_cap_bytes
        self._pool = Pool(connect_timeout_s, idle_s)
        self._local = local or Local()
        self._runs: dict[tuple[str, str, str], Run] = {}
        self._endings: set[asyncio.Task[Report]] = set()
        self._leaving = False

    async def run(self, target: Target, order: Order, on_output: OnOutput | None = None) -> RunTarget:
        """Start ``order`` on ``target`` once and return how it went."""
        began = time.monotonic()
        run = Run(target, order, Output(order.keep_bytes or self._cap, on_output))
        if refused := unfit(order):
            return _result(target, Went("failed", error=refused))
        if self._runs.setdefault(_key(target, order.run_id), run) is not run:
            return _result(target, Went("failed", error=run.say("shell.run_twice")))
        try:
            went = await self._open_and_watch(run)
        except It0Error as error:
            went = Went("failed", error=error.say)
        except MaybeStarted:
            went = Went("unknown", error=run.say("shell.lost"))
        finally:
            del self._runs[_key(target, order.run_id)]
            run.output.close()
        return replace(
            _result(target, went),
            duration_ms=round((time.monotonic() - began) * 1000),
            stdout=run.output.text("stdout"),
            stderr=run.output.text("stderr"),
            dropped=run.output.dropped,
        )

    async def outcome(self, target: Target, run_id: str) -> RunTarget:
        """Return what became of a run, as its marker on the server says."""
        if target.server.restricted:
            return _result(target, Went("unknown", error=say("shell.no_record", server=target.server.name)))
        try:
            report = await ask_outcome(self._door(target), target, run_id, self._patience_s(target))
        except It0Error as error:
            return _result(target, Went("unknown", error=error.say))
        return _result(target, known(report, target))

    async def stop(self, target: Target, run_id: str) -> bool:
        """End a run with everything it started; return whether it is known to have ended."""
        run = self._runs.get(_key(target, run_id))
        if run:
            run.stop_asked = True
        if target.server.restricted:
            if run and run.process:
                run.process.close()
            return False
        try:
            return has_ended(
                await ask_end(self._door(target), target, run_id, "stopped", self._patience_s(target))
            )
        except It0Error:
            return False

    async def host_key(self, target: Target) -> str:
        """Return the key that the server shows now, "" for the bot's own machine; raises It0Error."""
        return "" if target.server.connection == "local" else await self._pool.host_key(target)

    async def reach(self, target: Target) -> None:
        """Connect and log in, and run nothing."""
        if target.server.connection == "ssh":
            await self._pool.reach(target)

    async def leave(self) -> None:
        """Let what runs go on on its server when its run is cancelled from now on."""
        self._leaving = True

    def forget(self, tenant_id: str, server_id: str) -> None:
        """Close the connections to a server that was changed or removed."""
        self._pool.forget(tenant_id, server_id)

    def forget_credential(self, credential_id: str) -> None:
        """Close every connection that a credential opened."""
        self._pool.forget_credential(credential_id)

    async def close(self) -> None:
        """Close every connection, after the stops that are under way."""
        await asyncio.gather(*self._endings, return_exceptions=True)
        await self._pool.close()

    def _door(self, target: Target) -> Door:
        return self._local if target.server.connection == "local" else self._pool

    def _patience_s(self, target: Target) -> float:
        """Return how long an answer may take at most: a dead connection to be noticed, and the way anew."""
        way_s, hop = self._connect_timeout_s, target if target.server.connection == "ssh" else None
        while hop:
            way_s += connect_s(hop.server, self._connect_timeout_s)
            hop = hop.jump
        return way_s + HUNG_S

    async def _open_and_watch(self, run: Run) -> Went:
        """Return how ``run`` went; a cancelled one is ended first."""
        server, order = run.target.server, run.order
        if not run.restricted:
            run.openings = {stream: Opening(run.nonce) for stream in ("stdout", "stderr")}
        request = order.command if run.restricted else REQUEST
        run.process = process = await self._door(run.target).open(run.target, request, run.feed)
        run.deadline = asyncio.get_running_loop().time() + order.timeout_s
        try:
            if not run.restricted:
                kubeconfig, sweep = server.tags.get("kubeconfig", ""), process.fresh_connection
                mark = marker(order.run_id, server.id)
                process.send(run_script(order, mark, run.nonce, server.shell, kubeconfig, sweep))
            return await self._watch(run, process)
        except asyncio.CancelledError:
            await self._call_off(run)
            raise
        finally:
            process.close()

    async def _watch(self, run: Run, process: Process) -> Went:
        """Wait for the end, whichever it is."""
        try:
            async with asyncio.timeout_at(run.deadline):
                code = await process.ended()
        except TimeoutError:
            return await self._time_out(run, process)
        if code is None:
            return await self._lost(run)
        if run.restricted:
            return Went("done", code)
        if run.word != "started":
            return self._refused(run)
        if run.stop_asked or code in KILLED:
            return await self._who_ended_it(run, code)
        return Went("done", code)

    def _refused(self, run: Run) -> Went:
        """Tell why the wrapper did not start the command, or why there was no wrapper."""
        if run.word == "again" and run.stop_asked:
            return Went("failed", error=run.say("shell.called_off"))
        if run.word is None:
            # What a login shell says of itself ("This account is not available") is output like any other.
            run.output.add("stderr", "\n".join(o.noise for o in run.openings.values()).strip().encode())
        return Went("failed", error=run.say(REFUSALS.get(run.word or "", "shell.not_started")))

    async def _who_ended_it(self, run: Run, code: int) -> Went:
        """Tell a command that was stopped, perhaps by another process of the bot, from one that died."""
        with suppress(It0Error):
            report = await ask_outcome(self._door(run.target), run.target, run.order.run_id, SETTLE_S)
            if report.word == "ended":
                return known(report, run.target)
        return Went("done", code)

    async def _time_out(self, run: Run, process: Process) -> Went:
        """End a run whose time is over."""
        unsure = Went("unknown", error=run.say("shell.timeout_left"))
        if run.restricted:
            return unsure
        try:
            report = await ask_end(self._door(run.target), run.target, run.order.run_id, "timeout", HUNG_S)
        except It0Error:
            return unsure
        if not has_ended(report):
            return unsure
        with suppress(TimeoutError):
            async with asyncio.timeout(HUNG_S):
                await process.ended()
        return known(report, run.target) if report.word == "ended" else ended_by("timeout", None, run.target)

    async def _lost(self, run: Run) -> Went:
        """Find out what became of a run whose connection broke; follow it to its end if it goes on."""
        unknown = Went("unknown", error=run.say("shell.lost"))
        if run.restricted:
            return Went("unknown", error=run.say("shell.stop_left")) if run.stop_asked else unknown
        door, target, run_id = self._door(run.target), run.target, run.order.run_id
        left_s = max(0.0, run.deadline - asyncio.get_running_loop().time())
        try:
            report = await ask_outcome(door, target, run_id, SETTLE_S, left_s)
            if report.word == "running":
                report = await ask_end(door, target, run_id, "timeout", SETTLE_S)
        except It0Error:
            return unknown
        went = known(report, target)
        return replace(went, error=run.say("shell.output_lost")) if went.state == "done" else went

    async def _call_off(self, run: Run) -> None:
        """End a cancelled run. A second cancellation ends the waiting, not the ending."""
        if run.restricted or self._leaving:
            return
        door, run_id = self._door(run.target), run.order.run_id
        ending = asyncio.create_task(ask_end(door, run.target, run_id, "stopped", SETTLE_S))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        ending.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait({ending}, timeout=CANCEL_S)


def _key(target: Target, run_id: str) -> tuple[str, str, str]:
    return target.tenant_id, target.server.id, run_id


def _result(target: Target, went: Went) -> RunTarget:
    """Return ``went`` as the record that is stored."""
    error = went.error.as_json() if went.error else None
    return RunTarget(
        target.server.id, target.server.name, went.state, went.exit_code, went.duration_ms, error=error
    )
