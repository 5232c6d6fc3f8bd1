"""Where an approval is shown: its card where it was asked for and to those who decide, and how it stands."""

from collections.abc import Callable, Sequence

from agent.context import Desk, Work
from agent.gate.deciding.votes import Ballot
from agent.speech import speak
from core.ids import new_id
from core.messages import Address, Outbound
from core.store import approvals as store
from core.store import log, outbox, people
from core.store.database import Transaction
from core.store.log import Event
from core.tenant import Tenant, console_installation
from core.work import Approval, Risk, User


def feed_address(installation_id: str, user_id: str) -> Address:
    """Return the console's place for cards that concern a user but were asked for elsewhere."""
    return Address("console", installation_id, f"feed:{user_id}")


class Cards:
    """Posts cards and has them redrawn."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def post(self, tx: Transaction, work: Work, approval: Approval, deciders: Sequence[User]) -> None:
        """Post the card where it was asked for, and an L2 also to each who may decide it."""
        card = Outbound("card", approval_id=approval.id)
        seq = await speak(self._desk, tx, work.tenant, work.conversation_id, work.address, card, work.turn_id)
        places = [(work.conversation_id, seq, work.user.id)]
        feeds = await self._feeds(tx, work, deciders) if approval.level >= Risk.L2 else {}
        for feed, (address, user_id) in sorted(feeds.items()):
            places.append((feed, await speak(self._desk, tx, work.tenant, feed, address, card), user_id))
        tx.after_commit.append(lambda: self._desk.changed(work.tenant.id, "approvals"))
        for conversation_id, number, user_id in places:
            place = {"approval_id": approval.id, "conversation_id": conversation_id}
            await tx.run(store.PLACE, **place, seq=number, user_id=user_id)

    async def _feeds(
        self, tx: Transaction, work: Work, deciders: Sequence[User]
    ) -> dict[str, tuple[Address, str]]:
        """Return where those who may decide are reached, beside the requester's own conversation.

        That is each one's console feed, and their private chats.
        """
        others = [user.id for user in deciders if user.id != work.user.id]
        console = console_installation(work.tenant.id)
        places = [(user_id, feed_address(console, user_id)) for user_id in others]
        places += await people.homes(tx, work.tenant.id, others)
        found = {}
        for user_id, address in places:
            feed = await log.open_conversation(tx, new_id(), address, user_id, self._desk.clock())
            if feed != work.conversation_id:
                found[feed] = (address, user_id)
        return found

    async def outcome(
        self, tx: Transaction, tenant: Tenant, approval: Approval, status: str, by: User | None
    ) -> None:
        """Show how a request was settled everywhere it was posted. by: None for time."""
        body = {"approval_id": approval.id, "status": status, "by": by.name if by else None}
        await self._tell(tx, tenant, approval, Event("settled", body))

    async def progress(self, tx: Transaction, tenant: Tenant, approval: Approval, ballot: Ballot) -> None:
        """Show how many votes a request has."""
        body = {"approval_id": approval.id, "status": "pending", "approvals": ballot.approvals}
        await self._tell(tx, tenant, approval, Event("settled", body))

    async def _tell(self, tx: Transaction, tenant: Tenant, approval: Approval, event: Event) -> None:
        tx.after_commit.append(lambda: self._desk.changed(tenant.id, "approvals"))
        places = {row["conversation_id"] for row in await tx.all(store.PLACES, id=approval.id)}
        for conversation_id in sorted(places):
            seq = await log.append(tx, conversation_id, [event], self._desk.clock())
            tx.after_commit.append(_grown(self._desk, tenant.id, conversation_id))
            await self._redraw(tx, tenant, conversation_id, seq, event)

    async def _redraw(
        self, tx: Transaction, tenant: Tenant, conversation_id: str, seq: int, event: Event
    ) -> None:
        """Have the card on a platform show how its approval stands; the console reads it from the log."""
        row = await log.conversation(tx, conversation_id)
        if row is not None and row["channel"] != "console":
            address = log.address_of(row)
            parcel = await outbox.put(tx, self._desk.me, tenant.id, address, conversation_id, seq, event.body)
            tx.after_commit.append(lambda: self._desk.post(parcel))


def _grown(desk: Desk, tenant_id: str, conversation_id: str) -> Callable[[], None]:
    return lambda: desk.grown(tenant_id, conversation_id)
