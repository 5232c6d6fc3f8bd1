"""What a person says on the console or by the API becomes an inbound of theirs."""

from bot.console.auth import Visitor
from bot.inbound.front import MAX_EVENT_ID, Front
from bot.web import metrics
from channels.console import Console, log_topic
from core.errors import BadInput, NotFound
from core.messages import Accepted, Address, Body, Inbound, Sender
from core.ports import Bus
from core.store import log
from core.store.database import Row, Transaction
from core.tenant import console_installation


class Entrance:
    """Takes inbounds, and tells open pages that a log has grown."""

    def __init__(self, front: Front, console: Console, bus: Bus) -> None:
        self._front = front
        self._console = console
        self._bus = bus

    async def take(self, visitor: Visitor, event_id: str, thread: str, body: Body) -> Accepted:
        """Accept what ``visitor`` says at ``thread``; the same ``event_id`` again is the same event.

        Raises BadInput, and Unauthenticated's kin where the visitor is nobody any more.
        """
        if not event_id:
            raise BadInput("message.bad_id", limit=MAX_EVENT_ID)
        tenant, user = visitor.tenant, visitor.user
        address = Address("console", console_installation(tenant.id), thread)
        inbound = Inbound(address, f"{user.id}:{event_id}", body, Sender(user.id, visitor.ip))
        accepted = await self._front(inbound, self._console.reply_to(address))
        if accepted is None:
            raise NotFound("error.sign_in")
        metrics.MESSAGES.labels(visitor.channel, type(body).__name__.lower()).inc()
        topic = log_topic(accepted.tenant_id, accepted.conversation_id)
        await self._bus.publish(topic, {"grown": accepted.seq})
        return accepted

    async def tell_pages(self, visitor: Visitor, changed: str) -> None:
        """Have every page of this person, and of nobody else, read a list again."""
        await self._bus.publish(f"user:{visitor.tenant.id}", {"changed": changed, "user": visitor.user.id})

    async def mine(self, db: Transaction, visitor: Visitor, conversation_id: str) -> Row:
        """Return a conversation of the visitor's that takes place here; raises NotFound."""
        row = await log.conversation(db, conversation_id)
        if row is None or row["user_id"] != visitor.user.id or row["channel"] != "console":
            raise NotFound("error.no_such_conversation")
        return row
