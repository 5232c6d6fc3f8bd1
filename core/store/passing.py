"""Messages that show a running turn: written down, so that none outlives its turn by its process's death."""

from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.messages import Address
from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import BIG, param

S = tables.passing
P = tables.processes

NOBODY = ""

SHOWN = Statement(
    upsert(S)
    .values(
        {
            S.c.tenant_id: param("tenant"),
            S.c.installation_id: param("installation_id"),
            S.c.thread: param("thread"),
            S.c.message_id: param("message_id", BIG),
            S.c.conversation_id: param("conversation"),
            S.c.owner: param("me"),
        }
    )
    .on_conflict_do_nothing()
)
_this = (
    S.c.installation_id == param("installation_id"),
    S.c.thread == param("thread"),
    S.c.message_id == param("message_id", BIG),
)
GONE = Statement(delete(S).where(*_this))
LEAVE = Statement(update(S).where(*_this).values(owner=NOBODY))
LEFT = Statement(
    select(S.c.thread, S.c.message_id).where(
        S.c.installation_id == param("installation_id"),
        S.c.owner.not_in(select(P.c.id).scalar_subquery()),
    )
)


def _message(address: Address, message_id: int) -> dict[str, Any]:
    return {
        "installation_id": address.installation_id,
        "thread": address.thread,
        "message_id": message_id,
    }


async def shown(
    tx: Transaction, me: str, tenant_id: str, conversation_id: str, address: Address, message_id: int
) -> None:
    """Write down that a message shows a turn of ``me``."""
    message = _message(address, message_id)
    await tx.run(SHOWN, me=me, tenant=tenant_id, conversation=conversation_id, **message)


async def gone(tx: Transaction, address: Address, message_id: int) -> None:
    """Forget a message that was taken away."""
    await tx.run(GONE, **_message(address, message_id))


async def leave(tx: Transaction, address: Address, message_id: int) -> None:
    """Let a message be nobody's."""
    await tx.run(LEAVE, **_message(address, message_id))


async def left(tx: Transaction, installation_id: str) -> list[Row]:
    """Return thread and id of one bot's messages that are nobody's, or a dead process's."""
    return await tx.all(LEFT, installation_id=installation_id)
