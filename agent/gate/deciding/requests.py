"""A new request with all that its card says from the start: what it asks for, and what may follow from it."""

from datetime import datetime

from agent.context import Work
from agent.gate.deciding.goes_ahead import goes_ahead
from agent.gate.deciding.grants import minutes_offered
from core.ids import approval_code, new_id, new_token
from core.store.database import Transaction
from core.store.preferences import Preferences
from core.store.seen import seen_by
from core.work import Action, Approval, Risk, Verdict, approval_expiry


async def new_request(
    tx: Transaction,
    work: Work,
    step: int,
    action: Action,
    verdict: Verdict,
    wishes: Preferences,
    at: datetime,
) -> Approval:
    """Return a request that is not stored yet, bound by its digest to exactly this act."""
    seen = await seen_by(tx, work.conversation_id, work.turn_id, work.user.id)
    request_id, nonce = new_id(), new_token()
    return Approval(
        id=request_id,
        code=approval_code(),
        conversation_id=work.conversation_id,
        turn_id=work.turn_id,
        step=step,
        action=action,
        digest=action.digest(work.tenant.id, request_id, nonce),
        nonce=nonce,
        level=verdict.level,
        reasons=tuple(reason.as_json() for reason in verdict.reasons),
        part=verdict.part,
        rules=verdict.rules,
        requester_id=work.user.id,
        needed=wishes.approvals_needed if verdict.level >= Risk.L2 else 1,
        approvals=0,
        four_eyes=wishes.four_eyes,
        status="pending",
        created_at=at,
        expires_at=approval_expiry(verdict.level, at),
        policy=verdict.policy,
        seen=seen,
        grant_minutes=minutes_offered(action, verdict.level, wishes),
        goes_ahead=await goes_ahead(tx, action, verdict.level, wishes, seen),
    )
