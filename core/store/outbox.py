"""The durable outbox: each row says "deliver this event of this conversation", in order within it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningInsert

from core.messages import Address
from core.store import leases, tables
from core.store.database import Row, Statement, Transaction
from core.store.people import READER
from core.store.statements import BIG, BIGS, DOUBLE, INT, JSON, param
from core.texts import Language, as_language

L = tables.leases
O = tables.outbox  # noqa: E741
P = tables.processes


@dataclass(frozen=True, slots=True)
class Parcel:
    """An outbox row that this process may deliver now.

    receipt: what the platform took of it before. address, body, language: where to, what and how its reader
    reads, when the sender had them at hand; else they are read. mine: False for one that waits behind
    another, or for another process.
    """

    id: int
    tenant_id: str
    installation_id: str
    conversation_id: str
    seq: int
    attempts: int
    receipt: Sequence[Any] | None = None
    address: Address | None = None
    body: Mapping[str, Any] | None = None
    mine: bool = True
    language: Language | None = None


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


_sender: ColumnElement[str] = literal_column(f"'{leases.SENDER}'")


def _is_sent_elsewhere(installation_id: Any) -> Any:
    """Return the condition that another process, which is alive, holds the lease on sending for it."""
    return exists(
        select(literal_column("1"))
        .select_from(L)
        .where(
            L.c.name == _sender.op("||")(installation_id),
            L.c.owner != param("me"),
            L.c.owner.in_(select(P.c.id).scalar_subquery()),
        )
    )


def putting(
    seq: ColumnElement[int], *sources: FromClause, waits: ColumnElement[bool]
) -> ReturningInsert[Any]:
    """Return what puts an event into the outbox, and takes it where it may be delivered at once.

    sources: where ``seq`` comes from. waits: what else keeps it waiting.
    """
    waits = or_(waits, _something_is_ahead, _is_sent_elsewhere(param("installation_id")))
    row = select(
        param("tenant"),
        param("installation_id"),
        param("conversation"),
        seq,
        case((waits, "new"), else_="taken"),
        case((waits, None), else_=param("me")),
        case((waits, literal_column("0")), else_=literal_column("1")),
    ).select_from(*sources)
    columns = ["tenant_id", "installation_id", "conversation_id", "seq", "state", "owner", "attempts"]
    language = READER.scalar_subquery().label("language")
    return insert(O).from_select(columns, row).returning(O.c.id, O.c.seq, O.c.state, language)


PUT = Statement(putting(param("seq", BIG), waits=false()))
_mine = and_(O.c.id == param("id", BIG), O.c.state == "taken", O.c.owner == param("me"))
SENT = Statement(
    update(O)
    .where(_mine)
    .values(state="sent", owner=None, sent_at=func.now(), receipt=param("receipt", JSON))
)
AGAIN = Statement(
    update(O)
    .where(_mine)
    .values(
        state=case((O.c.attempts >= param("limit", INT), "set_aside"), else_="new"),
        owner=None,
        receipt=param("receipt", JSON),
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
        ~_is_sent_elsewhere(O.c.installation_id),
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
    .returning(
        O.c.id, O.c.tenant_id, O.c.installation_id, O.c.conversation_id, O.c.seq, O.c.attempts, O.c.receipt
    )
)
RECEIPT = Statement(
    select(O.c.receipt).where(
        O.c.tenant_id == param("tenant"),
        O.c.conversation_id == param("conversation"),
        O.c.seq == param("seq", BIG),
    )
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
) -> Parcel:
    """Write that an event is to be delivered; the parcel says whether ``me`` may deliver it at once.

    It waits its turn where something of the same conversation is still to be delivered, and for the process
    that paces its platform if that is another.
    """
    row = await tx.one(
        PUT,
        me=me,
        tenant=tenant_id,
        installation_id=address.installation_id,
        conversation=conversation_id,
        seq=seq,
    )
    assert row is not None
    return parcel_of(row, tenant_id, address, conversation_id, body)


def parcel_of(
    row: Row, tenant_id: str, address: Address, conversation_id: str, body: Mapping[str, Any]
) -> Parcel:
    """Return the parcel of a row that ``putting`` returned."""
    place = (tenant_id, address.installation_id, conversation_id)
    mine, language = row["state"] != "new", as_language(row["language"])
    return Parcel(row["id"], *place, row["seq"], 1, None, address, body, mine, language)


async def claim(tx: Transaction, me: str, count: int) -> list[Parcel]:
    """Take up to ``count`` parcels that are due and first in their conversation."""
    rows = await tx.all(CLAIM, me=me, count=count)
    return [Parcel(*row.values()) for row in rows]


async def sent(tx: Transaction, me: str, parcel: Parcel, receipt: Sequence[Any]) -> bool:
    """Mark a parcel as delivered; return False if another process owns it by now.

    receipt: what the platform calls what it took.
    """
    return await tx.run(SENT, id=parcel.id, me=me, receipt=list(receipt) or None) == 1


async def again(
    tx: Transaction,
    me: str,
    parcel: Parcel,
    receipt: Sequence[Any],
    reason: str,
    delay_s: float,
    limit: int,
) -> Row | None:
    """Put a parcel back for later, or aside after ``limit`` attempts; return its new state."""
    taken = list(receipt) or None
    return await tx.one(
        AGAIN, id=parcel.id, me=me, receipt=taken, reason=reason, delay_s=delay_s, limit=limit
    )


async def receipt_of(tx: Transaction, tenant_id: str, conversation_id: str, seq: int) -> Sequence[Any]:
    """Return what the platform calls what it took of an event."""
    return await tx.value(RECEIPT, tenant=tenant_id, conversation=conversation_id, seq=seq) or ()
