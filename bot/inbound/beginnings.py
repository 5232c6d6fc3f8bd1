"""Where a message belongs: in the conversation that is open at its place, or in one that begins with it."""

from datetime import datetime, timedelta

from core.audit import Entry
from core.ids import Ids
from core.messages import Address, command_word
from core.store import log, people, talks
from core.store.database import Row, Transaction
from core.store.log import Event
from core.tenant import Tenant

CONSOLE = "console"
NEW = "/new"


class Beginnings:
    """Finds a message's conversation, in the transaction that accepts it.

    silence_hours: after so long a silence a platform's message begins another one; 0 for never.
    """

    def __init__(self, ids: Ids, silence_hours: int) -> None:
        self._ids = ids
        self._silence = timedelta(hours=silence_hours)

    async def conversation(
        self, tx: Transaction, tenant: Tenant, address: Address, event: Event, at: datetime
    ) -> tuple[str, Entry | None]:
        """Return the conversation, and what is to be recorded as the transaction's last statement."""
        text = str(event.body.get("text", "")) if event.kind == "said" else ""
        is_new = address.channel != CONSOLE and command_word(text) == NEW
        is_new = is_new and await _may_begin(tx, tenant, event.user_id)
        title = "" if is_new else log.title_of(text)
        row, ended = await log.open_at(tx, address), None
        if is_new:
            row, ended = None, await talks.close_at(tx, address)
        elif row is not None and text and self._is_silent(address, row, at):
            row = None
            await self._close_if_silent(tx, address, at)
        if row is not None:
            found = str(row["id"])
        else:
            found = await log.open_conversation(tx, self._ids(), address, event.user_id, at, title)
        if title and address.channel != CONSOLE and (row is None or not row["title"]):
            await tx.run(log.TITLE, id=found, new_title=title)  # there it is never begun without words
        if not is_new:
            return found, None
        detail = {"ended": ended, "name": talks.code_of(found)}
        user, channel = event.user_id, address.channel
        return found, Entry(
            "conversation.new", "user", user, None, "conversation", found, channel, detail=detail
        )

    def _is_silent(self, address: Address, row: Row, at: datetime) -> bool:
        return bool(address.channel != CONSOLE and self._silence and row["updated_at"] <= at - self._silence)

    async def _close_if_silent(self, tx: Transaction, address: Address, at: datetime) -> None:
        # Held, because whoever writes at the same moment may have begun another one meanwhile.
        silent = await talks.hold_silent(tx, address, at - self._silence)
        if silent is not None and not await talks.is_busy(tx, silent):
            await talks.close_at(tx, address)


async def _may_begin(tx: Transaction, tenant: Tenant, user_id: str | None) -> bool:
    """Return whether a person is let in: others hear so, in the conversation that is there."""
    user = await people.user(tx, user_id) if user_id else None
    return user is not None and user.active and tenant.row.status == "active"
