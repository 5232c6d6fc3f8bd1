"""Runs that were begun before: read back, seen to their end, or ended, and never begun again."""

from collections.abc import Sequence

from agent.context import Desk, Work
from agent.fleet.servers import Fleet, Ways
from agent.gate.running.execution import Executor
from agent.gate.running.jobs import job_of, owned, unasked
from core.store import clusters, runs
from core.store.runs import Run
from core.tenant import Tenant
from core.texts import say
from core.work import Action, Approval, Risk, RunTarget


class Begun:
    """Goes on with what a process that died had begun."""

    def __init__(self, desk: Desk, fleet: Fleet, executor: Executor) -> None:
        self._desk = desk
        self._fleet = fleet
        self._executor = executor

    async def results(self, work: Work, step: int) -> Sequence[RunTarget]:
        """Return how a step's run went that was not asked for, none if there is none or it goes on."""
        async with work.tenant.reading() as db:
            found = await runs.get(db, unasked(work, step))
        return found[1] if found and found[0]["state"] != "running" else ()

    async def end(self, work: Work, approval_id: str | None = None) -> None:
        """Stop what a process that died left running for this turn, or for this act."""
        async with work.tenant.reading() as db:
            rows = await db.all(runs.RUNNING_IN, conversation=work.conversation_id)
            mine = [r["id"] for r in rows if r["turn_id"] == work.turn_id and r["approval_id"] is None]
            found = [await runs.get(db, run_id) for run_id in ([approval_id] if approval_id else mine)]
        for row, targets in filter(None, found):
            run = runs.run_of(row, targets)
            ways = await self._ways(work.tenant, run)
            action = Action("run", run.command, (), (), ())
            await self._executor.stop(
                work.tenant, job_of(work, run, action, ways, owned(self._desk, work), 0)
            )

    async def follow(self, work: Work, approval: Approval, run: Run) -> None:
        """See an act to its end that was begun before its process died.

        Nothing is sent again, so whatever has changed since then is no reason to call it refused.
        """
        ways, check = await self._ways(work.tenant, run), owned(self._desk, work)
        job = job_of(work, run, approval.action, ways, check, approval.step, digest=approval.digest)
        await self._executor.run(work.tenant, job)

    async def _ways(self, tenant: Tenant, run: Run) -> Ways:
        """Return the ways to a run's servers as they are now, and why others cannot be asked any more."""
        server_ids = [server_id for server_id, _ in run.servers]
        async with tenant.reading() as db:
            known = await clusters.places_by_id(db, server_ids)
        servers = [known[each] for each in server_ids if each in known]
        if run.level == Risk.L0:
            servers = [server.for_reading for server in servers]
        ways = await self._fleet.ways(tenant, servers)
        for server_id, name in run.servers:
            if server_id not in known:
                ways.unfit[server_id] = say("run.server_gone", server=name)
        return ways
