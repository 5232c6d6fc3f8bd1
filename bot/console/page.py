"""An open page: what it says is taken, and answered."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import WSMsgType, web

from agent.gate.deciding.cards import feed_address
from bot.console.auth import Sessions, Unauthenticated, Visitor
from bot.console.entrance import Entrance
from bot.console.following import Following, Reader
from bot.console.limits import Rate
from bot.console.uploads import text_with_file
from bot.console.wellformed import storable
from bot.texts.catalogue import Catalogue
from bot.web import metrics
from core.errors import BadInput, It0Error, Refused, StoreUnavailable
from core.messages import Accepted, Body, Click, Text
from core.ports import Bus
from core.store import approvals
from core.tenant import console_installation
from core.texts import Say, say

logger = structlog.get_logger()

SIGNED_OUT = 4401
"""The close code of a socket whose session ended."""
FILE = '"file":{'
"""Stands in a message with a file as pages write it; within a text its quotes are escaped."""

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Grounds:
    """What every page stands on. me: the process's id; messages: how many a person may send a minute.

    message_bytes: of one message; file_bytes: of the text file that may come with it, 0 for none.
    """

    sessions: Sessions
    entrance: Entrance
    bus: Bus
    texts: Catalogue
    me: str
    messages: Rate
    message_bytes: int
    file_bytes: int


class Page:
    """One open page."""

    def __init__(
        self, grounds: Grounds, socket: web.WebSocketResponse, visitor: Visitor, group: asyncio.TaskGroup
    ) -> None:
        self._grounds = grounds
        self._socket = socket
        self.stale = asyncio.Event()
        self.reader = Reader(grounds.texts, visitor)
        self._following = Following(self.reader, grounds.entrance, grounds.bus, group, self._send)

    @property
    def _visitor(self) -> Visitor:
        return self.reader.visitor

    async def serve(self) -> None:
        """Answer the page's messages until it closes."""
        await self._send({"type": "hello", "process": self._grounds.me})
        feed = feed_address(console_installation(self._visitor.tenant.id), self._visitor.user.id)
        self._following.follow("feed", f"user:{self._visitor.tenant.id}", self._on_change)
        self._feed_thread = feed.thread
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            await self._take(message.data)

    def close(self) -> None:
        """Stop following."""
        self._following.close()

    async def _take(self, raw: str) -> None:
        event_id: str | None = None
        opens: str | None = None
        try:
            message = self._read(raw)
            given = message.get("id")
            event_id = given if isinstance(given, str) else None
            place = message.get("conversation")
            opens = place if message.get("type") == "open" and isinstance(place, str) else None
            self._check_rate()
            await self._check_session(message)
            await self._route(message, event_id)
        except Unauthenticated:
            await self._socket.close(code=SIGNED_OUT, message=b"signed out")
        except StoreUnavailable:
            # Not refused: the page keeps its copy, comes again, and sends it then.
            await self._socket.close(code=1013, message=b"try again later")
        except It0Error as error:
            await self._refuse(event_id, error.say, opens)
        except ConnectionError:
            raise
        except (
            Exception
        ):  # unanswered it would be sent again with each new connection, and break that as well
            await logger.aexception("page_message_failed")
            await self._refuse(event_id, say("error.internal"), opens)

    def _read(self, raw: str) -> Mapping[str, Any]:
        """Return a message; raises BadInput for what is too long or none."""
        limit = self._grounds.message_bytes + (self._grounds.file_bytes * 2 if FILE in raw else 0)
        if (size := len(raw.encode())) > limit:
            raise BadInput("socket.too_long", length=size, limit=limit)
        try:
            message = json.loads(raw)
            is_one = isinstance(message, dict) and storable(message)
        except (ValueError, RecursionError):
            is_one = False
        if not is_one:
            raise BadInput("error.bad_input")
        return dict(message)

    def _check_rate(self) -> None:
        rate = self._grounds.messages
        if not rate.allows(self._visitor.key):
            raise Refused("message.too_many", limit=rate.a_minute)

    async def _check_session(self, message: Mapping[str, Any]) -> None:
        """Take nothing for a session that has ended, however open its socket still is."""
        if message.get("type") != "ping" and not await self._grounds.sessions.stands(self._visitor):
            raise Unauthenticated

    async def _route(self, message: Mapping[str, Any], event_id: str | None) -> None:
        match message:
            case {"type": "ping"}:
                await self._send({"type": "pong"})
            case {"type": "feed"}:
                pass
            case {"type": "open", "conversation": str(conversation), "after": int(after)} if (
                0 <= after < 2**62
            ):
                await self._following.open(conversation, after)
            case {"type": "say", "id": str(), "text": str(text), "file": {**file}}:
                whole = text_with_file(text, file, self._grounds.file_bytes)
                await self._say(message, event_id or "", Text(whole))
            case {"type": "say", "id": str(), "text": str(text)}:
                await self._say(message, event_id or "", Text(text))
            case {"type": "click", "id": str(), "button": str(button)}:
                await self._check_button(button)
                accepted = await self._accept(event_id or "", self._feed_thread, Click(button))
                await self._following.follow_feed(accepted)
            case {"type": "stop", "id": str(), "conversation": str()}:
                await self._say(message, event_id or "", Text("/stop"))
            case _:
                raise BadInput("error.bad_input")

    async def _check_button(self, button: str) -> None:
        """Record a button that no card ever had; it is answered as any that cannot be pressed."""
        verb, _, ref = button.partition(":")
        if verb in ("approve", "grant", "reject"):
            async with self._visitor.tenant.reading() as db:
                if await approvals.get(db, ref) is not None:
                    return
        what = {"what": "button", "button": button[:80]}
        await self._grounds.sessions.note_refused(self._visitor, what)

    async def _say(self, message: Mapping[str, Any], event_id: str, body: Body) -> None:
        conversation, thread = message.get("conversation"), message.get("thread")
        if isinstance(conversation, str):
            thread = await self._thread_of(conversation)
        elif not isinstance(thread, str) or not 8 <= len(thread) <= 64 or ":" in thread:
            raise BadInput("error.bad_input")
        else:
            thread = f"{self._visitor.user.id}:{thread}"
        accepted = await self._accept(event_id, thread, body)
        if accepted.seq == 1:
            await self._grounds.entrance.tell_pages(self._visitor, "conversations")
        await self._following.go_on(accepted.conversation_id)

    async def _thread_of(self, conversation_id: str) -> str:
        """Return where a conversation of mine takes place; /open may have taken it to another channel."""
        async with self._visitor.tenant.reading() as db:
            row = await self._grounds.entrance.mine(db, self._visitor, conversation_id)
        return str(row["thread"])

    async def _accept(self, event_id: str, thread: str, body: Body) -> Accepted:
        accepted = await self._grounds.entrance.take(self._visitor, event_id, thread, body)
        await self._send(
            {
                "type": "accepted",
                "id": event_id,
                "conversation": accepted.conversation_id,
                "seq": accepted.seq,
            }
        )
        return accepted

    async def _on_change(self, _: str, message: Mapping[str, Any]) -> None:
        user_id = message.get("user")
        if "ended" in message:
            if message["ended"] == self._visitor.session_id:
                await self._socket.close(code=SIGNED_OUT, message=b"signed out")
            return
        if user_id in (None, self._visitor.user.id):
            if message["changed"] == "people":
                self.stale.set()
            await self._send({"type": "changed", "what": message["changed"]})

    async def _refuse(self, event_id: str | None, words: Say, opens: str | None) -> None:
        message = self._grounds.texts(words, self.reader.renderer.language)
        metrics.REFUSED.labels("socket_message").inc()
        frame = {"type": "refused", "id": event_id, "code": words.key, "message": message}
        await self._send({**frame, "conversation": opens} if opens else frame)

    async def _send(self, frame: Mapping[str, Any]) -> None:
        if not self._socket.closed:
            await self._socket.send_str(encode(frame))
