"""Saying something: an event in a conversation's log and its outbox row, in the caller's transaction."""

from collections.abc import Sequence

from agent.context import Desk
from core.messages import Address, Outbound
from core.store import log, outbox
from core.store.database import Transaction
from core.store.log import Event
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
