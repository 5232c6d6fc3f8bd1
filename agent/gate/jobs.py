"""A run with all that the executor needs, and what is asked before it may begin."""

from collections.abc import Awaitable, Callable

from agent.context import Desk, Work
from agent.fleet.servers import Ways
from agent.gate.execution import Errand, Job
from core.errors import Fenced, Halted, NotAllowed, Refused
from core.store import inbox, people, preferences
from core.store.database import Transaction
from core.store.runs import Run
from core.tenant import Tenant
from core.work import Action, Role, RunTarget

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


async def not_halted(tx: Transaction) -> None:
    if (await preferences.load(tx)).halted_by:
        raise Halted


async def not_stopped(tx: Transaction, tenant: Tenant) -> None:
    """Raise Halted, or Refused in a suspended tenant: as it is now, which the handle may not know yet."""
    await not_halted(tx)
    if await tx.value(people.TENANT_STATUS, tenant=tenant.id) != "active":
        raise Refused("error.tenant_suspended")


async def is_stopped(tx: Transaction, tenant: Tenant) -> bool:
    """Return whether a tenant is halted or suspended now."""
    try:
        await not_stopped(tx, tenant)
    except (Halted, Refused):
        return True
    return False


def still_allowed(work: Work) -> Check:
    """Return the check that whoever asked may still have anything run: a turn may be minutes old."""

    async def check(tx: Transaction) -> None:
        await not_stopped(tx, work.tenant)
        user = await people.user(tx, work.user.id)
        if user is None or not user.active or not user.role.covers(Role.OPERATOR):
            raise NotAllowed("error.operators_only")

    return check


async def never(tx: Transaction) -> None:
    """Let nothing begin: the run is one that was begun before."""
    raise Fenced


def unasked(work: Work, step: int) -> str:
    """Return the id of the run of a step that needs no approval."""
    return f"{work.turn_id}-{step}"
