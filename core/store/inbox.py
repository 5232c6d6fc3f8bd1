"""The durable inbox and its lanes: what was accepted is handled once, one turn at a time per conversation.

A lane is a conversation's right to a running turn: its row holds the owning process and a fence that rises
with every change of owner. Taking a lane, letting it go and looking for the next message each lock the
lane's row first, so no wake-up is lost between the end of a turn and a message that comes in just then.
Whoever locks both a conversation's row (by appending to its log) and its lane takes the conversation first;
several conversations are locked with the turn's own first and the others in the order of their ids.
"""

from dataclasses import dataclass

from sqlalchemy import (
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy import insert as plain_insert
from sqlalchemy.dialects.postgresql import insert as upsert

from core.errors import Fenced
from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import BIG, BIGS, BOOL, DOUBLE, INT, param

I = tables.inbox  # noqa: E741
L = tables.lanes
P = tables.processes

ACT = "act"
"""What the event id of an approved act begins with."""

MAX_ATTEMPTS = 5
"""A message whose handling dies with its process this often is set aside with a visible notice."""


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


_ahead = I.alias("ahead")
_queue = select(
    exists(
        select(literal_column("1"))
        .select_from(_ahead)
        .where(
            _ahead.c.tenant_id == param("tenant"),
            _ahead.c.conversation_id == param("conversation"),
            _ahead.c.state == "new",
            _ahead.c.laned,
        )
    ).label("waits")
).cte("queue")
_nobody_waits = not_(select(_queue.c.waits).scalar_subquery())
_take_free_lane = upsert(L).values(
    {
        L.c.tenant_id: param("tenant"),
        L.c.conversation_id: param("conversation"),
        L.c.owner: param("me"),
    }
)
_lane = (
    _take_free_lane.on_conflict_do_update(
        index_elements=[L.c.tenant_id, L.c.conversation_id],
        set_={
            "owner": param("me"),
            "fence": L.c.fence + 1,
            "stop": literal_column("false"),
            "since": func.now(),
        },
        where=and_(L.c.owner.is_(None), _nobody_waits),
    )
    .returning(L.c.fence)
    .add_cte(_queue)
    .cte("lane_taken")
)
_columns = ["tenant_id", "installation_id", "event_id", "conversation_id", "seq", "laned"]
_given = [
    param("tenant"),
    param("installation_id"),
    param("event_id"),
    param("conversation"),
    param("seq", BIG),
    param("laned", BOOL),
]
_fence = select(_lane.c.fence).scalar_subquery()
ACCEPT_LANED = Statement(
    upsert(I)
    .from_select(
        [*_columns, "state", "owner", "attempts"],
        select(
            *_given,
            case((_fence.is_not(None), "taken"), else_="new"),
            case((_fence.is_not(None), param("me")), else_=None),
            case((_fence.is_not(None), literal_column("1")), else_=literal_column("0")),
        ),
    )
    .on_conflict_do_nothing(index_elements=[I.c.installation_id, I.c.event_id])
    .returning(I.c.id, _fence.label("fence"))
)
ACCEPT_FREE = Statement(
    upsert(I)
    .from_select(
        [*_columns, "state", "owner", "attempts"],
        select(*_given, literal_column("'taken'"), param("me"), literal_column("1")),
    )
    .on_conflict_do_nothing(index_elements=[I.c.installation_id, I.c.event_id])
    .returning(I.c.id, literal_column("NULL").label("fence"))
)
POST = Statement(
    upsert(I)
    .from_select(_columns, select(*_given))
    .on_conflict_do_nothing(index_elements=[I.c.installation_id, I.c.event_id])
    .returning(I.c.id)
)
SEEN = Statement(
    select(I.c.id, I.c.tenant_id, I.c.conversation_id, I.c.seq).where(
        I.c.installation_id == param("installation_id"), I.c.event_id == param("event_id")
    )
)
EVENT_ID = Statement(select(I.c.event_id).where(I.c.id == param("id", BIG)))
_done = (
    update(I)
    .where(I.c.id == param("id", BIG), I.c.state == "taken", I.c.owner == param("me"))
    .values(state="done", owner=None, done_at=func.now())
)
DONE = Statement(_done)
GIVE_UP = Statement(
    update(I)
    .where(I.c.id == param("id", BIG), I.c.state == "taken", I.c.owner == param("me"))
    .values(state="set_aside", owner=None)
    .returning(I.c.id, I.c.tenant_id, I.c.conversation_id, I.c.seq, I.c.state)
)
_release = (
    update(L)
    .where(
        L.c.tenant_id == param("tenant"),
        L.c.conversation_id == param("conversation"),
        L.c.owner == param("me"),
        L.c.fence == param("fence", BIG),
    )
    .values(owner=None, stop=literal_column("false"))
)
RELEASE = Statement(_release)
_ended = _done.returning(I.c.id).cte("ended")
_more = exists(
    select(literal_column("1"))
    .select_from(I)
    .where(
        I.c.tenant_id == param("tenant"),
        I.c.conversation_id == param("conversation"),
        I.c.state == "new",
        I.c.laned,
    )
)
DONE_AND_RELEASED = Statement(
    _release.where(exists(select(_ended.c.id))).returning(_more.label("more")).add_cte(_ended)
)
"""Both or neither: work that is done lets its lane go."""
HOLDS = Statement(
    select(L.c.stop)
    .where(
        L.c.tenant_id == param("tenant"),
        L.c.conversation_id == param("conversation"),
        L.c.owner == param("me"),
        L.c.fence == param("fence", BIG),
    )
    .with_for_update()
)
OWNED = Statement(
    select(I.c.id)
    .where(I.c.id == param("id", BIG), I.c.state == "taken", I.c.owner == param("me"))
    .with_for_update()
)
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

BEAT = Statement(update(P).where(P.c.id == param("me")).values(beat_at=func.now()))
ENTER = Statement(
    plain_insert(P).values(
        {P.c.id: param("me"), P.c.role: param("role"), P.c.host: param("host"), P.c.pid: param("pid", INT)}
    )
)
LEAVE = Statement(delete(P).where(P.c.id == param("me")))
_cutoff = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, param("dead_after_s", DOUBLE))
BURY = Statement(delete(P).where(P.c.beat_at < _cutoff, P.c.id != param("me")))
BURY_OTHERS = Statement(delete(P).where(P.c.id != param("me")))
_living = select(P.c.id).scalar_subquery()
_lane_of = and_(L.c.tenant_id == I.c.tenant_id, L.c.conversation_id == I.c.conversation_id)
_still_held = exists(select(literal_column("1")).select_from(L).where(_lane_of, L.c.owner == I.c.owner))
_orphans = (
    select(I.c.id)
    .where(I.c.state == "taken", I.c.owner.not_in(_living), or_(not_(I.c.laned), not_(_still_held)))
    .with_for_update(of=I, skip_locked=True)
)
RECLAIM_INBOX = Statement(
    update(I)
    .where(I.c.id.in_(_orphans.scalar_subquery()))
    .values(state=case((I.c.attempts >= MAX_ATTEMPTS, "set_aside"), else_="new"), owner=None)
    .returning(I.c.id, I.c.tenant_id, I.c.conversation_id, I.c.seq, I.c.state)
)
MINE = Statement(select(I.c.id).where(I.c.state == "taken", I.c.owner == param("me")))
LET_GO = Statement(
    update(I)
    .where(I.c.id == func.any(bindparam("ids", type_=BIGS)), I.c.state == "taken", I.c.owner == param("me"))
    .values(state="new", owner=None)
    .returning(I.c.id, I.c.tenant_id, I.c.conversation_id, I.c.seq, I.c.state)
)
_worked_on = exists(
    select(literal_column("1")).select_from(I).where(_lane_of, I.c.state == "taken", I.c.owner == L.c.owner)
)
LET_LANES_GO = Statement(
    update(L).where(L.c.owner == param("me"), not_(_worked_on)).values(owner=None, fence=L.c.fence + 1)
)
_abandoned = (
    select(L.c.tenant_id, L.c.conversation_id)
    .where(L.c.owner.is_not(None), L.c.owner.not_in(_living))
    .with_for_update(skip_locked=True)
)
RECLAIM_LANES = Statement(
    update(L)
    .where(tuple_(L.c.tenant_id, L.c.conversation_id).in_(_abandoned))
    .values(owner=None, fence=L.c.fence + 1)
)
PURGE = Statement(
    delete(I).where(
        I.c.state == "done",
        I.c.done_at < func.now() - func.make_interval(0, 0, 0, 0, param("keep_hours", INT)),
    )
)
OPEN_STATES = I.c.state.in_([literal_column(f"'{state}'") for state in ("new", "taken", "set_aside")])
DEPTH = Statement(select(I.c.state, func.count()).where(OPEN_STATES).group_by(I.c.state))


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


async def post(tx: Transaction, arrival: Arrival) -> bool:
    """Write a row for whoever claims it; return False if the event is known already."""
    return await tx.one(POST, **arrival.as_params()) is not None


async def seen(tx: Transaction, installation_id: str, event_id: str) -> Row | None:
    """Return the row of an event that was accepted before."""
    return await tx.one(SEEN, installation_id=installation_id, event_id=event_id)


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


async def enter(tx: Transaction, me: str, role: str, host: str, pid: int) -> None:
    """Write this process's heartbeat row."""
    await tx.run(ENTER, me=me, role=role, host=host, pid=pid)


async def let_go(tx: Transaction, me: str, ids: list[int]) -> list[Row]:
    """Put back work that ``me`` took without knowing it, with its lanes; return the rows."""
    rows = await tx.all(LET_GO, me=me, ids=ids)
    if rows:
        await tx.run(LET_LANES_GO, me=me)
    return rows


async def reclaim(tx: Transaction, me: str, dead_after_s: float) -> list[Row]:
    """Take work from processes that beat no more; return the inbox rows that were touched.

    What such a process holds locked is passed over, because whoever waited for that would miss a beat: its
    session is ended before long, and then the next look takes it.
    A row whose handling died with its process too often comes back as set_aside.
    """
    await tx.run(BURY, me=me, dead_after_s=dead_after_s)
    await tx.run(RECLAIM_LANES)
    return await tx.all(RECLAIM_INBOX)
