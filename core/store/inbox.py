"""The durable inbox and its lanes: what was accepted is handled once, one turn at a time per conversation.

A lane is a conversation's right to a running turn: its row holds the owning process and a fence that rises
with every change of owner. Taking a lane (``arrivals``), letting it go (here and in ``endings``) and looking
for the next message each lock the lane's row first, so no wake-up is lost between the end of a turn and a
message that comes in just then. What processes that are gone left behind is taken back by ``processes``.
Whoever locks both a conversation's row (by appending to its log) and its lane takes the conversation first;
several conversations are locked with the turn's own first and the others in the order of their ids.
"""

from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    not_,
    select,
    update,
)

from core.errors import Fenced
from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import BIG, BIGS, INT, param

I = tables.inbox  # noqa: E741
L = tables.lanes

ACT = "act"
"""What the event id of an approved act begins with."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An inbox row that this process may handle now.

    fence: the lane's, None for work without a lane. stop: a person asked to stop it, and then its process
    died.
    """

    id: int
    tenant_id: str
    conversation_id: str
    seq: int
    laned: bool
    fence: int | None
    attempts: int
    stop: bool = False


EVENT_ID = Statement(select(I.c.event_id).where(I.c.id == param("id", BIG)))
OWN_WORK = and_(I.c.id == param("id", BIG), I.c.state == "taken", I.c.owner == param("me"))
OWN_LANE = and_(
    L.c.tenant_id == param("tenant"),
    L.c.conversation_id == param("conversation"),
    L.c.owner == param("me"),
    L.c.fence == param("fence", BIG),
)
SOMETHING_WAITS = exists(
    select(literal_column("1"))
    .select_from(I)
    .where(
        I.c.tenant_id == param("tenant"),
        I.c.conversation_id == param("conversation"),
        I.c.state == "new",
        I.c.laned,
    )
)
"""Whether a message waits for the lane."""


def ending(*conditions: ColumnElement[bool]) -> Update:
    """Return what marks a process's own work as done where ``conditions`` hold."""
    return update(I).where(OWN_WORK, *conditions).values(state="done", owner=None, done_at=func.now())


def releasing(*conditions: ColumnElement[bool]) -> Update:
    """Return what lets a process's own lane go where ``conditions`` hold."""
    return update(L).where(OWN_LANE, *conditions).values(owner=None, stop=literal_column("false"))


DONE = Statement(ending())
GIVE_UP = Statement(
    update(I)
    .where(OWN_WORK)
    .values(state="set_aside", owner=None)
    .returning(I.c.id, I.c.tenant_id, I.c.conversation_id, I.c.seq, I.c.state)
)
RELEASE = Statement(releasing())
_ended = ending().returning(I.c.id).cte("ended")
DONE_AND_RELEASED = Statement(
    releasing(exists(select(_ended.c.id))).returning(SOMETHING_WAITS.label("more")).add_cte(_ended)
)
"""Both or neither: work that is done lets its lane go."""
HOLDS = Statement(select(L.c.stop).where(OWN_LANE).with_for_update())
OWNED = Statement(select(I.c.id).where(OWN_WORK).with_for_update())
STOP = Statement(
    update(L)
    .where(
        L.c.tenant_id == param("tenant"), L.c.conversation_id == param("conversation"), L.c.owner.is_not(None)
    )
    .values(stop=True)
    .returning(L.c.owner)
)
RUNNING_TURN = Statement(
    select(I.c.seq)
    .join(L, and_(L.c.tenant_id == I.c.tenant_id, L.c.conversation_id == I.c.conversation_id))
    .where(
        I.c.tenant_id == param("tenant"),
        I.c.conversation_id == param("conversation"),
        I.c.state == "taken",
        I.c.laned,
        L.c.owner.is_not(None),
    )
    .limit(1)
)
STOP_ACTS = Statement(
    update(I)
    .where(
        I.c.tenant_id == param("tenant"),
        I.c.conversation_id == param("conversation"),
        I.c.state.in_([literal_column("'new'"), literal_column("'taken'")]),
        I.c.event_id.startswith(literal_column(f"'{ACT}:'")),
    )
    .values(stop=literal_column("true"))
)
STOPPED_OF_MINE = Statement(
    select(L.c.tenant_id, L.c.conversation_id)
    .where(L.c.owner == param("me"), L.c.stop)
    .union(
        select(I.c.tenant_id, I.c.conversation_id).where(
            I.c.owner == param("me"), I.c.state == "taken", I.c.stop
        )
    )
)

_other = I.alias("earlier")
_heads = (
    select(I.c.id, I.c.tenant_id, I.c.conversation_id, I.c.attempts)
    .join(L, and_(L.c.tenant_id == I.c.tenant_id, L.c.conversation_id == I.c.conversation_id))
    .where(
        I.c.state == "new",
        I.c.laned,
        L.c.owner.is_(None),
        ~exists(
            select(literal_column("1"))
            .select_from(_other)
            .where(
                _other.c.tenant_id == I.c.tenant_id,
                _other.c.conversation_id == I.c.conversation_id,
                _other.c.state == "new",
                _other.c.laned,
                _other.c.id < I.c.id,
            )
        ),
    )
    .order_by(I.c.id)
    .limit(param("count", INT))
    .with_for_update(of=L, skip_locked=True)
    .cte("heads")
)
_lanes = (
    update(L)
    .where(
        L.c.tenant_id == _heads.c.tenant_id,
        L.c.conversation_id == _heads.c.conversation_id,
        L.c.owner.is_(None),
    )
    .values(
        owner=param("me"),
        fence=L.c.fence + 1,
        stop=and_(L.c.stop, _heads.c.attempts > literal_column("0")),
        since=func.now(),
    )
    .returning(_heads.c.id, L.c.fence, L.c.stop)
    .cte("lanes")
)
CLAIM_LANED = Statement(
    update(I)
    .where(I.c.id == _lanes.c.id, I.c.state == "new")
    .values(state="taken", owner=param("me"), attempts=I.c.attempts + 1)
    .returning(
        I.c.id,
        I.c.tenant_id,
        I.c.conversation_id,
        I.c.seq,
        I.c.laned,
        I.c.attempts,
        _lanes.c.fence,
        _lanes.c.stop,
    )
)
_free = (
    select(I.c.id)
    .where(I.c.state == "new", not_(I.c.laned))
    .order_by(I.c.id)
    .limit(param("count", INT))
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
CLAIM_FREE = Statement(
    update(I)
    .where(I.c.id.in_(_free))
    .values(state="taken", owner=param("me"), attempts=I.c.attempts + 1)
    .returning(
        I.c.id,
        I.c.tenant_id,
        I.c.conversation_id,
        I.c.seq,
        I.c.laned,
        I.c.attempts,
        literal_column("NULL::bigint").label("fence"),
        I.c.stop,
    )
)
STEER = Statement(
    update(I)
    .where(
        I.c.tenant_id == param("tenant"),
        I.c.conversation_id == param("conversation"),
        I.c.state == "new",
        I.c.laned,
        I.c.seq == func.any(bindparam("seqs", type_=BIGS)),
    )
    .values(state="done", done_at=func.now())
    .returning(I.c.seq)
)
WAITING = Statement(
    select(I.c.seq)
    .where(
        I.c.tenant_id == param("tenant"),
        I.c.conversation_id == param("conversation"),
        I.c.state == "new",
        I.c.laned,
    )
    .order_by(I.c.id)
)

PURGE = Statement(
    delete(I).where(
        I.c.state == "done",
        I.c.done_at < func.now() - func.make_interval(0, 0, 0, 0, param("keep_hours", INT)),
    )
)
OPEN_STATES = I.c.state.in_([literal_column(f"'{state}'") for state in ("new", "taken", "set_aside")])
DEPTH = Statement(select(I.c.state, func.count()).where(OPEN_STATES).group_by(I.c.state))


async def claim(tx: Transaction, me: str, count: int) -> list[Taken]:
    """Take up to ``count`` waiting rows whose way is free, the oldest first."""
    rows = await tx.all(CLAIM_FREE, me=me, count=count)
    if len(rows) < count:
        rows += await tx.all(CLAIM_LANED, me=me, count=count - len(rows))
    return [Taken(**{name: row[name] for name in Taken.__slots__}) for row in rows]


async def check_fence(tx: Transaction, taken: Taken, me: str) -> bool:
    """Lock the lane, or the work itself where it has none; return whether its turn was asked to stop.

    Raises Fenced when it has another owner by now.
    """
    if taken.fence is None:
        if await tx.one(OWNED, id=taken.id, me=me) is None:
            raise Fenced(conversation=taken.conversation_id)
        return False
    row = await tx.one(
        HOLDS, tenant=taken.tenant_id, conversation=taken.conversation_id, me=me, fence=taken.fence
    )
    if row is None:
        raise Fenced(conversation=taken.conversation_id)
    return bool(row["stop"])


async def finish(tx: Transaction, taken: Taken, me: str) -> bool:
    """Mark the work done and let its lane go; return whether more waits in the lane.

    For work with a lane the transaction holds the conversation, because it appended to it or by log.HOLD: who
    wrote before is seen, and who writes now finds the lane free.
    Raises Fenced when somebody else owns the work by now: nothing of this transaction may stay.
    """
    if taken.fence is None:
        done = await tx.run(DONE, id=taken.id, me=me)
        more = False
    else:
        lane = {"tenant": taken.tenant_id, "conversation": taken.conversation_id}
        row = await tx.one(DONE_AND_RELEASED, id=taken.id, me=me, fence=taken.fence, **lane)
        done, more = int(row is not None), bool(row and row["more"])
    if not done:
        raise Fenced(conversation=taken.conversation_id)
    return more


async def give_up(tx: Transaction, taken: Taken, me: str) -> Row | None:
    """Set work aside and let its lane go; return its row, or None if another process owns it."""
    lane = {"tenant": taken.tenant_id, "conversation": taken.conversation_id}
    if taken.fence is not None:
        await tx.run(RELEASE, me=me, fence=taken.fence, **lane)
    return await tx.one(GIVE_UP, id=taken.id, me=me)


async def waiting(tx: Transaction, tenant_id: str, conversation_id: str) -> list[int]:
    """Return the numbers of the events that wait for the lane, in order."""
    return [row["seq"] for row in await tx.all(WAITING, tenant=tenant_id, conversation=conversation_id)]


async def take_into_turn(tx: Transaction, tenant_id: str, conversation_id: str, seqs: list[int]) -> list[int]:
    """Mark waiting messages as handled by the turn that runs; return those that still waited."""
    rows = await tx.all(STEER, tenant=tenant_id, conversation=conversation_id, seqs=seqs)
    return sorted(row["seq"] for row in rows)


async def ask_to_stop(tx: Transaction, tenant_id: str, conversation_id: str) -> bool:
    """Mark the running turn and the acts of a conversation as to be stopped; return whether there are any.

    The marks stay when the process dies, so that whoever takes the work over ends it.
    """
    place = {"tenant": tenant_id, "conversation": conversation_id}
    owner = await tx.value(STOP, **place)
    return bool(await tx.run(STOP_ACTS, **place)) or owner is not None
