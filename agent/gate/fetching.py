"""Reading a whole file: its content goes to whoever asked within this process, and into no record."""

import shlex
from dataclasses import replace

from agent.context import Call, Desk
from agent.engine import Answer, outputs
from agent.files.scripts import Found, found_in, read_command
from agent.fleet.servers import Fleet
from agent.gate.answers import refuse_unfit
from agent.gate.execution import Errand, Executor
from agent.gate.jobs import job_of, not_halted, owned, unasked
from agent.redaction.redact import Redact
from core.store.runs import Run
from core.tenant import Tenant
from core.texts import say
from core.work import Action, Risk, RunTarget, Server

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

    async def look(self, call: Call, server: Server, path: str, most: int) -> Found | Answer:
        """Return what is at ``path``, a file with its content, or the answer that says why it cannot be read.

        most: bytes that the file may have.
        """
        for attempt in range(ATTEMPTS):
            ended = await self._read(call, server.for_reading, path, most, attempt)
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
        self, call: Call, server: Server, path: str, most: int, attempt: int
    ) -> RunTarget | Answer:
        work = call.work
        ways = await self._fleet.ways(work.tenant, [server])
        if ways.unfit:
            return refuse_unfit([server], ways.unfit)
        command = read_command(path, most)
        run_id = f"{unasked(work, call.step)}-{attempt}"
        place = ((server.id, server.name),)
        short = f"base64 {shlex.quote(path)}"
        run = Run(run_id, work.conversation_id, work.turn_id, None, short, Risk.L0, place, work.user.id, None)
        action = Action("run", run.command, (server.id,), ("",), (server.ssh_user,), timeout_s=LIMIT_S)
        errand = Errand(command, keep_bytes=most * 7 // 5 + 16_384)
        check = owned(self._desk, work)
        job = job_of(work, run, action, ways, check, call.step, not_halted, errand=errand)
        return (await self._executor.run(work.tenant, job))[0]
