"""Turns: one row each, written with the first step or with the end, whichever comes first."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import FromClause, func, select
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert

from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import MOMENT, of_tenant, param

T = tables.turns


def writing(*sources: FromClause) -> Insert:
    """Return what writes a turn's row, once for each row of ``sources``."""
    row = select(
        param("tenant_id"),
        param("turn"),
        param("conversation"),
        param("user_id"),
        param("engine"),
        param("status"),
        param("approval_id"),
        param("started_at", MOMENT),
        param("ended_at", MOMENT),
    ).select_from(*sources)
    columns = [
        "id",
        "conversation_id",
        "user_id",
        "engine",
        "status",
        "approval_id",
        "started_at",
        "ended_at",
    ]
    written = upsert(T).from_select(["tenant_id", *columns], row)
    return written.on_conflict_do_update(
        index_elements=[T.c.id],
        set_={
            "status": written.excluded.status,
            "approval_id": func.coalesce(written.excluded.approval_id, T.c.approval_id),
            "ended_at": written.excluded.ended_at,
        },
    )


WRITE = Statement(writing())
GET = Statement(select(T).where(of_tenant(T), T.c.id == param("id")))


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn's state."""

    id: str
    conversation_id: str
    user_id: str | None
    engine: str
    status: str
    started_at: datetime
    ended_at: datetime | None = None
    approval_id: str | None = None

    def as_params(self) -> dict[str, object]:
        """Return the parameters of the statements that write it."""
        return {
            "turn": self.id,
            "conversation": self.conversation_id,
            "user_id": self.user_id,
            "engine": self.engine,
            "status": self.status,
            "approval_id": self.approval_id,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
        }


async def write(tx: Transaction, turn: Turn) -> None:
    """Write a turn's state."""
    await tx.run(WRITE, **turn.as_params())


async def get(tx: Transaction, turn_id: str) -> Row | None:
    """Return a turn."""
    return await tx.one(GET, id=turn_id)
