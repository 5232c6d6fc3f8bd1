"""Files that were sent from servers to conversations: kept for some days, and so many at most."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import MOMENT, of_tenant, param

F = tables.files

KEPT = timedelta(days=7)
MOST = 100
"""Files of a tenant; the oldest go first."""

ADD = Statement(
    upsert(F)
    .values({column: param(column.name, column.type) for column in F.c})
    .on_conflict_do_nothing()
    .returning(F.c.id)
)
GET = Statement(select(F).where(of_tenant(F), F.c.id == param("id")))
PURGE = Statement(delete(F).where(of_tenant(F), F.c.created_at < param("before", MOMENT)))
_newest = select(F.c.id).where(of_tenant(F)).order_by(F.c.created_at.desc(), F.c.id).limit(MOST)
TRIM = Statement(delete(F).where(of_tenant(F), F.c.id.not_in(_newest.scalar_subquery())))


async def add(
    tx: Transaction, file_id: str, conversation_id: str, name: str, content: bytes, at: datetime
) -> bool:
    """Keep a file; return False if it was kept before."""
    place = {"conversation_id": conversation_id, "created_at": at}
    added = await tx.one(ADD, id=file_id, name=name, content=content, **place)
    if added is not None:
        await tx.run(TRIM)
    return added is not None


async def get(db: Transaction, file_id: str) -> Row | None:
    """Return a file with its content, None for one that is kept no more."""
    return await db.one(GET, id=file_id)
