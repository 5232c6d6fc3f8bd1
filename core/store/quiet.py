"""Places in chats that want to be quiet: only answers, cards and errors come there."""

from typing import Any

from sqlalchemy import and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core.messages import Address
from core.store import tables
from core.store.database import Statement, Transaction
from core.store.statements import of_tenant, param

Q = tables.quiet_places

_here = (of_tenant(Q), Q.c.installation_id == param("installation_id"), Q.c.thread == param("thread"))
IS_QUIET = Statement(select(Q.c.thread).where(*_here))
BE_QUIET = Statement(
    upsert(Q)
    .values(
        {
            Q.c.tenant_id: param("tenant_id"),
            Q.c.installation_id: param("installation_id"),
            Q.c.thread: param("thread"),
        }
    )
    .on_conflict_do_nothing()
)
SPEAK_AGAIN = Statement(delete(Q).where(*_here))
_moves = and_(
    of_tenant(Q),
    Q.c.installation_id == param("installation_id"),
    Q.c.thread.startswith(param("old"), autoescape=False),
)
_moved = param("new").op("||")(func.substr(Q.c.thread, func.length(param("old")) + 1))
ARRIVE = Statement(
    upsert(Q)
    .from_select(
        [Q.c.tenant_id, Q.c.installation_id, Q.c.thread],
        select(Q.c.tenant_id, Q.c.installation_id, _moved).where(_moves),
    )
    .on_conflict_do_nothing()
)
LEAVE = Statement(delete(Q).where(_moves))


def _place(address: Address) -> dict[str, Any]:
    return {"installation_id": address.installation_id, "thread": address.thread}


async def is_quiet(tx: Transaction, address: Address) -> bool:
    """Return whether a place wants to be quiet."""
    return await tx.one(IS_QUIET, **_place(address)) is not None


async def put(tx: Transaction, address: Address, *, quiet: bool) -> bool:
    """Set whether a place is quiet; return False if it was so before."""
    return await tx.run(BE_QUIET if quiet else SPEAK_AGAIN, **_place(address)) > 0


async def move(tx: Transaction, installation_id: str, old: str, new: str) -> None:
    """Let places whose thread begins with ``old`` go on under ``new``, where they may be quiet already."""
    names = {"installation_id": installation_id, "old": old}
    await tx.run(ARRIVE, **names, new=new)
    await tx.run(LEAVE, **names)
