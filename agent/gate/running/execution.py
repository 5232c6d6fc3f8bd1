"""Running a command once: intent in the audit, the run's row, the shell, the results, in that order.

Whoever cannot write the row does not send the command; whoever finds a row that is not its own asks the
servers what became of it. So after any crash a run is done, or it is called unknown, and never repeated.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from agent.context import Desk
from agent.gate.running.jobs import Errand, Job
from agent.gate.running.records import intent_of, result_of
from agent.gate.running.shown import Shown
from agent.redaction.redact import Redact
from agent.redaction.redactions import Redactions
from agent.redaction.stored import without_secrets
from core.ports import Order, Shell, Target
from core.store import runs
from core.store.fleet import VaultState
from core.tenant import Tenant
from core.texts import say
from core.work import Risk, RunTarget

logger = structlog.get_logger()

POLL_S = 1.0
LONG_CHARS = 8_192
"""From here on text is searched for secrets beside the loop: 64 kB take 3 to 30 ms (docs/benchmarks.md)."""


@dataclass(frozen=True, slots=True)
class Course:
    """How far a run has come, by server.

    left: where this process would have begun it and did not yet; over: where it is over; cut: what was seen
    of what was cut off.
    """

    left: set[str] = field(default_factory=set)
    over: dict[str, RunTarget] = field(default_factory=dict)
    cut: dict[str, RunTarget] = field(default_factory=dict)


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

    async def redact(self, tenant: Tenant, state: VaultState | None = None) -> Redact:
        """Return what takes the tenant's secrets out of a text: as they are now, or are in a known state."""
        return await self._redactions.of(tenant, state)

    async def leave(self) -> None:
        """The process ends: from now on a cancelled run goes on on its server and stays open in its row."""
        self._leaving = True
        await self._shell.leave()

    async def run(self, tenant: Tenant, job: Job) -> list[RunTarget]:
        """Run once and return how it went on each server.

        Raises StoreUnavailable before anything is sent when the intent cannot be written, Fenced when the
        work was taken over. A cancellation ends the command and is written down before it goes on.
        """
        course = Course()
        try:
            return await self._run(tenant, job, course)
        except asyncio.CancelledError:
            if not self._leaving:
                await self._uninterrupted(self.stop(tenant, job, course))
            raise

    async def stop(self, tenant: Tenant, job: Job, course: Course | None = None) -> None:
        """End a run that counts as running, whoever began it, and write down what is known of it.

        course: how far it had come, if this process began it.
        """
        async with tenant.transaction() as tx:
            await job.check(tx)
            if not await runs.take_over(tx, job.run.id, self._desk.me):
                return
        redact = await self._redactions.of(tenant)
        ended = await asyncio.gather(*(self._ended(job, target, course) for target in job.targets))
        unfit = job.unfit if course else map(_unasked, job.unfit)
        await self._end(tenant, job, [*ended, *unfit], redact)

    async def _ended(self, job: Job, target: Target, course: Course | None) -> RunTarget:
        server_id = target.server.id
        if course and server_id in course.over:
            return course.over[server_id]
        if course and server_id in course.left:
            why = say("shell.never_started", server=target.server.name).as_json()
            return RunTarget(server_id, target.server.name, "failed", error=why)
        await self._shell.stop(target, job.run.id)
        result = await self._shell.outcome(target, job.run.id)
        if course is None:
            return _recovered(result)
        seen = course.cut.get(server_id)
        if seen is None:
            return result
        took = seen.duration_ms if result.duration_ms is None else result.duration_ms
        return replace(result, duration_ms=took, stdout=seen.stdout, stderr=seen.stderr, dropped=seen.dropped)

    async def _uninterrupted(self, call: Coroutine[Any, Any, None]) -> None:
        """See ``call`` to its end, however often this is cancelled meanwhile."""
        task = asyncio.ensure_future(call)
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                if self._leaving or task.cancelled():
                    raise

    async def _run(self, tenant: Tenant, job: Job, course: Course) -> list[RunTarget]:
        if (before := await self._before(tenant, job)) is not None:
            return before
        await self._intend(tenant, job)
        async with tenant.transaction() as tx:
            await job.check(tx)
            await job.may_start(tx)
            mine = await runs.start(tx, job.run, self._desk.me, self._desk.clock())
        if not mine:
            return await self.recover(tenant, job)
        course.left.update(target.server.id for target in job.targets)
        redact = await self._redactions.of(tenant)
        await self._all(job, redact, course)
        return await self._end(tenant, job, [*course.over.values(), *job.unfit], redact)

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
        known = [*map(_recovered, results), *map(_unasked, job.unfit)]
        return await self._end(tenant, job, known, redact)

    async def _outcome(self, job: Job, target: Target) -> RunTarget:
        waited = 0.0
        while True:
            result = await self._shell.outcome(target, job.run.id)
            if result.state != "running":
                return result
            if waited > job.timeout_s:
                await self._shell.stop(target, job.run.id)
                ended = await self._shell.outcome(target, job.run.id)
                return replace(ended, state="timeout") if ended.state == "stopped" else ended
            await asyncio.sleep(POLL_S)
            waited += POLL_S

    async def _all(self, job: Job, redact: Redact, course: Course) -> None:
        if job.run.level == Risk.L0:
            slots = asyncio.Semaphore(self._fan_out)
            await asyncio.gather(
                *(self._within(slots, job, target, redact, course) for target in job.targets)
            )
            return
        failed = ""
        for target in job.targets:
            if failed:
                why = say("run.not_run", after=failed).as_json()
                course.over[target.server.id] = RunTarget(
                    target.server.id, target.server.name, "failed", error=why
                )
                continue
            await self._one(job, target, redact, course)
            if not course.over[target.server.id].ok:
                failed = target.server.name

    async def _within(
        self,
        slots: asyncio.Semaphore,
        job: Job,
        target: Target,
        redact: Redact,
        course: Course,
    ) -> None:
        async with slots:
            await self._one(job, target, redact, course)

    async def _one(self, job: Job, target: Target, redact: Redact, course: Course) -> None:
        show = Shown(job, target.server.name, redact)
        errand = job.errand or Errand(job.run.command)
        order = Order(job.run.id, errand.command, job.timeout_s, job.cwd, errand.stdin, errand.keep_bytes)
        shown = None if errand.keep_bytes else show.take
        course.left.discard(target.server.id)
        try:
            course.over[target.server.id] = await self._shell.run(target, order, shown)
        except asyncio.CancelledError:
            course.cut[target.server.id] = show.so_far(target)
            raise
        except Exception:  # whatever broke: the command may go on there, and the other servers have theirs
            await logger.aexception("shell_failed", run=job.run.id, server=target.server.id)
            why = say("run.broke", server=target.server.name).as_json()
            course.over[target.server.id] = replace(show.so_far(target), state="unknown", error=why)
        finally:
            await show.close()

    async def _end(
        self, tenant: Tenant, job: Job, results: Iterable[RunTarget], redact: Redact
    ) -> list[RunTarget]:
        users = job.users
        by_id = {each.server_id: replace(each, os_user=users.get(each.server_id, "")) for each in results}
        ended = [by_id[server_id] for server_id, _ in job.run.servers if server_id in by_id]
        is_private = job.errand is not None and job.errand.keep_bytes > 0
        clean = [replace(r, stdout="") if is_private else r for r in ended]
        clean = [await _clean(each, redact) for each in clean]
        at = self._desk.clock()
        async with tenant.transaction() as tx:
            written = await runs.end(tx, job.run.id, self._desk.me, clean, at)
            if written:
                await tenant.audit.append_in(tx, result_of(job, clean), at)
        if not written:  # another process took it over and wrote what it found
            async with tenant.reading() as db:
                found = await runs.get(db, job.run.id)
            return found[1] if found else clean
        return ended if is_private else clean

    async def _intend(self, tenant: Tenant, job: Job) -> None:
        await tenant.audit.append(intent_of(job), self._desk.clock())


def _recovered(result: RunTarget) -> RunTarget:
    """Return the result of a run that another process began, whose output went with it."""
    if result.state not in ("done", "stopped", "timeout"):
        return result
    return replace(result, error=say("run.restarted", server=result.server).as_json())


def _unasked(result: RunTarget) -> RunTarget:
    """Return the result of a server that cannot be asked what became of a run that may have begun there."""
    return replace(result, state="unknown")


async def _clean(result: RunTarget, redact: Redact) -> RunTarget:
    """Return ``result`` without secrets; between servers others have their turn."""
    await asyncio.sleep(0)
    stdout, stderr = await _without(result.stdout, redact), await _without(result.stderr, redact)
    return replace(result, stdout=stdout, stderr=stderr, error=without_secrets(result.error, redact))


async def _without(text: str, redact: Redact) -> str:
    """Return ``text`` without secrets."""
    return redact(text) if len(text) <= LONG_CHARS else await asyncio.to_thread(redact, text)
