"""Running a command under a grant: looked at again at the very moment that it begins."""

from collections.abc import Awaitable, Callable, Sequence

from agent.context import Call, Desk
from agent.fleet.servers import Ways
from agent.gate.actions.binding import keys_of, users_of, ways_of
from agent.gate.deciding.covering import Cover, covering, fallen
from agent.gate.deciding.grants import Grants
from agent.gate.deciding.standing import still_allowed
from agent.gate.running.execution import Executor
from agent.gate.running.jobs import job_of, never, owned, run_of_step, unasked
from core.audit import Entry
from core.errors import Refused
from core.store import approvals, clusters, log, runs, seen
from core.store import grants as store
from core.store.database import Transaction
from core.store.grants import Grant
from core.work import Action, RunTarget, Server, Verdict

Judge = Callable[[Transaction, str, Sequence[Server]], Awaitable[Verdict]]


class Over(Refused):
    """The grant ended, or what it stands on changed, before the command began."""

    key = "grant.unknown"


class Granted:
    """Runs what a grant covers. judge: of a command on servers."""

    def __init__(self, desk: Desk, executor: Executor, judge: Judge) -> None:
        self._desk = desk
        self._executor = executor
        self._judge = judge
        self._grants = Grants(desk)

    async def run(
        self, call: Call, action: Action, servers: Sequence[Server], ways: Ways, verdict: Verdict
    ) -> list[RunTarget] | None:
        """Run ``action`` unasked if a grant covers it; None: people have to be asked.

        A step that asked before its process died goes on asking, and one that had begun is not begun again.
        """
        work, run_id = call.work, unasked(call.work, call.step)
        async with work.tenant.reading() as db:
            begun = await runs.get(db, run_id)
            asked = await approvals.of_step(db, work.turn_id, call.step)
            read = await seen.seen_by(db, work.conversation_id, work.turn_id, work.user.id)
            now = self._desk.clock()
            cover = Cover() if begun or asked else await covering(db, work, action, verdict, read, now)
        if begun is not None:
            run = runs.run_of(*begun)
            job = job_of(work, run, action, ways, owned(self._desk, work), call.step, never)
            return await self._executor.run(work.tenant, job)
        if cover.ended:
            await self._grants.end(work.tenant, cover.ended)
        if cover.grant is None:
            return None
        return await self._under(call, cover.grant, action, servers, ways, verdict)

    async def _under(
        self,
        call: Call,
        grant: Grant,
        action: Action,
        servers: Sequence[Server],
        ways: Ways,
        verdict: Verdict,
    ) -> list[RunTarget] | None:
        work = call.work
        run = run_of_step(work, call.step, action.command, verdict.level, servers, grant.approval.settled_by)

        async def may_start(tx: Transaction) -> None:
            await still_allowed(work)(tx)
            await self._check(tx, call, grant, action)
            await self._grants.use(tx, work, grant, run.id)

        own = owned(self._desk, work)

        async def check(tx: Transaction) -> None:
            await tx.one(log.HOLD, id=work.conversation_id)  # the start is said in it
            await own(tx)

        job = job_of(work, run, action, ways, check, call.step, may_start)
        try:
            return await self._executor.run(work.tenant, job)
        except Over:
            detail = {"command": action.command, "why": "grant.over"}
            entry = Entry("command.not_run", "system", None, None, "run", run.id, detail=detail)
            await work.tenant.audit.append(entry, self._desk.clock())
            return None

    async def _check(self, tx: Transaction, call: Call, grant: Grant, action: Action) -> None:
        """Raise Over unless the grant still covers exactly this, with grant and servers held."""
        if await tx.one(store.HOLD, id=grant.id, now=self._desk.clock()) is None:
            raise Over
        held = await clusters.places_by_id(tx, list(action.server_ids), hold=True)
        servers = [held[each] for each in action.server_ids if each in held]
        now = (keys_of(servers), users_of(servers), ways_of(servers))
        if now != (action.host_keys, action.os_users, action.ways):
            raise Over
        if (await self._judge(tx, action.command, servers)).level > grant.approval.level:
            raise Over
        if await fallen(tx, call.work.tenant, grant) is not None:
            raise Over
