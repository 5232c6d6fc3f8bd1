"""Performing what people approved: exactly that, once, and only if nothing has changed since."""

from collections.abc import Mapping
from dataclasses import replace

from agent.context import Desk, Work
from agent.fleet.servers import Fleet, Ways
from agent.gate.actions.begun import Begun
from agent.gate.actions.binding import keys_of, users_of
from agent.gate.actions.refusals import foreign_among
from agent.gate.actions.sending import Sending
from agent.gate.actions.trusting import Trusting
from agent.gate.actions.writing import Writing, errand_of, holds_secret
from agent.gate.deciding.standing import not_stopped
from agent.gate.judging.judging import Judging
from agent.gate.running.execution import Executor
from agent.gate.running.jobs import Check, job_of, owned
from core.errors import Refused
from core.store import clusters, preferences, runs
from core.store.database import Transaction
from core.store.runs import Run
from core.texts import Say, say
from core.work import Approval, Server


class Approved:
    """Performs approved acts, each by the hands of its kind."""

    def __init__(
        self,
        desk: Desk,
        fleet: Fleet,
        executor: Executor,
        judging: Judging,
        begun: Begun,
        trusting: Trusting,
        writing: Writing,
        sending: Sending,
    ) -> None:
        self._desk = desk
        self._fleet = fleet
        self._executor = executor
        self._judging = judging
        self._begun = begun
        self._trusting = trusting
        self._writing = writing
        self._sending = sending

    async def perform(self, work: Work, approval: Approval) -> Say | None:
        """Run exactly the approved act, if it is still what was approved (SECURITY A2).

        Returns why it was not run, or None; the results stand in the run's row.
        """
        action = approval.action
        async with work.tenant.reading() as db:
            known = await clusters.places_by_id(db, list(action.server_ids))
            is_halted = bool((await preferences.load(db)).halted_by)
            begun = await runs.get(db, approval.id)
        if begun is not None:
            if is_halted:
                await self._begun.end(work, approval.id)
            else:
                await self._begun.follow(work, approval, runs.run_of(*begun))
            return None
        if is_halted:
            return say("error.halted")
        async with work.tenant.reading() as db:
            refusal = await self._changed(db, work, approval, known)
        if refusal is not None:
            return refusal
        servers = [known[server_id] for server_id in action.server_ids]
        if action.kind == "trust":
            return await self._trusting.trust(work, servers[0], action.host_keys[0])
        if action.kind == "send":
            return await self._sending.deliver(work, approval, servers[0])
        return await self._run(work, approval, servers)

    async def _run(self, work: Work, approval: Approval, servers: list[Server]) -> Say | None:
        action, redact = approval.action, await self._executor.redact(work.tenant)
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
        check, may_start = owned(self._desk, work), self._unchanged(work, approval)
        job = job_of(
            work, run, action, ways, check, approval.step, may_start, approval.digest, errand_of(approval)
        )
        await self._executor.run(work.tenant, job)
        return None

    def _unchanged(self, work: Work, approval: Approval) -> Check:
        """Return what looks again with the servers held, so that none goes before the run stands."""

        async def may_start(tx: Transaction) -> None:
            await not_stopped(tx, work.tenant)
            held = await clusters.places_by_id(tx, list(approval.action.server_ids), hold=True)
            if (refusal := await self._changed(tx, work, approval, held)) is not None:
                raise Refused(refusal.key, **refusal.params)

        return may_start

    async def _changed(
        self, tx: Transaction, work: Work, approval: Approval, known: Mapping[str, Server]
    ) -> Say | None:
        """Return what has changed since the approval, if anything has. known: the servers that are left."""
        if any(server_id not in known for server_id in approval.action.server_ids):
            return say("gate.server_gone")
        servers = [known[server_id] for server_id in approval.action.server_ids]
        now = replace(approval.action, os_users=users_of(servers))
        if now.kind != "trust":
            now = replace(now, host_keys=keys_of(servers))
        if now.digest(work.tenant.id, approval.id, approval.nonce) != approval.digest:
            return say("gate.changed", code=approval.code)
        match now.kind:
            case "trust":
                return None
            case "write":
                return await self._writing.changed(tx, approval, servers[0])
            case "send":
                return await self._sending.changed(tx, approval, servers[0])
            case "run":
                return await self._rose(tx, approval, servers)

    async def _rose(self, tx: Transaction, approval: Approval, servers: list[Server]) -> Say | None:
        command = approval.action.command
        if (foreign := foreign_among(command, servers)) is not None:
            return foreign
        verdict = await self._judging.judge_in(tx, command, servers)
        return say("gate.level_rose", code=approval.code) if verdict.level > approval.level else None
