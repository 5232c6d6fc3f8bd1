"""A turn's toolbox on a real store, with a scripted shell or a real one behind its gate."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import asyncssh
from fakes.desk import make_desk, taken_work
from fakes.shell import ScriptedShell
from support.store import Store, add_user

from agent.context import Desk, Work
from agent.engine import Answer
from agent.fleet.forms import NewServer
from agent.fleet.servers import Fleet
from agent.gate.deciding.approvals import Approvals
from agent.gate.deciding.votes import Click
from agent.gate.gate import Gate
from agent.gate.running.execution import Executor
from agent.redaction.redactions import Redactions
from agent.risk import classify
from agent.shell.hostkeys import one_line
from agent.toolbox import Toolbox
from agent.tools import all_tools
from core.ports import Shell, Target
from core.store import approvals as stored_approvals
from core.store import runs
from core.texts import Say
from core.work import Approval, Role, RunTarget

KEY = one_line(asyncssh.generate_private_key("ssh-ed25519"))


class Showing(ScriptedShell):
    """A shell to which every server shows ``KEY``."""

    async def host_key(self, target: Target) -> str:
        """Return the key."""
        return KEY


class Bench:
    """A turn's toolbox for an admin, whose calls are numbered by themselves."""

    def __init__(
        self, store: Store, work: Work, desk: Desk, fleet: Fleet, gate: Gate, shell: "Showing"
    ) -> None:
        self.store, self.work, self.desk, self.fleet, self.gate, self.shell = (
            store,
            work,
            desk,
            fleet,
            gate,
            shell,
        )
        self.steps = 0
        self.as_role(Role.ADMIN)

    def as_role(self, role: Role) -> None:
        """Make the user one of ``role``."""
        work = replace(self.work, user=replace(self.work.user, role=role))
        tools = all_tools(self.gate, self.fleet, self.desk.clock)
        self.box = Toolbox(work, self.desk, self.gate, self.fleet, tools, "direct", self.desk.clock())

    async def __call__(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool."""
        self.steps += 1
        return await self.box.call(self.steps, tool, arguments)

    async def approved(self, answer: Answer) -> tuple[Approval, Say | Sequence[RunTarget]]:
        """Approve what an answer waits for; return the request, and how it went or why it did not begin."""
        approval, work = await self.asked(answer), self.work
        click = Click(approval.id, "approve", "console", f"click-{approval.id}")
        await Approvals(self.desk).decide(work.tenant, work.user, click)
        refusal = await self.gate.perform(work, approval)
        self.box.waits_for = ""
        async with work.tenant.reading() as db:
            found = await runs.get(db, approval.id)
        return approval, refusal or (found[1] if found else ())

    async def asked(self, answer: Answer) -> Approval:
        """Return the request that an answer waits for."""
        async with self.work.tenant.reading() as db:
            found = await stored_approvals.get(db, answer.approval_id or "")
        assert found is not None
        return found

    async def knows(self, host: str) -> None:
        """Put a host into the inventory."""
        tenant, user = self.work.tenant, self.work.user
        await self.fleet.add_server(tenant, user, NewServer("web", host, connection="local"))


def key_of(answer: Answer) -> str:
    """Return the key of an answer's first sentence."""
    first = answer.parts[0]
    assert isinstance(first, Say)
    return first.key


async def make_bench(store: Store, real: Shell | None = None) -> Bench:
    """Return a bench for Ann, an admin. real: the shell that is used instead of the scripted one."""
    tenant, desk, shell = await store.first(), make_desk(store.clock), Showing()
    ann = await add_user(tenant, store.clock, "ann")
    hands = real or shell
    fleet, approvals = Fleet(hands, store.clock), Approvals(desk)
    executor = Executor(hands, desk, Redactions(fleet.credentials), 10)
    gate = Gate(desk, fleet, approvals, executor, classify, 60, 3600, 600, 20_000)
    return Bench(store, await taken_work(tenant, ann, desk), desk, fleet, gate, shell)
