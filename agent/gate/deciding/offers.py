"""What a request offers beside yes and no: fixed when it is made, so that its card says it from the start."""

from dataclasses import replace

from agent.context import Work
from agent.gate.deciding.goes_ahead import goes_ahead
from agent.gate.deciding.grants import minutes_offered
from core.store.database import Transaction
from core.store.preferences import Preferences
from core.store.seen import seen_by
from core.work import Approval


async def with_offers(tx: Transaction, work: Work, approval: Approval, wishes: Preferences) -> Approval:
    """Return a new request with what its turn has read, and what may follow from that."""
    seen = await seen_by(tx, work.conversation_id, work.turn_id, work.user.id)
    return replace(
        approval,
        seen=seen,
        grant_minutes=minutes_offered(approval.action, approval.level, wishes),
        goes_ahead=await goes_ahead(tx, approval.action, approval.level, wishes, seen),
    )
