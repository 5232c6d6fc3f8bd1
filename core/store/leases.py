"""What one process at a time may do, such as taking a bot's updates: held as long as its owner is alive."""

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core.store import tables
from core.store.database import Statement, Transaction
from core.store.statements import param

L = tables.leases
P = tables.processes

SENDER = "bot "
"""What the name of a lease on an installation begins with: on its updates, and on sending for it."""

_alive = select(P.c.id).cte("alive")
TAKE = Statement(
    upsert(L)
    .values({L.c.name: param("name"), L.c.owner: param("me")})
    .on_conflict_do_update(
        index_elements=[L.c.name],
        set_={"owner": param("me"), "since": func.now()},
        where=or_(L.c.owner == param("me"), L.c.owner.not_in(select(_alive.c.id).scalar_subquery())),
    )
    .returning(L.c.owner)
    .add_cte(_alive)
)
HELD = Statement(select(L.c.name).where(L.c.owner.in_(select(P.c.id).scalar_subquery())))


def sender(installation_id: str) -> str:
    """Return the name of an installation's lease: one process hears its updates and paces what it says."""
    return SENDER + installation_id


async def take(tx: Transaction, name: str, me: str) -> bool:
    """Take a lease, or keep it; return whether ``me`` holds it now.

    Its owner is alive while its heartbeat row stands; whoever removes that row frees the lease.
    """
    return await tx.one(TAKE, name=name, me=me) is not None
