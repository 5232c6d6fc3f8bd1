"""Reading a whole file: its content goes to whoever asked within this process, and into no record."""

import shlex
from dataclasses import replace
from functools import partial

from agent.context import Call, Desk, Work
from agent.engine import Answer, outputs
from agent.files.places import unfit_for_files
from agent.files.scripts import Found, found_in, read_command
from agent.fleet.servers import Fleet
from agent.gate.answers import refuse_unfit
from agent.gate.deciding.standing import not_stopped, still_allowed
from agent.gate.running.execution import Executor
from agent.gate.running.jobs import Errand, job_of, owned, unasked
from agent.redaction.redact import Redact
from core.errors import BadInput, NotAllowed, Refused
from core.store.runs import Run
from core.tenant import Tenant
from core.texts import say
from core.work import Action, Approval, Risk, Role, RunTarget, Server

LIMIT_S = 120
ATTEMPTS = 5
"""A process that dies takes what it had read with it; so often it is read again."""

LOST = ("shell.never_started", "shell.lost")


class Fetching:
    """Reads files on servers, by the account that only reads where there is one."""

    def __init__(self, desk: Desk, fleet: Fleet, executor: Executor) -> None:
        self._desk = desk
        self._fleet = fleet
        self._executor = executor

    async def redact(self, tenant: Tenant) -> Redact:
        """Return what takes the tenant's secrets out of whatever is shown or stored."""
        return await self._executor.redact(tenant)

    async def server(self, call: Call, name: str) -> Server:
        """Return the one server that is meant; raises for who may not, and where no file is handled."""
        if not call.work.user.role.covers(Role.OPERATOR):
            raise NotAllowed("error.operators_only")
        servers = await self._fleet.clusters.meant(call.work.tenant, [name])
        if len(servers) != 1:
            raise BadInput("edit.one_server")
        if (refusal := unfit_for_files(servers[0])) is not None:
            raise Refused(refusal.key, **refusal.params)
        return servers[0]

    async def look(
        self, work: Work, step: int, server: Server, path: str, most: int, approval: Approval | None = None
    ) -> Found | Answer:
        """Return what is at ``path``, a file with its content, or the answer that says why it cannot be read.

        server: with the account that reads it; most: bytes that the file may have; approval: by which it is
        read, None where it needs none.
        """
        for attempt in range(ATTEMPTS):
            run_id = f"{approval.id if approval else unasked(work, step)}-{attempt}"
            ended = await self._read(work, step, server, path, most, run_id, approval)
            if isinstance(ended, Answer):
                return ended
            if ended.ok and (found := found_in(ended.stdout)) is not None:
                return self._usable(found, server, most)
            if not (ended.ok or (ended.error or {}).get("say") in LOST):
                return Answer("failed", outputs([replace(ended, stdout="")]))
        return Answer("failed", (say("edit.not_read", path=path, server=server.name),))

    def _usable(self, found: Found, server: Server, most: int) -> Found | Answer:
        if found.word in ("file", "new"):
            return found
        where = {"path": found.path, "server": server.name, "limit": most}
        return Answer("refused", (say(f"edit.{found.word}", **where),))

    async def _read(
        self,
        work: Work,
        step: int,
        server: Server,
        path: str,
        most: int,
        run_id: str,
        approval: Approval | None,
    ) -> RunTarget | Answer:
        ways = await self._fleet.ways(work.tenant, [server])
        if ways.unfit:
            return refuse_unfit([server], ways.unfit)
        run = Run(
            run_id,
            work.conversation_id,
            work.turn_id,
            None,
            f"base64 {shlex.quote(path)}",
            approval.level if approval else Risk.L0,
            ((server.id, server.name),),
            approval.requester_id if approval else work.user.id,
            approval.settled_by if approval else None,
        )
        action = Action("run", run.command, (server.id,), ("",), (server.ssh_user,), timeout_s=LIMIT_S)
        errand = Errand(read_command(path, most), keep_bytes=most * 7 // 5 + 16_384)
        check, digest = owned(self._desk, work), approval.digest if approval else ""
        may_start = partial(not_stopped, tenant=work.tenant) if approval else still_allowed(work)
        job = job_of(work, run, action, ways, check, step, may_start, digest, errand)
        return (await self._executor.run(work.tenant, job))[0]
