"""A run with all that the executor needs."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from agent.context import Desk, Work
from agent.fleet.servers import Ways
from core.errors import Fenced
from core.messages import Live
from core.ports import Target
from core.store import inbox
from core.store.database import Transaction
from core.store.runs import Run
from core.work import Action, Risk, RunTarget, Server

Check = Callable[[Transaction], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Errand:
    """What is sent for a run whose command line is only its short form: a file that is read or written.

    keep_bytes: of the output, which goes to whoever asked as it is, and is neither shown nor kept; 0: the
    output is like any other.
    """

    command: str
    stdin: str = ""
    keep_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One run with all that it needs.

    check: called in every transaction that writes of the run; raises when the work was taken over.
    may_start: called in the one that begins it; raises when it may not begin any more.
    digest: the approval's, "" for what runs unasked; channel: where it was asked for.
    unfit: the results of those of the run's servers that have no target, because nothing can be run there.
    errand: what is sent in place of the run's command line.
    """

    run: Run
    targets: Sequence[Target]
    timeout_s: int
    cwd: str
    check: Check
    live: Live
    step: int
    may_start: Check
    digest: str = ""
    channel: str = ""
    actor: str = "agent"
    unfit: Sequence[RunTarget] = ()
    errand: Errand | None = None

    @property
    def users(self) -> dict[str, str]:
        """Return as whom it logs in to each server, by id."""
        return {target.server.id: target.server.ssh_user for target in self.targets}


def job_of(
    work: Work,
    run: Run,
    action: Action,
    ways: Ways,
    check: Check,
    step: int,
    may_start: Check | None = None,
    digest: str = "",
    errand: Errand | None = None,
) -> Job:
    """Return a run with all that the executor needs; a server without a way has its result already."""
    failed = [
        RunTarget(server_id, name, "failed", error=ways.unfit[server_id].as_json())
        for server_id, name in run.servers
        if server_id in ways.unfit
    ]
    return Job(
        run,
        ways.targets,
        action.timeout_s,
        action.cwd,
        check,
        work.live,
        step,
        may_start or never,
        digest,
        work.address.channel,
        unfit=failed,
        errand=errand,
    )


def run_of_step(
    work: Work,
    step: int,
    command: str,
    level: Risk,
    servers: Sequence[Server],
    approver_id: str | None = None,
) -> Run:
    """Return the run of a step for which nobody is asked any more. approver_id: who allowed it before."""
    return Run(
        unasked(work, step),
        work.conversation_id,
        work.turn_id,
        None,
        command,
        level,
        tuple((server.id, server.name) for server in servers),
        work.user.id,
        approver_id,
    )


def owned(desk: Desk, work: Work) -> Check:
    """Return the check that this process still owns the work."""

    async def check(tx: Transaction) -> None:
        await inbox.check_fence(tx, work.taken, desk.me)

    return check


async def never(tx: Transaction) -> None:
    """Let nothing begin: the run is one that was begun before."""
    raise Fenced


def unasked(work: Work, step: int) -> str:
    """Return the id of the run of a step that needs no approval."""
    return f"{work.turn_id}-{step}"
