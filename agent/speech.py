"""Saying something: an event in a conversation's log and its outbox row, in the caller's transaction."""

from collections.abc import Sequence

from agent.context import Desk, Work
from core.messages import Address, Outbound, Part
from core.store import endings, log, outbox
from core.store.database import Transaction
from core.store.log import Event
from core.store.turns import Turn
from core.tenant import Tenant


async def speak(
    desk: Desk,
    tx: Transaction,
    tenant: Tenant,
    conversation_id: str,
    address: Address,
    outbound: Outbound,
    turn_id: str | None = None,
    before: Sequence[Event] = (),
) -> int:
    """Append ``before`` and then ``outbound``, and have it delivered once the transaction is committed.

    Returns the outbound's sequence number.
    """
    said = Event(outbound.kind, outbound.as_json(), turn_id)
    seq = await log.append(tx, conversation_id, [*before, said], desk.clock())
    parcel = await outbox.put(tx, desk.me, tenant.id, address, conversation_id, seq, said.body)
    tx.after_commit.append(lambda: desk.post(parcel))
    return seq


async def answer(desk: Desk, work: Work, turn: Turn, parts: Sequence[Part]) -> None:
    """End a turn with ``parts`` as its answer, have it delivered, and let the lane go.

    Raises Fenced when somebody else owns the work by now, and then nothing is written.
    """
    reply = Outbound("reply", parts)
    said = Event(reply.kind, reply.as_json(), turn.id)
    at = turn.ended_at or desk.clock()
    async with work.tenant.statement() as db:
        parcel, more = await endings.answer(db, turn, work.taken, desk.me, work.address, said, at)
        db.after_commit.append(lambda: desk.post(parcel))
        if more:
            db.after_commit.append(desk.wake)
