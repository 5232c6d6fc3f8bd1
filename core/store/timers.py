"""Timers: what is due at a moment. A row is written before anybody relies on it; arq only wakes it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.store import tables
from core.store.database import Statement, Transaction
from core.store.statements import BIG, DOUBLE, INT, MOMENT, param

T = tables.timers
P = tables.processes

MAX_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Timer:
    """A due row that this process may handle now."""

    id: int
    tenant_id: str
    kind: str
    ref: str
    step: int
    due_at: datetime
    attempts: int


SET = Statement(
    upsert(T)
    .values(
        {
            T.c.tenant_id: param("tenant"),
            T.c.kind: param("kind"),
            T.c.ref: param("ref"),
            T.c.step: param("step", INT),
            T.c.due_at: param("due_at", MOMENT),
        }
    )
    .on_conflict_do_nothing(index_elements=[T.c.tenant_id, T.c.kind, T.c.ref, T.c.step])
    .returning(T.c.id)
)
_due = (
    select(T.c.id)
    .where(T.c.state == "new", T.c.due_at <= param("now", MOMENT))
    .order_by(T.c.due_at, T.c.id)
    .limit(param("count", INT))
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_columns = [T.c.id, T.c.tenant_id, T.c.kind, T.c.ref, T.c.step, T.c.due_at, T.c.attempts]
CLAIM = Statement(
    update(T)
    .where(T.c.id.in_(_due))
    .values(state="taken", owner=param("me"), attempts=T.c.attempts + 1)
    .returning(*_columns)
)
_mine = and_(T.c.id == param("id", BIG), T.c.state == "taken", T.c.owner == param("me"))
DONE = Statement(update(T).where(_mine).values(state="done", owner=None))
LATER = Statement(
    update(T)
    .where(_mine)
    .values(
        state=case((T.c.attempts >= MAX_ATTEMPTS, "set_aside"), else_="new"),
        owner=None,
        due_at=param("now", MOMENT) + func.make_interval(0, 0, 0, 0, 0, 0, param("delay_s", DOUBLE)),
    )
)
REPEAT = Statement(
    update(T).where(_mine).values(state="new", owner=None, attempts=0, due_at=param("due_at", MOMENT))
)
RECLAIM = Statement(
    update(T)
    .where(
        T.c.state == "taken",
        or_(T.c.owner == param("me"), T.c.owner.not_in(select(P.c.id).scalar_subquery())),
    )
    .values(state="new", owner=None)
)
"""Run when ``me`` handles none: what it has taken then was left when the database went away."""

CANCEL = Statement(
    update(T)
    .where(
        T.c.tenant_id == param("tenant"),
        T.c.kind == param("kind"),
        T.c.ref == param("ref"),
        T.c.state == "new",
    )
    .values(state="done")
)
PURGE = Statement(delete(T).where(T.c.state == "done", T.c.due_at < param("before", MOMENT)))
LATE = Statement(select(func.count()).where(T.c.state == "new", T.c.due_at < param("now", MOMENT)))


async def set_timer(
    tx: Transaction, tenant_id: str, kind: str, ref: str, due_at: datetime, step: int = 0
) -> int | None:
    """Write a timer once; return its id, or None if it was written before."""
    found = await tx.value(SET, tenant=tenant_id, kind=kind, ref=ref, step=step, due_at=due_at)
    return int(found) if found is not None else None


async def claim(tx: Transaction, me: str, now: datetime, count: int) -> list[Timer]:
    """Take up to ``count`` due timers, the longest due first."""
    rows = await tx.all(CLAIM, me=me, now=now, count=count)
    found = [Timer(**{name: row[name] for name in Timer.__slots__}) for row in rows]
    return sorted(found, key=lambda timer: (timer.due_at, timer.id))
