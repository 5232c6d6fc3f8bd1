"""What comes in: an inbox row with its event, and with its conversation's lane where the way is free.

What is ahead of it is seen by the statement's own snapshot. ``accept`` follows an append to the conversation,
so its snapshot holds all that was written there before. ``accept_at_once`` appends within the statement: what
others committed while it waited for the conversation is missing from its snapshot. That shows in the
conversation's count, and then the row is left for a claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import CTE, ColumnElement, Select, and_, case, exists, func, literal_column, not_, select
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert

from core.store import openings, tables
from core.store.database import UNFLUSHED, Row, Statement, Transaction
from core.store.inbox import Taken
from core.store.log import BUMP_OPEN, INTO_OPEN, Event, Spot, counted_by_snapshot
from core.store.openings import Opening, opening
from core.store.statements import BIG, BOOL, param

I = tables.inbox  # noqa: E741
L = tables.lanes


def _lane_taken(conversation: ColumnElement[str], lane: Select[Any]) -> CTE:
    """Return what takes a conversation's lane if nobody has it and nothing waits for it.

    lane: selects (tenant, conversation, owner); without an owner the lane is made, but not taken.
    """
    ahead = I.alias("ahead")
    waits = exists(
        select(literal_column("1"))
        .select_from(ahead)
        .where(
            ahead.c.tenant_id == param("tenant"),
            ahead.c.conversation_id == conversation,
            ahead.c.state == "new",
            ahead.c.laned,
        )
    )
    queue = select(waits.label("waits")).cte("queue")
    taking = upsert(L).from_select(["tenant_id", "conversation_id", "owner"], lane)
    nobody_waits = not_(select(queue.c.waits).scalar_subquery())
    return (
        taking.on_conflict_do_update(
            index_elements=[L.c.tenant_id, L.c.conversation_id],
            set_={
                "owner": taking.excluded.owner,
                "fence": L.c.fence + 1,
                "stop": literal_column("false"),
                "since": func.now(),
            },
            where=and_(L.c.owner.is_(None), taking.excluded.owner.is_not(None), nobody_waits),
        )
        .returning(case((L.c.owner.is_not(None), L.c.fence)).label("fence"))
        .add_cte(queue)
        .cte("lane_taken")
    )


_columns = ["tenant_id", "installation_id", "event_id", "conversation_id", "seq", "laned"]
_how_taken = ["state", "owner", "attempts"]
_given = [
    param("tenant"),
    param("installation_id"),
    param("event_id"),
    param("conversation"),
    param("seq", BIG),
    param("laned", BOOL),
]


def _by_fence(fence: ColumnElement[int]) -> Sequence[ColumnElement[Any]]:
    """Return what ``_how_taken`` names: taken with the lane's fence, new without one."""
    return (
        case((fence.is_not(None), "taken"), else_="new"),
        case((fence.is_not(None), param("me")), else_=None),
        case((fence.is_not(None), literal_column("1")), else_=literal_column("0")),
    )


def _unless_known(row: Insert) -> Insert:
    return row.on_conflict_do_nothing(index_elements=[I.c.installation_id, I.c.event_id])


_lane = _lane_taken(param("conversation"), select(param("tenant"), param("conversation"), param("me")))
_fence = select(_lane.c.fence).scalar_subquery()
_laned = upsert(I).from_select([*_columns, *_how_taken], select(*_given, *_by_fence(_fence)))
ACCEPT_LANED = Statement(_unless_known(_laned).returning(I.c.id, _fence.label("fence")))
_free = upsert(I).from_select(
    [*_columns, *_how_taken], select(*_given, literal_column("'taken'"), param("me"), literal_column("1"))
)
ACCEPT_FREE = Statement(_unless_known(_free).returning(I.c.id, literal_column("NULL").label("fence")))
POST = Statement(_unless_known(upsert(I).from_select(_columns, select(*_given))).returning(I.c.id))
SEEN = Statement(
    select(I.c.id, I.c.tenant_id, I.c.conversation_id, I.c.seq).where(
        I.c.installation_id == param("installation_id"), I.c.event_id == param("event_id")
    )
)

_missed_nothing = counted_by_snapshot(BUMP_OPEN.c.id) == BUMP_OPEN.c.last_seq - param("count", BIG)
_lane_at_once = _lane_taken(
    select(BUMP_OPEN.c.id).scalar_subquery(),
    select(param("tenant"), BUMP_OPEN.c.id, case((_missed_nothing, param("me")))).select_from(BUMP_OPEN),
)
_fence_at_once = select(_lane_at_once.c.fence).scalar_subquery()
_given_at_once = [
    param("tenant"),
    param("installation_id"),
    param("event_id"),
    BUMP_OPEN.c.id,
    BUMP_OPEN.c.last_seq,
    literal_column("true"),
]
_accepted = (
    upsert(I)
    .from_select(
        [*_columns, *_how_taken],
        select(*_given_at_once, *_by_fence(_fence_at_once)).select_from(BUMP_OPEN),
    )
    .returning(I.c.id.label("work"), I.c.conversation_id, I.c.seq, _fence_at_once.label("fence"))
    .cte("accepted")
)
ACCEPT_AT_ONCE = Statement(
    opening(*_accepted.c, UNFLUSHED, conversation=_accepted.c.conversation_id).add_cte(
        INTO_OPEN.cte("into_open")
    )
)
"""Everything or nothing: an event that is known violates the inbox's uniqueness, and nothing is written."""


class Repeat(Exception):
    """The event was accepted before; the transaction that finds out is rolled back."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is written when an inbound is accepted."""

    tenant_id: str
    installation_id: str
    event_id: str
    conversation_id: str
    seq: int
    laned: bool

    def as_params(self) -> dict[str, object]:
        """Return the parameters of the accept statements."""
        return {
            "tenant": self.tenant_id,
            "installation_id": self.installation_id,
            "event_id": self.event_id,
            "conversation": self.conversation_id,
            "seq": self.seq,
            "laned": self.laned,
        }


@dataclass(frozen=True, slots=True)
class AtOnce:
    """What was accepted at once. taken: None if it waits; opening: what held then."""

    conversation_id: str
    seq: int
    taken: Taken | None
    opening: Opening


async def accept(tx: Transaction, arrival: Arrival, me: str) -> Taken | None:
    """Write the row and, where the way is free, take it for ``me`` at once.

    Returns the taken work, or None when it waits for its lane. Raises Repeat for a known event.
    """
    statement = ACCEPT_LANED if arrival.laned else ACCEPT_FREE
    row = await tx.one(statement, me=me, **arrival.as_params())
    if row is None:
        raise Repeat
    if arrival.laned and row["fence"] is None:
        return None
    return Taken(
        row["id"],
        arrival.tenant_id,
        arrival.conversation_id,
        arrival.seq,
        arrival.laned,
        row["fence"],
        attempts=1,
    )


async def accept_at_once(
    db: Transaction, tenant_id: str, spot: Spot, event_id: str, event: Event, at: datetime, me: str
) -> AtOnce | None:
    """Append what needs a lane to the conversation that is open at ``spot`` and accept it, in one statement.

    db: of ``Database.statement``, unflushed. Returns None if nothing is open there. Raises Repeat for a known
    event.
    """
    try:
        row = await db.one(
            ACCEPT_AT_ONCE,
            tenant=tenant_id,
            event_id=event_id,
            events=[event.as_json()],
            count=1,
            at=at,
            me=me,
            user=event.user_id or "",
            **spot.as_params(),
        )
    except asyncpg.UniqueViolationError as error:
        raise Repeat from error
    if row is None:
        return None
    conversation, seq, fence = row["conversation_id"], row["seq"], row["fence"]
    taken = Taken(row["work"], tenant_id, conversation, seq, True, fence, attempts=1) if fence else None
    return AtOnce(conversation, seq, taken, openings.of(row))


async def post(tx: Transaction, arrival: Arrival) -> bool:
    """Write a row for whoever claims it; return False if the event is known already."""
    return await tx.one(POST, **arrival.as_params()) is not None


async def seen(tx: Transaction, installation_id: str, event_id: str) -> Row | None:
    """Return the row of an event that was accepted before."""
    return await tx.one(SEEN, installation_id=installation_id, event_id=event_id)
