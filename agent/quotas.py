"""What a tenant's plan allows of turns: the new one is refused, what runs is never cut (SPEC 1)."""

from agent.context import Work
from agent.toolbox import Toolbox
from core.errors import Refused
from core.store import inbox, quotas, turns
from core.store.database import Transaction
from core.store.statements import LOCK
from core.tenant import Tenant
from core.work import PLANS, Quotas


async def admit(work: Work, me: str, toolbox: Toolbox) -> None:
    """Let a new turn in, and write its row, so that the next one to ask sees it, in whatever process.

    Raises Refused at the plan's sessions a day, or its tasks at once. A turn that had begun goes on.
    """
    quota = PLANS[work.tenant.row.plan]
    if quota.sessions_a_day is None and quota.running_tasks is None:
        return
    async with work.tenant.transaction() as tx:
        await tx.run(LOCK, lock=f"turns {work.tenant.id}")
        if await turns.get(tx, work.turn_id) is not None:
            return
        await _check(tx, work, quota, toolbox)
        await turns.write(tx, toolbox.turn("running"))
        await inbox.check_fence(tx, work.taken, me)
    toolbox.stepped = True


async def _check(tx: Transaction, work: Work, quota: Quotas, toolbox: Toolbox) -> None:
    plan, here, at = work.tenant.row.plan, work.conversation_id, toolbox.started_at
    limit = quota.sessions_a_day
    is_new = limit is not None and not await quotas.is_session(tx, here, at)
    if limit is not None and is_new and await quotas.sessions(tx, at) >= limit:
        raise Refused("quota.sessions", limit=limit, plan=plan)
    limit = quota.running_tasks
    if limit is not None and await quotas.running(tx, but=here) >= limit:
        raise Refused("quota.tasks", limit=limit, plan=plan)


def engine_refused(tenant: Tenant, engine: str) -> Refused:
    """Return the refusal of an engine that a tenant's plan does not hold."""
    allowed = PLANS[tenant.row.plan].engines or ()
    return Refused("quota.engine", engine=engine, plan=tenant.row.plan, engines=", ".join(allowed))
