"""THE gate: classify, then run, suspend or refuse; audited. Nothing else in it0 can run a command.

This is its door, which all that acts passes; the rooms behind it judge, decide and run, each by itself.
"""

from collections.abc import Sequence
from dataclasses import replace

from agent.context import Call, Desk, Work
from agent.engine import Answer
from agent.fleet.servers import Fleet, Ways
from agent.gate.actions.approved import Approved
from agent.gate.actions.begun import Begun
from agent.gate.actions.binding import MAX_COMMAND, bound
from agent.gate.actions.fetching import Fetching
from agent.gate.actions.granted import Granted
from agent.gate.actions.probing import Probing
from agent.gate.actions.refusals import Refusals, foreign_among
from agent.gate.actions.sending import Sending
from agent.gate.actions.trusting import Trusting
from agent.gate.actions.writing import Writing
from agent.gate.answers import answer_of, check_may_ask, duration, refuse_unfit, waiting
from agent.gate.deciding.approvals import Approvals
from agent.gate.deciding.standing import still_allowed
from agent.gate.judging.hosts import Judge
from agent.gate.judging.judging import Judging
from agent.gate.running.execution import Executor
from agent.gate.running.jobs import job_of, owned, run_of_step
from agent.redaction.redact import Redact
from core.errors import BadInput, NotAllowed
from core.store.fleet import VaultState
from core.tenant import Tenant
from core.texts import Say, say
from core.work import Action, Approval, Risk, Role, RunTarget, Server, Verdict

MAX_TARGETS = 1_000


class Gate:
    """Decides what becomes of a command.

    timeout_s: the limit in seconds of a command that only reads; timeout_approved_s: of one that people
    approve, which is likelier an upgrade than a look; timeout_max_s: the most that may be asked for;
    send_file_bytes: of a file that is sent to a chat, 0 for none.
    """

    def __init__(
        self,
        desk: Desk,
        fleet: Fleet,
        approvals: Approvals,
        executor: Executor,
        classify: Judge,
        timeout_s: int,
        timeout_max_s: int,
        timeout_approved_s: int,
        send_file_bytes: int,
    ) -> None:
        self._desk = desk
        self._fleet = fleet
        self._approvals = approvals
        self._executor = executor
        self._timeout_s = timeout_s
        self._timeout_max_s = timeout_max_s
        self._timeout_approved_s = timeout_approved_s
        fetching = Fetching(desk, fleet, executor)
        self.judging = Judging(classify, fleet)
        self._refusals = Refusals(desk)
        self.probing = Probing(desk, fleet, executor, self.judging)
        self.trusting = Trusting(fleet, approvals, self.probing)
        self.writing = Writing(fleet, approvals, fetching, self.judging, self._refusals)
        self.sending = Sending(desk, approvals, fetching, self.judging, self._refusals, send_file_bytes)
        self.begun = Begun(desk, fleet, executor)
        self._approved = Approved(
            desk, fleet, executor, self.judging, self.begun, self.trusting, self.writing, self.sending
        )
        self._granted = Granted(desk, executor, self.judging.judge_in)

    async def command(
        self, call: Call, command: str, names: Sequence[str], timeout_s: int | None = None
    ) -> Answer:
        """Judge ``command`` on the servers ``names`` and do what its level says.

        While the turn waits for an approval only L0 runs (decision 2). Raises Refused for what cannot even be
        judged, and as ``check_may_ask``.
        """
        work = call.work
        if not work.user.role.covers(Role.OPERATOR):
            raise NotAllowed("error.operators_only")
        redact = await self.redact(work.tenant)
        if redact.known(command) != command:
            return await self._refusals.secret(work, redact, command, names)
        servers = await self._servers(work, names)
        verdict = await self.judging.judge(work.tenant, command, servers)
        if verdict.level >= Risk.L3:
            return await self._refusals.forbidden(work, command, servers, verdict)
        if (foreign := foreign_among(command, servers)) is not None:
            return await self._refusals.foreign(work, command, servers, foreign)
        if verdict.level == Risk.L0:
            servers = [server.for_reading for server in servers]
        action = self._action(command, servers, timeout_s, verdict.level)
        ways = await self._fleet.ways(work.tenant, servers)
        if ways.unfit and (verdict.level > Risk.L0 or not ways.targets):
            return refuse_unfit(servers, ways.unfit)
        if verdict.level == Risk.L0:
            return answer_of(await self._run_unasked(work, call.step, action, servers, ways))
        check_may_ask(call, verdict.level, verdict.part)
        granted = await self._granted.run(call, action, servers, ways, verdict)
        if granted is not None:
            return answer_of(granted)
        approval, nobody = await self._approvals.ask(work, call.step, action, _warned(verdict, servers))
        return waiting(approval, nobody)

    async def perform(self, work: Work, approval: Approval) -> Say | None:
        """Do exactly what was approved, once; return why it was not done, or None."""
        return await self._approved.perform(work, approval)

    async def redact(self, tenant: Tenant, state: VaultState | None = None) -> Redact:
        """Return what takes the tenant's secrets out of whatever is shown or stored."""
        return await self._executor.redact(tenant, state)

    async def _servers(self, work: Work, names: Sequence[str]) -> list[Server]:
        if not names:
            raise BadInput("gate.no_servers")
        if len(names) > MAX_TARGETS:
            raise BadInput("gate.too_many_servers", count=len(names), limit=MAX_TARGETS)
        return await self._fleet.clusters.meant(work.tenant, names)

    def _action(
        self, command: str, servers: Sequence[Server], timeout_s: int | None, level: Risk = Risk.L0
    ) -> Action:
        if not command.strip():
            raise BadInput("gate.empty_command")
        if len(command) > MAX_COMMAND or "\0" in command:
            raise BadInput("gate.bad_command", limit=MAX_COMMAND)
        if timeout_s and timeout_s > self._timeout_max_s:
            raise BadInput("gate.timeout_too_long", limit=duration(self._timeout_max_s))
        usual_s = self._timeout_s if level == Risk.L0 else self._timeout_approved_s
        return bound("run", command, servers, timeout_s or min(usual_s, self._timeout_max_s))

    async def _run_unasked(
        self, work: Work, step: int, action: Action, servers: Sequence[Server], ways: Ways
    ) -> list[RunTarget]:
        run = run_of_step(work, step, action.command, Risk.L0, servers)
        job = job_of(work, run, action, ways, owned(self._desk, work), step, still_allowed(work))
        return await self._executor.run(work.tenant, job)


def _warned(verdict: Verdict, servers: Sequence[Server]) -> Verdict:
    """Return the verdict with what people should know beforehand of servers that are restricted."""
    narrow = [server.name for server in servers if server.restricted]
    if not narrow:
        return verdict
    return replace(verdict, reasons=(*verdict.reasons, say("gate.restricted", servers=", ".join(narrow))))
