"""Whether anything may be run at all, whoever decides: how tenant and asker stand at this moment."""

from collections.abc import Awaitable, Callable

from agent.context import Work
from core.errors import Halted, NotAllowed, Refused
from core.store import people, preferences
from core.store.database import Transaction
from core.tenant import Tenant
from core.work import Role


async def not_stopped(tx: Transaction, tenant: Tenant) -> None:
    """Raise Halted, or Refused in a suspended tenant: as it is now, which the handle may not know yet."""
    if (await preferences.load(tx)).halted_by:
        raise Halted
    if await tx.value(people.TENANT_STATUS, tenant=tenant.id) != "active":
        raise Refused("error.tenant_suspended")


async def is_stopped(tx: Transaction, tenant: Tenant) -> bool:
    """Return whether a tenant is halted or suspended now."""
    try:
        await not_stopped(tx, tenant)
    except (Halted, Refused):
        return True
    return False


def still_allowed(work: Work) -> Callable[[Transaction], Awaitable[None]]:
    """Return the check that whoever asked may still have anything run: a turn may be minutes old."""

    async def check(tx: Transaction) -> None:
        await not_stopped(tx, work.tenant)
        user = await people.user(tx, work.user.id)
        if user is None or not user.active or not user.role.covers(Role.OPERATOR):
            raise NotAllowed("error.operators_only")

    return check
