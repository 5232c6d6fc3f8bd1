"""Running a command once: intent in the audit, the run's row, the shell, the results, in that order.

Whoever cannot write the row does not send the command; whoever finds a row that is not its own asks the
servers what became of it. So after any crash a run is done, or it is called unknown, and never repeated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from agent.context import Desk
from agent.redact import Redact, Redactions, StreamRedact
from core.audit import Entry
from core.messages import Live, Progress
from core.ports import Order, Shell, Target
from core.store import runs
from core.store.database import Transaction
from core.store.runs import Run
from core.tenant import Tenant
from core.texts import say
from core.work import Risk, RunTarget

POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """One run with all that it needs.

    check: called in the transaction that writes the run's row; raises when the work was taken over.
    digest: the approval's, "" for what runs unasked; channel: where it was asked for.
    """

    run: Run
    targets: Sequence[Target]
    timeout_s: int
    cwd: str
    check: Callable[[Transaction], Awaitable[None]]
    live: Live
    step: int
    digest: str = ""
    channel: str = ""
    actor: str = "agent"


class Executor:
    """Runs commands on servers for the gate, and for nobody else.

    fan_out: servers at once for a command that only reads; what changes something goes server by server.
    """

    def __init__(self, shell: Shell, desk: Desk, redactions: Redactions, fan_out: int) -> None:
        self._shell = shell
        self._desk = desk
        self._redactions = redactions
        self._fan_out = fan_out
        self._leaving = False

    async def leave(self) -> None:
        """The process ends: from now on a cancelled run goes on on its server and stays open in its row."""
        self._leaving = True
        await self._shell.leave()

    async def run(self, tenant: Tenant, job: Job) -> list[RunTarget]:
        """Run once and return how it went on each server.

        Raises StoreUnavailable before anything is sent when the intent cannot be written, Fenced when the
        work was taken over. A cancellation ends the command and is written down before it goes on.
        """
        results: dict[str, RunTarget] = {}
        try:
            return await self._run(tenant, job, results)
        except asyncio.CancelledError:
            if not self._leaving:
                await self._uninterrupted(self.stop(tenant, job, results))
            raise

    async def stop(self, tenant: Tenant, job: Job, results: Mapping[str, RunTarget] | None = None) -> None:
        """End a run that counts as running, whoever began it, and write down what is known of it.

        results: of the servers where it is over.
        """
        async with tenant.transaction() as tx:
            await job.check(tx)
            if not await runs.take_over(tx, job.run.id, self._desk.me):
                return
        redact = await self._redactions.of(tenant)
        known = results or {}
        ended = await asyncio.gather(*(self._ended(job, target, known) for target in job.targets))
        await self._end(tenant, job, ended, redact)

    async def _ended(self, job: Job, target: Target, known: Mapping[str, RunTarget]) -> RunTarget:
        if target.server.id in known:
            return known[target.server.id]
        await self._shell.stop(target, job.run.id)
        return await self._shell.outcome(target, job.run.id)

    async def _uninterrupted(self, call: Coroutine[Any, Any, None]) -> None:
        """See ``call`` to its end, however often this is cancelled meanwhile."""
        task = asyncio.ensure_future(call)
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                if self._leaving or task.cancelled():
                    raise

    async def _run(self, tenant: Tenant, job: Job, results: dict[str, RunTarget]) -> list[RunTarget]:
        if (before := await self._before(tenant, job)) is not None:
            return before
        await self._intend(tenant, job)
        async with tenant.transaction() as tx:
            await job.check(tx)
            mine = await runs.start(tx, job.run, self._desk.me, self._desk.clock())
        if not mine:
            return await self.recover(tenant, job)
        redact = await self._redactions.of(tenant)
        await self._all(job, redact, results)
        return await self._end(tenant, job, [results[t.server.id] for t in job.targets], redact)

    async def _before(self, tenant: Tenant, job: Job) -> list[RunTarget] | None:
        async with tenant.reading() as db:
            found = await runs.get(db, job.run.id)
        if found is None:
            return None
        row, targets = found
        return targets if row["state"] != "running" else await self.recover(tenant, job)

    async def recover(self, tenant: Tenant, job: Job) -> list[RunTarget]:
        """Find out what became of a run that another process began: known from its servers, or unknown."""
        async with tenant.transaction() as tx:
            await job.check(tx)
            if not await runs.take_over(tx, job.run.id, self._desk.me):
                found = await runs.get(tx, job.run.id)
                return found[1] if found else []
        redact = await self._redactions.of(tenant)
        results = await asyncio.gather(*(self._outcome(job, target) for target in job.targets))
        return await self._end(tenant, job, results, redact)

    async def _outcome(self, job: Job, target: Target) -> RunTarget:
        waited = 0.0
        while True:
            result = await self._shell.outcome(target, job.run.id)
            if result.state != "running":
                return result
            if waited > job.timeout_s:
                await self._shell.stop(target, job.run.id)
                return replace(result, state="timeout")
            await asyncio.sleep(POLL_S)
            waited += POLL_S

    async def _all(self, job: Job, redact: Redact, results: dict[str, RunTarget]) -> None:
        if job.run.level == Risk.L0:
            slots = asyncio.Semaphore(self._fan_out)
            await asyncio.gather(
                *(self._within(slots, job, target, redact, results) for target in job.targets)
            )
            return
        failed = ""
        for target in job.targets:
            if failed:
                why = say("run.not_run", after=failed).as_json()
                results[target.server.id] = RunTarget(
                    target.server.id, target.server.name, "failed", error=why
                )
                continue
            await self._one(job, target, redact, results)
            if not results[target.server.id].ok:
                failed = target.server.name

    async def _within(
        self,
        slots: asyncio.Semaphore,
        job: Job,
        target: Target,
        redact: Redact,
        results: dict[str, RunTarget],
    ) -> None:
        async with slots:
            await self._one(job, target, redact, results)

    async def _one(self, job: Job, target: Target, redact: Redact, results: dict[str, RunTarget]) -> None:
        show = _Shown(job, target.server.name, redact)
        order = Order(job.run.id, job.run.command, job.timeout_s, job.cwd)
        try:
            results[target.server.id] = await self._shell.run(target, order, show.take)
        finally:
            await show.close()

    async def _end(
        self, tenant: Tenant, job: Job, results: Sequence[RunTarget], redact: Redact
    ) -> list[RunTarget]:
        clean = [await _clean(result, redact) for result in results]
        at = self._desk.clock()
        async with tenant.transaction() as tx:
            written = await runs.end(tx, job.run.id, self._desk.me, clean, at)
            if written:
                await tenant.audit.append_in(tx, _result(job, clean), at)
        if not written:  # another process took it over and wrote what it found
            async with tenant.reading() as db:
                found = await runs.get(db, job.run.id)
            return found[1] if found else clean
        return clean

    async def _intend(self, tenant: Tenant, job: Job) -> None:
        entry = _entry(job, "command.intent", {"digest": job.digest})
        await tenant.audit.append(entry, self._desk.clock())


async def _clean(result: RunTarget, redact: Redact) -> RunTarget:
    """Return ``result`` without secrets; between servers others have their turn, as each may take 10 ms."""
    await asyncio.sleep(0)
    return replace(result, stdout=redact(result.stdout), stderr=redact(result.stderr))


def _result(job: Job, results: Sequence[RunTarget]) -> Entry:
    outcome = [
        {
            "server": r.server,
            "state": r.state,
            "exit_code": r.exit_code,
            "duration_ms": r.duration_ms,
            "output_sha256": sha256((r.stdout + r.stderr).encode()).hexdigest(),
        }
        for r in results
    ]
    return _entry(job, "command.result", {"results": outcome})


def _entry(job: Job, action: str, more: dict[str, object]) -> Entry:
    detail = {
        "command": job.run.command,
        "level": int(job.run.level),
        "servers": [name for _, name in job.run.servers],
        "requester": job.run.requester_id,
        "turn": job.run.turn_id,
        **more,
    }
    return Entry(
        action,
        "agent",
        job.actor,
        job.run.approver_id,
        "run",
        job.run.id,
        channel=job.channel or None,
        detail=detail,
        key=f"{action}:{job.run.id}",
    )


class _Shown:
    """Passes a command's output on to onlookers, redacted; a slow onlooker never slows the command."""

    def __init__(self, job: Job, server: str, redact: Redact) -> None:
        self._job = job
        self._server = server
        self._streams = {"stdout": StreamRedact(redact), "stderr": StreamRedact(redact)}
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, stream: str, piece: str) -> None:
        """Take a piece of output in."""
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
