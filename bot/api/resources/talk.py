"""Conversations: listed, read, begun, spoken in, stopped; their turns and runs."""

from collections.abc import Sequence

from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models.talk import (
    Accepted,
    Conversation,
    ConversationQuery,
    Conversations,
    Event,
    EventQuery,
    Events,
    Message,
    Run,
    RunTold,
    Target,
    Turn,
)
from bot.api.problems import naming
from bot.chat.talks import Talks
from bot.console.entrance import Entrance
from bot.texts.catalogue import Catalogue
from bot.texts.render import Renderer
from core.errors import NotFound
from core.ids import new_id
from core.messages import Accepted as Taken
from core.messages import Body, Text
from core.store import log, runs, talks, turns
from core.store.database import Row, Transaction
from core.work import Role


class Talk:
    """The endpoints."""

    def __init__(self, entrance: Entrance, talks: Talks, texts: Catalogue) -> None:
        self._entrance = entrance
        self._talks = talks
        self._texts = texts

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [
            endpoint("GET", "/conversations", self.list_conversations),
            endpoint("POST", "/conversations", self.begin_conversation, 202),
            endpoint("GET", "/conversations/{id}", self.show_conversation),
            endpoint("GET", "/conversations/{id}/events", self.list_events),
            endpoint("POST", "/conversations/{id}/reopen", self.reopen_conversation),
            endpoint("POST", "/conversations/{id}/messages", self.send_message, 202),
            endpoint("POST", "/conversations/{id}/stop", self.stop_conversation, 202),
            endpoint("GET", "/turns/{id}", self.show_turn),
            endpoint("GET", "/runs/{id}", self.show_run),
        ]

    async def list_conversations(self, caller: Caller, query: ConversationQuery) -> Conversations:
        """List the caller's conversations, the newest first."""
        asked = (caller.user.id, query.q.split(), query.cursor, query.limit, query.everywhere)
        async with caller.tenant.reading() as db:
            with naming():
                rows, more = await talks.listed(db, *asked)
        found = [_conversation(row) for row in rows]
        return Conversations(conversations=found, next=found[-1].id if more else None)

    async def begin_conversation(self, caller: Caller, form: Message, once: str) -> Accepted:
        """Begin a conversation with a message."""
        return await self._take(caller, once, f"{caller.user.id}:{new_id()}", Text(form.text))

    async def show_conversation(self, caller: Caller, id: str) -> Conversation:
        """Show a conversation of the caller's."""
        async with caller.tenant.reading() as db:
            rows = await db.all(talks.ONE, user_id=caller.user.id, id=id, everywhere=True)
        if not rows:
            raise NotFound("error.no_such_conversation")
        return _conversation(rows[0])

    async def reopen_conversation(self, caller: Caller, id: str) -> Conversation:
        """Let a conversation of the caller's go on here, wherever it took place until now."""
        await self._talks.to_console(caller.tenant, caller.user, id)
        return await self.show_conversation(caller, id)

    async def list_events(self, caller: Caller, id: str, query: EventQuery) -> Events:
        """Show a page of a conversation's log, the newest unless told otherwise."""
        async with caller.tenant.reading() as db:
            await _own(db, caller, id)
            if query.after is not None:
                rows = await log.events_after(db, id, query.after, query.limit)
            else:
                rows = await log.events_before(db, id, query.cursor or 2**62, query.limit)
            events = await Renderer(self._texts, caller.user).events(db, rows)
        first = rows[0]["seq"] if rows else 0
        return Events(events=[Event(**each) for each in events], next=first if first > 1 else None)

    async def send_message(self, caller: Caller, id: str, form: Message, once: str) -> Accepted:
        """Say something in a conversation of the caller's."""
        return await self._say(caller, id, once, Text(form.text))

    async def stop_conversation(self, caller: Caller, id: str, once: str) -> Accepted:
        """End what runs in a conversation of the caller's, or withdraw what it asks for."""
        return await self._say(caller, id, once, Text("/stop"))

    async def _say(self, caller: Caller, conversation_id: str, once: str, body: Body) -> Accepted:
        async with caller.tenant.reading() as db:
            row = await self._entrance.mine(db, caller.visitor, conversation_id)
        return await self._take(caller, once, str(row["thread"]), body)

    async def _take(self, caller: Caller, once: str, thread: str, body: Body) -> Accepted:
        taken: Taken = await self._entrance.take(caller.visitor, once or new_id(), thread, body)
        return Accepted(conversation=taken.conversation_id, seq=taken.seq, repeat=taken.repeat)

    async def show_turn(self, caller: Caller, id: str) -> Turn:
        """Show how a turn in one of the caller's conversations stands."""
        async with caller.tenant.reading() as db:
            row = await turns.get(db, id)
            if row is None:
                raise NotFound
            await _own(db, caller, row["conversation_id"])
        kept = {name: row[name] for name in ("id", "engine", "status", "started_at", "ended_at")}
        return Turn(**kept, conversation=row["conversation_id"], approval=row["approval_id"])

    async def show_run(self, caller: Caller, id: str) -> RunTold:
        """Show a command that was run, with its whole kept output (operators)."""
        caller.needs(Role.OPERATOR)
        async with caller.tenant.reading() as db:
            found = await runs.get(db, id)
        if found is None:
            raise NotFound
        row, targets = found
        told = Run(**{name: row[name] for name in Run.model_fields})
        return RunTold(
            run=told,
            targets=[
                Target(**{name: getattr(each, name) for name in Target.model_fields}) for each in targets
            ],
        )


def _conversation(row: Row) -> Conversation:
    return Conversation(**{name: row[name] for name in Conversation.model_fields})


async def _own(db: Transaction, caller: Caller, conversation_id: str) -> None:
    """Raise NotFound unless the conversation is the caller's, on whatever channel."""
    row = await log.conversation(db, conversation_id)
    if row is None or row["user_id"] != caller.user.id:
        raise NotFound("error.no_such_conversation")
