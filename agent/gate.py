"""THE gate: classify, then run, suspend or refuse; audited. Nothing else in it0 can run a command."""

import shlex
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from agent.approvals import Approvals
from agent.context import Call, Desk, Work
from agent.engine import Answer, outputs
from agent.execution import Executor, Job
from agent.fleet import Fleet
from agent.hostkeys import fingerprint
from core.audit import Entry
from core.errors import BadInput, Halted, It0Error, NotAllowed, Refused
from core.ports import Classifier
from core.store import fleet as fleet_store
from core.store import inbox, preferences, runs
from core.store.database import Transaction
from core.store.runs import Run
from core.texts import Say, say
from core.work import Action, Approval, Risk, Role, RunTarget, Server, Verdict

MAX_COMMAND = 16_384
MAX_TARGETS = 1_000


class Gate:
    """Decides what becomes of a command.

    timeout_s, timeout_max_s: a command's limit in seconds, and the most that may be asked for.
    """

    def __init__(
        self,
        desk: Desk,
        fleet: Fleet,
        approvals: Approvals,
        executor: Executor,
        classify: Classifier,
        timeout_s: int,
        timeout_max_s: int,
    ) -> None:
        self._desk = desk
        self._fleet = fleet
        self._approvals = approvals
        self._executor = executor
        self._classify = classify
        self._timeout_s = timeout_s
        self._timeout_max_s = timeout_max_s

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
        servers = await self._servers(work, names)
        verdict = self.judge(command, servers)
        if verdict.level >= Risk.L3:
            return await self._refuse(work, command, servers, verdict)
        action = self._action(command, servers, timeout_s)
        if verdict.level == Risk.L0:
            results = await self._run_unasked(work, call.step, action, servers)
            return answer_of(results)
        if verdict.level > call.most:
            return Answer("refused", (say("gate.only_reads", level=int(verdict.level), part=verdict.part),))
        if call.waits_for:
            return Answer("refused", (say("gate.not_run_waiting", code=call.waits_for),))
        approval, nobody = await self._approvals.ask(work, call.step, action, verdict)
        waiting: list[Say] = [say("gate.waiting", code=approval.code, level=int(approval.level))]
        return Answer("waiting", (*waiting, *([nobody] if nobody else [])), {}, approval.id)

    def judge(self, command: str, servers: Sequence[Server]) -> Verdict:
        """Return the level of ``command`` on all of ``servers``: the strictest environment counts."""
        strictest = max((s.environment for s in servers), key=("dev", "staging", "prod").index)
        return self._classify(command, strictest, len(servers))

    async def _servers(self, work: Work, names: Sequence[str]) -> list[Server]:
        if not names:
            raise BadInput("gate.no_servers")
        if len(names) > MAX_TARGETS:
            raise BadInput("gate.too_many_servers", count=len(names), limit=MAX_TARGETS)
        found = (
            [await self._fleet.server(work.tenant, names[0])]
            if len(names) == 1
            else await self._many(work, names)
        )
        for server in found:
            if server.connection == "ssh" and server.host_key is None:
                raise Refused("error.host_key_unknown", server=server.name)
        return found

    async def _many(self, work: Work, names: Sequence[str]) -> list[Server]:
        by_name = {server.name: server for server in await self._fleet.servers(work.tenant)}
        for name in names:
            if name not in by_name:
                raise Refused("error.no_such_server", server=name)
        return [by_name[name] for name in dict.fromkeys(names)]

    def _action(self, command: str, servers: Sequence[Server], timeout_s: int | None) -> Action:
        if not command.strip():
            raise BadInput("gate.empty_command")
        if len(command) > MAX_COMMAND or "\0" in command:
            raise BadInput("gate.bad_command", limit=MAX_COMMAND)
        return Action(
            kind="run",
            command=command,
            server_ids=tuple(server.id for server in servers),
            host_keys=tuple(fingerprint(s.host_key) if s.host_key else "" for s in servers),
            os_users=tuple(server.ssh_user for server in servers),
            timeout_s=min(timeout_s or self._timeout_s, self._timeout_max_s),
        )

    async def _refuse(self, work: Work, command: str, servers: Sequence[Server], verdict: Verdict) -> Answer:
        detail = {
            "command": command[:MAX_COMMAND],
            "level": int(verdict.level),
            "servers": [server.name for server in servers],
            "reasons": [reason.key for reason in verdict.reasons],
            "rules": verdict.rules,
        }
        entry = Entry(
            "command.refused", "agent", None, None, "turn", work.turn_id, work.address.channel, detail=detail
        )
        await work.tenant.audit.append(entry, self._desk.clock())
        return Answer("refused", (say("gate.forbidden", part=verdict.part), *verdict.reasons))

    async def _run_unasked(
        self, work: Work, step: int, action: Action, servers: Sequence[Server]
    ) -> list[RunTarget]:
        async def check(tx: Transaction) -> None:
            await inbox.check_fence(tx, work.taken, self._desk.me)
            if (await preferences.load(tx)).halted_by:
                raise Halted

        run_id = f"{work.turn_id}-{step}"
        run = Run(
            run_id,
            work.conversation_id,
            work.turn_id,
            None,
            action.command,
            Risk.L0,
            tuple((server.id, server.name) for server in servers),
            work.user.id,
            None,
        )
        job = await self._job(work, run, action, servers, check, step)
        return await self._executor.run(work.tenant, job)

    async def _job(
        self,
        work: Work,
        run: Run,
        action: Action,
        servers: Sequence[Server],
        check: Callable[[Transaction], Awaitable[None]],
        step: int,
        digest: str = "",
    ) -> Job:
        targets = await self._fleet.targets(work.tenant, servers)
        return Job(
            run, targets, action.timeout_s, action.cwd, check, work.live, step, digest, work.address.channel
        )

    async def perform(self, work: Work, approval: Approval) -> Say | None:
        """Run exactly the approved act, if it is still what was approved (SECURITY A2).

        Returns why it was not run, or None; the results stand in the run's row.
        """
        action = approval.action
        async with work.tenant.reading() as db:
            known = await fleet_store.servers_by_id(db, list(action.server_ids))
            halted = (await preferences.load(db)).halted_by
        if halted:
            return say("error.halted")
        missing = [server_id for server_id in action.server_ids if server_id not in known]
        if missing:
            return say("gate.server_gone")
        servers = [known[server_id] for server_id in action.server_ids]
        refusal = self._drift(work, approval, servers)
        if refusal is not None:
            return refusal
        if action.kind == "trust":
            return await self._trust(work, servers[0], action.host_keys[0])
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

        async def check(tx: Transaction) -> None:
            return None

        job = await self._job(work, run, action, servers, check, approval.step, approval.digest)
        await self._executor.run(work.tenant, job)
        return None

    async def end_runs(self, work: Work, approval_id: str | None = None) -> None:
        """Stop what a process that died left running for this turn, or for this act."""
        async with work.tenant.reading() as db:
            rows = await db.all(runs.RUNNING_IN, conversation=work.conversation_id)
            mine = [r["id"] for r in rows if r["turn_id"] == work.turn_id and r["approval_id"] is None]
            found = [await runs.get(db, run_id) for run_id in ([approval_id] if approval_id else mine)]
        for row, targets in filter(None, found):
            await self._end_run(work, runs.run_of(row, targets))

    async def _end_run(self, work: Work, run: Run) -> None:
        async def check(tx: Transaction) -> None:
            await inbox.check_fence(tx, work.taken, self._desk.me)

        server_ids = [server_id for server_id, _ in run.servers]
        async with work.tenant.reading() as db:
            known = await fleet_store.servers_by_id(db, server_ids)
        servers = [known[server_id] for server_id in server_ids if server_id in known]
        action = self._action(run.command, servers, None)
        await self._executor.stop(work.tenant, await self._job(work, run, action, servers, check, 0))

    async def ask_trust(self, call: Call, server: Server, shown: str) -> Answer:
        """Ask a person to confirm the host key that ``server`` shows (SECURITY H2)."""
        action = Action("trust", f"trust {server.name} {shown}", (server.id,), (shown,), (server.ssh_user,))
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
        return None

    def _drift(self, work: Work, approval: Approval, servers: Sequence[Server]) -> Say | None:
        """Return what has changed since the approval, if anything has."""
        now = replace(approval.action, os_users=tuple(server.ssh_user for server in servers))
        if now.kind == "run":
            keys = tuple(fingerprint(s.host_key) if s.host_key else "" for s in servers)
            now = replace(now, host_keys=keys)
        if now.digest(work.tenant.id, approval.id, approval.nonce) != approval.digest:
            return say("gate.changed", code=approval.code)
        if now.kind == "run" and self.judge(now.command, servers).level > approval.level:
            return say("gate.level_rose", code=approval.code)
        return None


def answer_of(results: Sequence[RunTarget]) -> Answer:
    """Return what a run came to, as a tool's answer."""
    data = {
        "results": [
            {
                "server": r.server,
                "state": r.state,
                "exit_code": r.exit_code,
                "duration_ms": r.duration_ms,
            }
            for r in results
        ]
    }
    return Answer("done" if all(r.state == "done" for r in results) else "failed", outputs(results), data)


def quoted(word: str) -> str:
    """Return ``word`` as one argument of a shell command."""
    return shlex.quote(word)
