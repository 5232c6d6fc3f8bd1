"""Where a message belongs: in the conversation that is open at its place, or in one that begins with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from core.audit import Entry
from core.errors import StoreUnavailable
from core.ids import Ids
from core.messages import Address, Inbound, command_word
from core.store import log, people, talks
from core.store.database import Row, Transaction
from core.store.log import Event
from core.tenant import Tenant

CONSOLE = "console"
NEW = "/new"
NO_REQUEST = ("/start", "/help")
"""What a conversation is not called by."""

TRIES = 10
LONG_AGO = datetime.min.replace(tzinfo=UTC)

Found = Row | Mapping[str, Any]
"""A conversation's row, or what is known of one that was just made."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a message stands. entry: what is to be recorded as the transaction's last statement."""

    conversation_id: str
    seq: int
    entry: Entry | None


class Beginnings:
    """Finds a message's conversation and appends it there, in the transaction that accepts it.

    silence_hours: after so long a silence a platform's message begins another one; 0 for never.
    """

    def __init__(self, ids: Ids, silence_hours: int) -> None:
        self._ids = ids
        self._silence = timedelta(hours=silence_hours)

    async def __call__(
        self, tx: Transaction, tenant: Tenant, inbound: Inbound, event: Event, at: datetime
    ) -> Begun:
        """Append ``event`` to the conversation that it belongs to, and return where it stands.

        Raises StoreUnavailable where conversations are closed faster than they can be written to.
        """
        address = inbound.address
        spot = self.spot(inbound, event, at)
        if spot and (appended := await log.append_open(tx, spot, event, at)):
            return Begun(*appended, None)
        is_new = _is_new(address, event) and await _may_begin(tx, tenant, event.user_id)
        title = _title_of(address, event)
        for _ in range(TRIES):
            entry = None
            if is_new:
                row, entry = await self._anew(tx, address, event, at)
            else:
                row = await self._found(tx, inbound, event, title, at)
            # It was found without a lock: another message may close it before this one is in it.
            closed = row["status"] == "closed"
            seq = await log.append_at(tx, row["id"], address, event, at, or_closed=closed)
            if seq is not None:
                if title and address.channel != CONSOLE and not row["title"]:
                    await tx.run(log.TITLE, id=row["id"], new_title=title)
                return Begun(row["id"], seq, entry)
        raise StoreUnavailable(reason="the conversation was closed again and again")

    def spot(self, inbound: Inbound, event: Event, at: datetime) -> log.Spot | None:
        """Return where an event belongs if a conversation is open there; None if more has to be looked at."""
        address = inbound.address
        if inbound.answers or _is_new(address, event):
            return None
        since = at - self._silence if self._may_be_silent(address, event) else LONG_AGO
        title = _title_of(address, event) if address.channel != CONSOLE else ""  # there it begins with words
        return log.Spot(address, title, since)

    async def _found(
        self, tx: Transaction, inbound: Inbound, event: Event, title: str, at: datetime
    ) -> Found:
        """Return the conversation that is answered, the one that is open, or one that begins now."""
        address = inbound.address
        if inbound.answers and event.kind == "said":
            answered = await talks.answered_at(tx, address, inbound.answers)
            if answered is not None:
                return answered
        row = await log.open_at(tx, address)
        is_silent = row is not None and row["updated_at"] <= at - self._silence
        if row is not None and not (is_silent and self._may_be_silent(address, event)):
            return row
        if row is not None:
            await self._close_if_silent(tx, address, at)
        return await self._opened(tx, address, event, at, title)

    async def _anew(
        self, tx: Transaction, address: Address, event: Event, at: datetime
    ) -> tuple[Found, Entry]:
        """Close what is open at a place and begin another conversation there."""
        ended = await talks.close_at(tx, address)
        row = await self._opened(tx, address, event, at)
        detail = {"ended": ended, "name": talks.code_of(row["id"])}
        user, channel = event.user_id, address.channel
        return row, Entry(
            "conversation.new", "user", user, None, "conversation", row["id"], channel, detail=detail
        )

    async def _opened(
        self, tx: Transaction, address: Address, event: Event, at: datetime, title: str = ""
    ) -> Found:
        found = await log.open_conversation(tx, self._ids(), address, event.user_id, at, title)
        return {"id": found, "status": "open", "title": ""}

    def _may_be_silent(self, address: Address, event: Event) -> bool:
        """Return whether it is a matter of silence which conversation an event belongs to."""
        return bool(event.kind == "said" and address.channel != CONSOLE and self._silence)

    async def _close_if_silent(self, tx: Transaction, address: Address, at: datetime) -> None:
        # Held, because whoever writes at the same moment may have begun another one meanwhile.
        silent = await talks.hold_silent(tx, address, at - self._silence)
        if silent is not None and not await talks.is_busy(tx, silent):
            await talks.close_at(tx, address)


def _words(event: Event) -> str:
    return str(event.body.get("text", "")) if event.kind == "said" else ""


def _is_new(address: Address, event: Event) -> bool:
    """Return whether an event asks for another conversation."""
    return address.channel != CONSOLE and command_word(_words(event)) == NEW


def _title_of(address: Address, event: Event) -> str:
    """Return what a conversation is called that begins with an event."""
    text = _words(event)
    is_request = address.channel == CONSOLE or command_word(text) not in (NEW, *NO_REQUEST)
    return log.title_of(text) if is_request else ""


async def _may_begin(tx: Transaction, tenant: Tenant, user_id: str | None) -> bool:
    """Return whether a person is let in: others hear so, in the conversation that is there."""
    user = await people.user(tx, user_id) if user_id else None
    return user is not None and user.active and tenant.row.status == "active"
