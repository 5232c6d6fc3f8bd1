"""An L1 that nobody decides goes ahead when its time is over, where the tenant's rule and its turn allow."""

from collections.abc import Sequence
from datetime import datetime

from agent.gate.deciding.standing import is_stopped
from agent.risk import MANY_SERVERS
from core.store import approvals as store
from core.store import clusters, people, preferences
from core.store.database import Transaction
from core.store.preferences import Preferences
from core.tenant import Tenant
from core.work import Action, Approval, Risk, Role


async def goes_ahead(
    tx: Transaction, action: Action, level: Risk, wishes: Preferences, seen: Sequence[str]
) -> bool:
    """Return whether an act may go ahead without a decision: decided when it is asked for, and shown.

    seen: what its turn has read of data from outside; with any of it a person has to decide.
    """
    if not wishes.l1_goes_ahead or level != Risk.L1 or action.kind != "run" or seen:
        return False
    return await _within_bounds(tx, action)


async def _within_bounds(tx: Transaction, action: Action) -> bool:
    """Return whether its servers are known, none in prod, and fewer than need an admin."""
    known = await clusters.places_by_id(tx, list(action.server_ids))
    if len(known) != len(set(action.server_ids)) or len(known) >= MANY_SERVERS:
        return False
    return all(server.environment != "prod" for server in known.values())


async def settle_by_time(tx: Transaction, tenant: Tenant, approval: Approval, now: datetime) -> str | None:
    """Settle a request whose time is over; return its status, None if it was settled or is not due.

    What allowed it to go ahead is asked again: the tenant's rule, its halt, the requester, the servers.
    """
    allowed = approval.goes_ahead and await _still_allowed(tx, tenant, approval)
    if allowed and await tx.value(store.GO_AHEAD, id=approval.id, now=now):
        return "approved"
    return "expired" if await tx.value(store.LAPSE, id=approval.id, now=now) else None


async def _still_allowed(tx: Transaction, tenant: Tenant, approval: Approval) -> bool:
    if await is_stopped(tx, tenant):
        return False
    wishes = await preferences.load(tx)
    asker = await people.user(tx, approval.requester_id)
    stays = asker is not None and asker.active and asker.role.covers(Role.OPERATOR)
    return wishes.l1_goes_ahead and stays and await _within_bounds(tx, approval.action)
