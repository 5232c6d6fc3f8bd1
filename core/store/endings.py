"""A turn's end: its row, its answer, the answer's delivery and the lane's release, in one statement.

The statement locks what it needs first: the conversation, the lane and the work, in the order that holds
everywhere (``inbox``). If any of these is not this process's any more, nothing at all is written.
"""

from datetime import datetime

from sqlalchemy import exists, literal_column, or_, select

from core.errors import Fenced
from core.messages import Address
from core.store import inbox, log, outbox, tables, turns
from core.store.database import Statement, Transaction
from core.store.inbox import Taken
from core.store.log import Event
from core.store.outbox import Parcel
from core.store.statements import of_tenant, param
from core.store.turns import Turn

C = tables.conversations
I = tables.inbox  # noqa: E741
L = tables.lanes

_by_id = C.c.id == param("conversation")
_held = (
    select(C.c.last_seq)
    .where(of_tenant(C), _by_id, inbox.OWN_LANE, inbox.OWN_WORK)
    .with_for_update(of=[C, L, I])
    .cte("held")
)
_is_held = exists(select(literal_column("1")).select_from(_held))
_missed = log.counted_by_snapshot(param("conversation")) != select(_held.c.last_seq).scalar_subquery()
"""Others wrote to the conversation while this waited for it: what they wrote is assumed to be in the way."""
_released = (
    inbox.releasing(_is_held).returning(or_(_missed, inbox.SOMETHING_WAITS).label("more")).cte("released")
)
_bump, _said = log.appending(_by_id, _is_held)
ANSWER = Statement(
    outbox.putting(_bump.c.last_seq, _bump, waits=_missed)
    .returning(select(_released.c.more).scalar_subquery().label("more"))
    .add_cte(
        inbox.ending(_is_held).cte("ended"),
        turns.writing(_held).cte("turn_written"),
        _said.cte("said"),
    )
)


async def answer(
    db: Transaction, turn: Turn, taken: Taken, me: str, address: Address, said: Event, at: datetime
) -> tuple[Parcel, bool]:
    """End a turn that has a lane with what it says at ``address``.

    db: of ``Database.statement``. Returns the parcel to deliver, and whether more waits in the lane. Raises
    Fenced when somebody else owns the work by now, and then nothing is written.
    """
    row = await db.one(
        ANSWER,
        tenant=taken.tenant_id,
        installation_id=address.installation_id,
        id=taken.id,
        fence=taken.fence,
        me=me,
        events=[said.as_json()],
        count=1,
        at=at,
        **turn.as_params(),
    )
    if row is None:
        raise Fenced(conversation=taken.conversation_id)
    parcel = outbox.parcel_of(row, taken.tenant_id, address, taken.conversation_id, said.body)
    return parcel, row["more"]
