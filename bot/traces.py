"""What shows a running turn in a chat, as the database knows it: it outlives the process that showed it."""

from collections.abc import Sequence

from core.messages import Address
from core.store import passing, quiet
from core.store.database import Database
from core.tenant import Tenants


class DatabaseTraces:
    """The messages of all bots. me: the process's id, whose turns they show."""

    def __init__(self, me: str, database: Database, tenants: Tenants) -> None:
        self._me = me
        self._database = database
        self._tenants = tenants

    async def is_quiet(self, tenant_id: str, address: Address) -> bool:
        """Return whether a place wants to see nothing of a turn but its end."""
        tenant = await self._tenants.by_id(tenant_id)
        async with tenant.reading() as db:
            return await quiet.is_quiet(db, address)

    async def shown(self, tenant_id: str, conversation_id: str, address: Address, message_id: int) -> None:
        """Write down that a message shows a turn of this process."""
        async with self._database.reading() as db:
            await passing.shown(db, self._me, tenant_id, conversation_id, address, message_id)

    async def gone(self, address: Address, message_id: int) -> None:
        """Forget a message that was taken away, or never can be."""
        async with self._database.reading() as db:
            await passing.gone(db, address, message_id)

    async def leave(self, address: Address, message_id: int) -> None:
        """Leave a message to be taken away by whoever looks after its bot."""
        async with self._database.reading() as db:
            await passing.leave(db, address, message_id)

    async def left_behind(self, installation_id: str) -> Sequence[tuple[str, int]]:
        """Return thread and id of one bot's messages that were left, if only by a process's death."""
        async with self._database.reading() as db:
            rows = await passing.left(db, installation_id)
        return [(row["thread"], row["message_id"]) for row in rows]
