"""What an open page follows: conversations' logs, live pieces, and what its own clicks came to."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from bot.console.auth import Visitor
from bot.console.entrance import Entrance
from bot.texts.catalogue import Catalogue
from bot.texts.render import Renderer
from channels.console import log_topic
from core.errors import It0Error, StoreUnavailable
from core.messages import Accepted
from core.ports import Bus, Subscription
from core.store import inbox, log
from core.store.acts import turn_of_act
from core.store.database import Row, Transaction

logger = structlog.get_logger()

PAGE = 200
MAX_OPEN = 20
STORE_RETRY_S = 0.5
ACT_KINDS = {"act", "settled", "performed"}

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
OnMessage = Callable[[str, Mapping[str, Any]], Awaitable[None]]


class Reader:
    """Who reads a page, with their rights as they are now, and everything in their language."""

    def __init__(self, texts: Catalogue, visitor: Visitor) -> None:
        self._texts = texts
        self.know(visitor)

    def know(self, visitor: Visitor) -> None:
        """Show everything from now on as ``visitor`` may see it, in their language."""
        self.visitor = visitor
        self.renderer = Renderer(self._texts, visitor.user)


class Following:
    """The topics that a page follows. group: in which they are listened to; send: sends the page a frame."""

    def __init__(
        self, reader: Reader, entrance: Entrance, bus: Bus, group: asyncio.TaskGroup, send: Send
    ) -> None:
        self.reader = reader
        self._entrance = entrance
        self._bus = bus
        self._group = group
        self._send = send
        self._followed: dict[str, tuple[asyncio.Task[None], Subscription]] = {}
        self._sent: dict[str, int] = {}
        self._shown_running: dict[str, str | None] = {}
        self._acting: set[str] = set()
        self._clicks: dict[str, str] = {}

    def close(self) -> None:
        """Stop following."""
        for task, subscription in self._followed.values():
            subscription.close()
            task.cancel()

    async def go_on(self, conversation_id: str) -> None:
        """Follow a conversation in which the page said something, from where it was sent."""
        if conversation_id not in self._followed:
            await patiently(lambda: self.open(conversation_id, self._sent.get(conversation_id, 0)))

    async def follow_feed(self, accepted: Accepted) -> None:
        """Tell the page what a click came to when that is a sentence: such as who was first."""
        feed = accepted.conversation_id
        if feed not in self._followed:
            self._sent[feed] = accepted.seq - 1
            self.follow(feed, log_topic(accepted.tenant_id, feed), self._on_feed)
        await self._on_feed(feed, {})

    async def _on_feed(self, feed: str, _: Mapping[str, Any]) -> None:
        async with self.reader.visitor.tenant.reading() as db:
            rows = await log.events_after(db, feed, self._sent[feed], PAGE)
        for row in rows:
            if row["seq"] <= self._sent[feed]:
                continue
            self._sent[feed] = row["seq"]
            if row["kind"] == "clicked":
                self._clicks[row["turn_id"]] = row["body"]["button"]
            if row["kind"] == "reply":
                parts = self.reader.renderer.parts(row["body"]["parts"])
                words = " ".join(part.get("text", "") for part in parts)
                button = self._clicks.pop(row["turn_id"], None)
                first = row["body"]["parts"][0]
                why = first.get("say") if isinstance(first, dict) else None
                frame = {"type": "refused", "id": None, "code": "click", "message": words}
                await self._send({**frame, "button": button, "why": why})

    async def open(self, conversation_id: str, after: int) -> None:
        """Follow a conversation: first from the log, then as it grows."""
        async with self.reader.visitor.tenant.reading() as db:
            row = await self._entrance.mine(db, self.reader.visitor, conversation_id)
        if conversation_id not in self._followed:
            if len(self._followed) > MAX_OPEN:
                self._unfollow(next(key for key in self._followed if key != "feed"))
            topic = log_topic(self.reader.visitor.tenant.id, conversation_id)
            self.follow(conversation_id, topic, self._on_log)
        self._sent[conversation_id] = after if after else max(0, row["last_seq"] - PAGE)
        await self._catch_up(conversation_id, always=True)

    def _unfollow(self, key: str) -> None:
        task, subscription = self._followed.pop(key)
        subscription.close()
        task.cancel()

    def follow(self, key: str, topic: str, call: OnMessage) -> None:
        """Have ``call`` answer what a topic tells."""
        subscription = self._bus.subscribe(topic)
        task = self._group.create_task(self._listen(key, subscription, call))
        self._followed[key] = (task, subscription)

    async def _listen(self, key: str, subscription: Subscription, call: OnMessage) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            async for message in subscription:
                try:
                    await patiently(lambda: call(key, message))  # noqa: B023
                except It0Error as error:
                    await logger.awarning("page_missed", reason=str(error))
                except ConnectionError:
                    return
                except Exception:  # what cannot be shown must not take the page with it
                    await logger.aexception("page_failed", key=key)

    async def _on_log(self, conversation_id: str, message: Mapping[str, Any]) -> None:
        if "live" not in message:
            await self._catch_up(conversation_id)
            return
        frame = {
            "type": "live",
            "conversation": conversation_id,
            "turn": message["turn"],
            "kind": message["live"],
            "data": self.reader.renderer.live(message["data"]),
        }
        await self._send(frame)

    async def _catch_up(self, conversation_id: str, always: bool = False) -> None:
        """Send what the log holds above what this page was sent."""
        tenant = self.reader.visitor.tenant
        while True:
            async with tenant.reading() as db:
                after = self._sent.get(conversation_id, 0)
                rows = await log.events_after(db, conversation_id, after, PAGE)
                events = await self.reader.renderer.events(db, rows) if rows else []
                running = await self._running(db, conversation_id, rows, always)
            if rows and rows[-1]["seq"] <= self._sent.get(conversation_id, 0):
                return
            if rows or always or running != self._shown_running.get(conversation_id):
                self._shown_running[conversation_id] = running
                if rows:
                    self._sent[conversation_id] = rows[-1]["seq"]
                await self._send(
                    {
                        "type": "events",
                        "conversation": conversation_id,
                        "events": events,
                        "running": running,
                    }
                )
            if len(rows) < PAGE:
                return
            always = False

    async def _running(
        self, db: Transaction, conversation_id: str, rows: Sequence[Row], always: bool
    ) -> str | None:
        """Return the turn that runs in the conversation, or whose approved act is under way.

        Acts are asked for where one may have begun or ended: most of what a log grows by tells of none.
        """
        tenant_id = self.reader.visitor.tenant.id
        seq = await db.value(inbox.RUNNING_TURN, tenant=tenant_id, conversation=conversation_id)
        if always or {row["kind"] for row in rows} & ACT_KINDS:
            self._acting.add(conversation_id)
        if seq is not None:
            event = next((row for row in rows if row["seq"] == seq), None)
            event = event or await log.event_at(db, conversation_id, seq)
            return event["turn_id"] if event else None
        if conversation_id not in self._acting:
            return None
        turn = await turn_of_act(db, conversation_id)
        if turn is None:
            self._acting.discard(conversation_id)
        return turn


async def patiently(call: Callable[[], Awaitable[None]]) -> None:
    """Do what a page must not miss once the store is back: nobody would tell it of that again."""
    while True:
        try:
            return await call()
        except StoreUnavailable as error:
            await logger.awarning("page_waits", reason=str(error))
        await asyncio.sleep(STORE_RETRY_S)
