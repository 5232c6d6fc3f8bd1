"""Turns: one row each, written with the first step or with the end, whichever comes first."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import MOMENT, of_tenant, param

T = tables.turns

_insert = upsert(T).values(
    {
        T.c.tenant_id: param("tenant_id"),
        T.c.id: param("id"),
        T.c.conversation_id: param("conversation"),
        T.c.user_id: param("user_id"),
        T.c.engine: param("engine"),
        T.c.status: param("status"),
        T.c.approval_id: param("approval_id"),
        T.c.started_at: param("started_at", MOMENT),
        T.c.ended_at: param("ended_at", MOMENT),
    }
)
WRITE = Statement(
    _insert.on_conflict_do_update(
        index_elements=[T.c.id],
        set_={
            "status": _insert.excluded.status,
            "approval_id": func.coalesce(_insert.excluded.approval_id, T.c.approval_id),
            "ended_at": _insert.excluded.ended_at,
        },
    )
)
GET = Statement(select(T).where(of_tenant(T), T.c.id == param("id")))


async def write(
    tx: Transaction,
    turn_id: str,
    conversation_id: str,
    user_id: str | None,
    engine: str,
    status: str,
    started_at: datetime,
    ended_at: datetime | None = None,
    approval_id: str | None = None,
) -> None:
    """Write a turn's state."""
    await tx.run(
        WRITE,
        id=turn_id,
        conversation=conversation_id,
        user_id=user_id,
        engine=engine,
        status=status,
        approval_id=approval_id,
        started_at=started_at,
        ended_at=ended_at,
    )


async def get(tx: Transaction, turn_id: str) -> Row | None:
    """Return a turn."""
    return await tx.one(GET, id=turn_id)
