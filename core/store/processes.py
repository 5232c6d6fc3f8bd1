"""Processes that live, by their heartbeats, and the work of those that died."""

from sqlalchemy import (
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import BIGS, DOUBLE, INT, param

I = tables.inbox  # noqa: E741
L = tables.lanes
P = tables.processes

MAX_ATTEMPTS = 5
"""A message whose handling dies with its process this often is set aside with a visible notice."""

BEAT = Statement(update(P).where(P.c.id == param("me")).values(beat_at=func.now()))
ENTER = Statement(
    insert(P).values(
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
