"""The durable outbox: each row says "deliver this event of this conversation", in order within it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, exists, func, insert, literal_column, select, update

from core.messages import Address
from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import BIG, BIGS, DOUBLE, INT, param

O = tables.outbox  # noqa: E741
P = tables.processes


@dataclass(frozen=True, slots=True)
class Parcel:
    """An outbox row that this process may deliver now.

    address, body: where to and what, when the sender had them at hand; else they are read.
    """

    id: int
    tenant_id: str
    installation_id: str
    conversation_id: str
    seq: int
    attempts: int
    address: Address | None = None
    body: Mapping[str, Any] | None = None


_earlier = O.alias("earlier")
_something_is_ahead = exists(
    select(literal_column("1"))
    .select_from(_earlier)
    .where(
        _earlier.c.tenant_id == param("tenant"),
        _earlier.c.conversation_id == param("conversation"),
        _earlier.c.state.in_([literal_column("'new'"), literal_column("'taken'")]),
    )
)
PUT = Statement(
    insert(O)
    .from_select(
        ["tenant_id", "installation_id", "conversation_id", "seq", "state", "owner", "attempts"],
        select(
            param("tenant"),
            param("installation_id"),
            param("conversation"),
            param("seq", BIG),
            case((_something_is_ahead, "new"), else_="taken"),
            case((_something_is_ahead, None), else_=param("me")),
            case((_something_is_ahead, literal_column("0")), else_=literal_column("1")),
        ),
    )
    .returning(O.c.id, O.c.state)
)
_mine = and_(O.c.id == param("id", BIG), O.c.state == "taken", O.c.owner == param("me"))
SENT = Statement(update(O).where(_mine).values(state="sent", owner=None, sent_at=func.now()))
AGAIN = Statement(
    update(O)
    .where(_mine)
    .values(
        state=case((O.c.attempts >= param("limit", INT), "set_aside"), else_="new"),
        owner=None,
        error=param("reason"),
        due_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, param("delay_s", DOUBLE)),
    )
    .returning(O.c.state)
)
_heads = (
    select(O.c.id)
    .where(
        O.c.state == "new",
        O.c.due_at <= func.now(),
        ~exists(
            select(literal_column("1"))
            .select_from(_earlier)
            .where(
                _earlier.c.tenant_id == O.c.tenant_id,
                _earlier.c.conversation_id == O.c.conversation_id,
                _earlier.c.state.in_([literal_column("'new'"), literal_column("'taken'")]),
                _earlier.c.id < O.c.id,
            )
        ),
    )
    .order_by(O.c.due_at, O.c.id)
    .limit(param("count", INT))
    .with_for_update(of=O, skip_locked=True)
    .scalar_subquery()
)
CLAIM = Statement(
    update(O)
    .where(O.c.id.in_(_heads))
    .values(state="taken", owner=param("me"), attempts=O.c.attempts + 1)
    .returning(O.c.id, O.c.tenant_id, O.c.installation_id, O.c.conversation_id, O.c.seq, O.c.attempts)
)
RECLAIM = Statement(
    update(O)
    .where(O.c.state == "taken", O.c.owner.not_in(select(P.c.id).scalar_subquery()))
    .values(state="new", owner=None)
)
MINE = Statement(select(O.c.id).where(O.c.state == "taken", O.c.owner == param("me")))
LET_GO = Statement(
    update(O)
    .where(O.c.id == func.any(bindparam("ids", type_=BIGS)), O.c.state == "taken", O.c.owner == param("me"))
    .values(state="new", owner=None)
)
PURGE = Statement(
    delete(O).where(
        O.c.state == "sent",
        O.c.sent_at < func.now() - func.make_interval(0, 0, 0, 0, param("keep_hours", INT)),
    )
)
OPEN_STATES = O.c.state.in_([literal_column(f"'{state}'") for state in ("new", "taken", "set_aside")])
DEPTH = Statement(select(O.c.state, func.count()).where(OPEN_STATES).group_by(O.c.state))


async def put(
    tx: Transaction,
    me: str,
    tenant_id: str,
    address: Address,
    conversation_id: str,
    seq: int,
    body: Mapping[str, Any],
) -> Parcel | None:
    """Write that an event is to be delivered; return it if ``me`` may deliver it at once.

    It waits its turn where something of the same conversation is still to be delivered.
    """
    row = await tx.one(
        PUT,
        me=me,
        tenant=tenant_id,
        installation_id=address.installation_id,
        conversation=conversation_id,
        seq=seq,
    )
    if row is None or row["state"] == "new":
        return None
    return Parcel(row["id"], tenant_id, address.installation_id, conversation_id, seq, 1, address, body)


async def claim(tx: Transaction, me: str, count: int) -> list[Parcel]:
    """Take up to ``count`` parcels that are due and first in their conversation."""
    rows = await tx.all(CLAIM, me=me, count=count)
    return [Parcel(*row.values()) for row in rows]


async def sent(tx: Transaction, me: str, parcel: Parcel) -> bool:
    """Mark a parcel as delivered; return False if another process owns it by now."""
    return await tx.run(SENT, id=parcel.id, me=me) == 1


async def again(
    tx: Transaction, me: str, parcel: Parcel, reason: str, delay_s: float, limit: int
) -> Row | None:
    """Put a parcel back for later, or aside after ``limit`` attempts; return its new state."""
    return await tx.one(AGAIN, id=parcel.id, me=me, reason=reason, delay_s=delay_s, limit=limit)
