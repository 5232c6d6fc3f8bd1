"""THE gate: classify, then run, suspend or refuse; audited. Nothing else in it0 can run a command."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.clusters.words import refusal
from agent.context import Call, Desk, Work
from agent.engine import Answer
from agent.fleet.servers import Fleet, Ways
from agent.gate.answers import answer_of, duration, refuse_unfit
from agent.gate.approvals import Approvals
from agent.gate.execution import Executor
from agent.gate.fetching import Fetching
from agent.gate.granted import Granted
from agent.gate.jobs import job_of, not_stopped, owned, still_allowed, unasked
from agent.gate.judging import Judge, Judging
from agent.gate.probing import Probing
from agent.gate.sending import Sending
from agent.gate.writing import Writing, errand_of, holds_secret
from agent.redaction.redact import Redact
from agent.shell.hostkeys import fingerprint
from core.audit import Entry
from core.errors import BadInput, It0Error, NotAllowed, Refused
from core.store import clusters, preferences, runs
from core.store.database import Transaction
from core.store.fleet import VaultState
from core.store.runs import Run
from core.tenant import Tenant
from core.texts import Say, say
from core.work import Action, Approval, Risk, Role, RunTarget, Server, Verdict

MAX_COMMAND = 16_384
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
        self.judging = Judging(classify, fleet)
        self._timeout_s = timeout_s
        self._timeout_max_s = timeout_max_s
        self._timeout_approved_s = timeout_approved_s
        self._granted = Granted(desk, executor, self.judging.judge_in)
        self.probing = Probing(desk, fleet, executor, classify)
        self.fetching = Fetching(desk, fleet, executor)
        self.writing = Writing(fleet, approvals, self.fetching, classify)
        self.sending = Sending(desk, approvals, self.fetching, send_file_bytes)

    async def command(
        self, call: Call, command: str, names: Sequence[str], timeout_s: int | None = None
    ) -> Answer:
        """Judge ``command`` on the servers ``names`` and do what its level says.

        While the turn waits for an approval only L0 runs (decision 2). Raises Refused for what cannot even be
        judged.
        """
        work = call.work
        if not work.user.role.covers(Role.OPERATOR):
            raise NotAllowed("error.operators_only")
        redact = await self.redact(work.tenant)
        if redact.known(command) != command:
            return await self._refuse_secret(work, redact, command, names)
        servers = await self._servers(work, names)
        verdict = await self.judging.judge(work.tenant, command, servers)
        if verdict.level >= Risk.L3:
            return await self._refuse(work, command, servers, verdict)
        if (foreign := self._foreign(command, servers)) is not None:
            return await self._refuse_foreign(work, command, servers, foreign)
        if verdict.level == Risk.L0:
            servers = [server.for_reading for server in servers]
        action = self._action(command, servers, timeout_s, verdict.level)
        ways = await self._fleet.ways(work.tenant, servers)
        if ways.unfit and (verdict.level > Risk.L0 or not ways.targets):
            return refuse_unfit(servers, ways.unfit)
        if verdict.level == Risk.L0:
            results = await self._run_unasked(work, call.step, action, servers, ways)
            return answer_of(results)
        if verdict.level > call.most:
            return Answer("refused", (say("gate.only_reads", level=int(verdict.level), part=verdict.part),))
        if call.waits_for:
            return Answer("refused", (say("gate.not_run_waiting", code=call.waits_for),))
        granted = await self._granted.run(call, action, servers, ways, verdict)
        if granted is not None:
            return answer_of(granted)
        return await self._ask(work, call.step, action, _warned(verdict, servers))

    async def _ask(self, work: Work, step: int, action: Action, verdict: Verdict) -> Answer:
        approval, nobody = await self._approvals.ask(work, step, action, verdict)
        waiting = say(
            "gate.waiting",
            code=approval.code,
            level=int(approval.level),
            limit=duration(approval.action.timeout_s),
        )
        return Answer("waiting", (waiting, *([nobody] if nobody else [])), {}, approval.id)

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
        return Action(
            kind="run",
            command=command,
            server_ids=tuple(server.id for server in servers),
            host_keys=tuple(fingerprint(s.host_key) if s.host_key else "" for s in servers),
            os_users=tuple(server.ssh_user for server in servers),
            timeout_s=timeout_s or min(usual_s, self._timeout_max_s),
            ways=tuple(server.way for server in servers),
        )

    async def _refuse(self, work: Work, command: str, servers: Sequence[Server], verdict: Verdict) -> Answer:
        detail = {
            "command": command[:MAX_COMMAND],
            "level": int(verdict.level),
            "servers": [server.name for server in servers],
            "reasons": [reason.key for reason in verdict.reasons],
            "rules": verdict.rules,
            "policy": verdict.policy,
        }
        await self._note_refusal(work, detail)
        return Answer("refused", (say("gate.forbidden", part=verdict.part), *verdict.reasons))

    async def _refuse_secret(self, work: Work, redact: Redact, command: str, names: Sequence[str]) -> Answer:
        """Refuse a command with a secret of the vault: its exact bytes would stand in the records."""
        detail = {
            "command": redact(command)[:MAX_COMMAND],
            "servers": [redact(name) for name in names],
            "reasons": ["gate.secret_in_command"],
        }
        await self._note_refusal(work, detail)
        return Answer("refused", (say("gate.secret_in_command"),))

    def _foreign(self, command: str, servers: Sequence[Server]) -> Say | None:
        """Return why ``command`` is none of a cluster's among ``servers``, or None."""
        refusals = (refusal(command, server) for server in servers if server.is_cluster)
        return next(filter(None, refusals), None)

    async def _refuse_foreign(self, work: Work, command: str, servers: Sequence[Server], why: Say) -> Answer:
        detail = {
            "command": command[:MAX_COMMAND],
            "servers": [server.name for server in servers],
            "reasons": [why.key],
        }
        await self._note_refusal(work, detail)
        return Answer("refused", (why,))

    async def _note_refusal(self, work: Work, detail: Mapping[str, object]) -> None:
        entry = Entry(
            "command.refused", "agent", None, None, "turn", work.turn_id, work.address.channel, detail=detail
        )
        await work.tenant.audit.append(entry, self._desk.clock())

    async def _run_unasked(
        self, work: Work, step: int, action: Action, servers: Sequence[Server], ways: Ways
    ) -> list[RunTarget]:
        run = Run(
            unasked(work, step),
            work.conversation_id,
            work.turn_id,
            None,
            action.command,
            Risk.L0,
            tuple((server.id, server.name) for server in servers),
            work.user.id,
            None,
        )
        job = job_of(work, run, action, ways, owned(self._desk, work), step, still_allowed(work))
        return await self._executor.run(work.tenant, job)

    async def perform(self, work: Work, approval: Approval) -> Say | None:
        """Run exactly the approved act, if it is still what was approved (SECURITY A2).

        Returns why it was not run, or None; the results stand in the run's row.
        """
        action = approval.action
        async with work.tenant.reading() as db:
            known = await clusters.places_by_id(db, list(action.server_ids))
            halted = (await preferences.load(db)).halted_by
            begun = await runs.get(db, approval.id)
        if begun is not None:
            await self._follow(work, approval, runs.run_of(*begun), bool(halted))
            return None
        if halted:
            return say("error.halted")
        async with work.tenant.reading() as db:
            refusal = await self._changed(db, work, approval, known)
        if refusal is not None:
            return refusal
        servers = [known[server_id] for server_id in action.server_ids]
        if action.kind == "trust":
            return await self._trust(work, servers[0], action.host_keys[0])
        if action.kind == "send":
            return await self.sending.deliver(work, approval, servers[0])
        redact = await self.redact(work.tenant)
        # The secret was stored since this was asked for.
        if redact.known(action.command) != action.command or holds_secret(action.edit, redact):
            return say("gate.secret_in_command")
        ways = Ways(await self._fleet.targets(work.tenant, servers))  # raises for one that cannot be used
        run = Run(
            approval.id,
            approval.conversation_id,
            approval.turn_id,
            approval.id,
            action.command,
            approval.level,
            tuple((server.id, server.name) for server in servers),
            approval.requester_id,
            approval.settled_by,
        )

        async def may_start(tx: Transaction) -> None:
            """Look again with the servers held: nobody removes or distrusts one until the row stands."""
            await not_stopped(tx, work.tenant)
            held = await clusters.places_by_id(tx, list(action.server_ids), hold=True)
            if (refusal := await self._changed(tx, work, approval, held)) is not None:
                raise Refused(refusal.key, **refusal.params)

        check = owned(self._desk, work)
        errand = errand_of(approval)
        job = job_of(work, run, action, ways, check, approval.step, may_start, approval.digest, errand)
        await self._executor.run(work.tenant, job)
        return None

    async def results(self, work: Work, step: int) -> Sequence[RunTarget]:
        """Return how a step's run went that was not asked for, none if there is none or it goes on."""
        async with work.tenant.reading() as db:
            found = await runs.get(db, unasked(work, step))
        return found[1] if found and found[0]["state"] != "running" else ()

    async def end_runs(self, work: Work, approval_id: str | None = None) -> None:
        """Stop what a process that died left running for this turn, or for this act."""
        async with work.tenant.reading() as db:
            rows = await db.all(runs.RUNNING_IN, conversation=work.conversation_id)
            mine = [r["id"] for r in rows if r["turn_id"] == work.turn_id and r["approval_id"] is None]
            found = [await runs.get(db, run_id) for run_id in ([approval_id] if approval_id else mine)]
        for row, targets in filter(None, found):
            await self._end_run(work, runs.run_of(row, targets))

    async def _end_run(self, work: Work, run: Run) -> None:
        action = self._action(run.command, (), None)
        ways = await self._ways_of(work.tenant, run)
        await self._executor.stop(work.tenant, job_of(work, run, action, ways, owned(self._desk, work), 0))

    async def _follow(self, work: Work, approval: Approval, run: Run, halted: bool) -> None:
        """See an act to its end that was begun before its process died.

        Nothing is sent again, so whatever has changed since then is no reason to call it refused.
        """
        if halted:
            return await self.end_runs(work, approval.id)
        ways = await self._ways_of(work.tenant, run)
        job = job_of(
            work, run, approval.action, ways, owned(self._desk, work), approval.step, digest=approval.digest
        )
        await self._executor.run(work.tenant, job)

    async def _ways_of(self, tenant: Tenant, run: Run) -> Ways:
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

    async def ask_trust(self, call: Call, server: Server, shown: str) -> Answer:
        """Ask a person to confirm the host key that ``server`` shows (SECURITY H2)."""
        line, ids, users = f"trust {server.name} {shown}", (server.id,), (server.ssh_user,)
        action = Action("trust", line, ids, (shown,), users, ways=(server.way,))
        reason = say("server.first_contact", server=server.name, host=server.host, fingerprint=shown)
        verdict = Verdict(Risk.L2, (reason,), action.command, "")
        approval, nobody = await self._approvals.ask(call.work, call.step, action, verdict)
        waiting = say("server.confirm_key", server=server.name, fingerprint=shown, code=approval.code)
        return Answer("waiting", (waiting, *([nobody] if nobody else [])), {}, approval.id)

    async def _trust(self, work: Work, server: Server, shown: str) -> Say | None:
        try:
            await self._fleet.trust(work.tenant, work.user, server, shown)
        except It0Error as error:
            return error.say
        trusted = await self._fleet.server(work.tenant, server.name)
        await self.probing.learn(work.tenant, work.user, trusted, work.address.channel)
        return None

    async def _changed(
        self, tx: Transaction, work: Work, approval: Approval, known: Mapping[str, Server]
    ) -> Say | None:
        """Return what has changed since the approval, if anything has. known: the servers that are left."""
        if any(server_id not in known for server_id in approval.action.server_ids):
            return say("gate.server_gone")
        servers = [known[server_id] for server_id in approval.action.server_ids]
        now = replace(approval.action, os_users=tuple(server.ssh_user for server in servers))
        if now.ways:
            now = replace(now, ways=tuple(server.way for server in servers))
        if now.kind != "trust":
            keys = tuple(fingerprint(s.host_key) if s.host_key else "" for s in servers)
            now = replace(now, host_keys=keys)
        if now.digest(work.tenant.id, approval.id, approval.nonce) != approval.digest:
            return say("gate.changed", code=approval.code)
        if now.kind == "write":
            return self.writing.changed(approval, servers[0])
        if now.kind == "send":
            return self.sending.changed(approval, servers[0])
        if now.kind == "run" and (foreign := self._foreign(now.command, servers)) is not None:
            return foreign
        if now.kind == "run":
            verdict = await self.judging.judge_in(tx, now.command, servers)
            if verdict.level > approval.level:
                return say("gate.level_rose", code=approval.code)
        return None


def _warned(verdict: Verdict, servers: Sequence[Server]) -> Verdict:
    """Return the verdict with what people should know beforehand of servers that are restricted."""
    narrow = [server.name for server in servers if server.restricted]
    if not narrow:
        return verdict
    return replace(verdict, reasons=(*verdict.reasons, say("gate.restricted", servers=", ".join(narrow))))
