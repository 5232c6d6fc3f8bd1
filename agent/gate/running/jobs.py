"""A run with all that the executor needs."""

from collections.abc import Awaitable, Callable

from agent.context import Desk, Work
from agent.fleet.servers import Ways
from agent.gate.running.execution import Errand, Job
from core.errors import Fenced
from core.store import inbox
from core.store.database import Transaction
from core.store.runs import Run
from core.work import Action, RunTarget

Check = Callable[[Transaction], Awaitable[None]]


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
