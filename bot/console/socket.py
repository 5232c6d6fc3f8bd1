"""The console's WebSocket: says come in, stored events and live pieces go out."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import WSMsgType, web

from agent.gate.approvals import feed_address
from bot.console.auth import Sessions, Unauthenticated, Visitor
from bot.console.entrance import Entrance
from bot.console.limits import AtOnce, Rate
from bot.console.wellformed import storable
from bot.texts.catalogue import Catalogue
from bot.texts.render import Renderer
from bot.web import metrics
from channels.console import log_topic
from core.errors import BadInput, It0Error, Refused, StoreUnavailable
from core.messages import Accepted, Body, Click, Text
from core.ports import Bus, Subscription
from core.store import approvals, inbox, log
from core.store.acts import turn_of_act
from core.store.database import Row, Transaction
from core.tenant import console_installation
from core.texts import say

logger = structlog.get_logger()

PAGE = 200
MAX_OPEN = 20
SIGNED_OUT = 4401
"""The close code of a socket whose session ended."""
STORE_RETRY_S = 0.5
CROWDED = 4429
"""The close code of a socket that is one more than its person may have open."""
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
ACT_KINDS = {"act", "settled", "performed"}


class Sockets:
    """Serves ``/ws/agent``."""

    def __init__(
        self,
        sessions: Sessions,
        entrance: Entrance,
        bus: Bus,
        texts: Catalogue,
        me: str,
        *,
        opens_a_minute: int,
        open_at_once: int,
        messages_a_minute: int,
        message_bytes: int,
        session_check_s: float,
    ) -> None:
        self.sessions = sessions
        self.entrance = entrance
        self.bus = bus
        self.texts = texts
        self.me = me
        self._opens = Rate(opens_a_minute)
        self._places = AtOnce(open_at_once)
        self.messages = Rate(messages_a_minute)
        self.message_bytes = message_bytes
        self._session_check_s = session_check_s
        self._open: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one page until it leaves."""
        if not same_origin(request, self.sessions.secure):
            metrics.REFUSED.labels("origin").inc()
            raise web.HTTPForbidden(text="origin")
        visitor = await self.sessions.visitor(request)
        if not self._opens.allows(visitor.key):
            metrics.REFUSED.labels("socket_rate").inc()
            raise web.HTTPTooManyRequests(text="too many sockets", headers={"Retry-After": "60"})
        socket = web.WebSocketResponse(heartbeat=20, max_msg_size=self.message_bytes * 4)
        with self._places.place(visitor.key) as is_free:
            await socket.prepare(request)
            await (self._serve(socket, request, visitor) if is_free else self._turn_away(socket, visitor))
        return socket

    async def _serve(self, socket: web.WebSocketResponse, request: web.Request, visitor: Visitor) -> None:
        self._open.add(socket)
        metrics.SOCKETS.inc()
        try:
            async with asyncio.TaskGroup() as group:
                page = Page(self, socket, visitor, group)
                keeper = group.create_task(self._keep_checking(socket, request, page))
                await page.serve()
                keeper.cancel()
                page.close()
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(socket)
            metrics.SOCKETS.dec()

    async def _turn_away(self, socket: web.WebSocketResponse, visitor: Visitor) -> None:
        """Say why on an open socket: of a refused handshake a browser tells its page nothing."""
        metrics.REFUSED.labels("sockets_open").inc()
        words = say("socket.too_many", limit=self._places.most)
        message = self.texts(words, visitor.user.language)
        frame = {"type": "refused", "id": None, "code": words.key, "message": message}
        with contextlib.suppress(ConnectionError):
            await socket.send_str(encode(frame))
            await socket.close(code=CROWDED, message=b"too many pages")

    async def end_session(self, visitor: Visitor) -> None:
        """Close the sockets of a session that has ended, here and in every other process."""
        message = {"ended": visitor.session_id, "user": visitor.user.id}
        await self.bus.publish(f"user:{visitor.tenant.id}", message)

    async def _keep_checking(self, socket: web.WebSocketResponse, request: web.Request, page: "Page") -> None:
        """End the socket soon after its session ends; show what the user may do by now."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._session_check_s):
                    await page.stale.wait()
            page.stale.clear()
            try:
                page.know(await self.sessions.visitor(request))
            except Unauthenticated:
                await socket.close(code=SIGNED_OUT, message=b"signed out")
                return
            except It0Error:
                continue

    async def close(self) -> None:
        """Close every socket, so that pages look for another process."""
        for socket in tuple(self._open):
            with contextlib.suppress(ConnectionError):
                await socket.close(code=1012, message=b"restarting")


class Page:
    """One open page."""

    def __init__(
        self, sockets: Sockets, socket: web.WebSocketResponse, visitor: Visitor, group: asyncio.TaskGroup
    ) -> None:
        self._sockets = sockets
        self._socket = socket
        self._visitor = visitor
        self._group = group
        self.stale = asyncio.Event()
        self._renderer = Renderer(sockets.texts, visitor.user)
        self._followed: dict[str, tuple[asyncio.Task[None], Subscription]] = {}
        self._sent: dict[str, int] = {}
        self._shown_running: dict[str, str | None] = {}
        self._acting: set[str] = set()
        self._clicks: dict[str, str] = {}

    async def serve(self) -> None:
        """Answer the page's messages until it closes."""
        await self._send({"type": "hello", "process": self._sockets.me})
        feed = feed_address(console_installation(self._visitor.tenant.id), self._visitor.user.id)
        self._follow_topic("feed", f"user:{self._visitor.tenant.id}", self._on_change)
        self._feed_thread = feed.thread
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            await self._take(message.data)

    def close(self) -> None:
        """Stop following."""
        for task, subscription in self._followed.values():
            subscription.close()
            task.cancel()

    def know(self, visitor: Visitor) -> None:
        """Show everything from now on as ``visitor`` may see it, in their language."""
        self._visitor = visitor
        self._renderer = Renderer(self._sockets.texts, visitor.user)

    async def _take(self, raw: str) -> None:
        event_id: str | None = None
        opens: str | None = None
        try:
            if (size := len(raw.encode())) > self._sockets.message_bytes:
                raise BadInput("socket.too_long", length=size, limit=self._sockets.message_bytes)
            message = json.loads(raw)
            if not isinstance(message, dict) or not storable(message):
                raise BadInput("error.bad_input")
            given = message.get("id")
            event_id = given if isinstance(given, str) else None
            place = message.get("conversation")
            opens = place if message.get("type") == "open" and isinstance(place, str) else None
            self._check_rate()
            await self._check_session(message)
            await self._route(message, event_id)
        except (ValueError, TypeError, KeyError, RecursionError):
            await self._refuse(event_id, BadInput("error.bad_input"))
        except Unauthenticated:
            await self._socket.close(code=SIGNED_OUT, message=b"signed out")
        except StoreUnavailable:
            # Not refused: the page keeps its copy, comes again, and sends it then.
            await self._socket.close(code=1013, message=b"try again later")
        except It0Error as error:
            await self._refuse(event_id, error, opens)

    def _check_rate(self) -> None:
        rate = self._sockets.messages
        if not rate.allows(self._visitor.key):
            raise Refused("message.too_many", limit=rate.a_minute)

    async def _check_session(self, message: Mapping[str, Any]) -> None:
        """Take nothing for a session that has ended, however open its socket still is."""
        if message.get("type") != "ping" and not await self._sockets.sessions.stands(self._visitor):
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
                await self._open(conversation, after)
            case {"type": "say", "id": str(), "text": str(text)}:
                await self._say(message, event_id or "", Text(text))
            case {"type": "click", "id": str(), "button": str(button)}:
                await self._check_button(button)
                accepted = await self._accept(event_id or "", self._feed_thread, Click(button))
                await self._follow_feed(accepted)
            case {"type": "stop", "id": str(), "conversation": str()}:
                await self._say(message, event_id or "", Text("/stop"))
            case _:
                raise BadInput("error.bad_input")

    async def _check_button(self, button: str) -> None:
        """Record a button that no card ever had; it is answered as any that cannot be pressed."""
        verb, _, ref = button.partition(":")
        if verb in ("approve", "reject"):
            async with self._visitor.tenant.reading() as db:
                if await approvals.get(db, ref) is not None:
                    return
        what = {"what": "button", "button": button[:80]}
        await self._sockets.sessions.note_refused(self._visitor, what)

    async def _say(self, message: Mapping[str, Any], event_id: str, body: Body) -> None:
        conversation, thread = message.get("conversation"), message.get("thread")
        if isinstance(conversation, str):
            thread = await self._thread_of(conversation)
        elif not isinstance(thread, str) or not 8 <= len(thread) <= 64 or ":" in thread:
            raise BadInput("error.bad_input")
        else:
            thread = f"{self._visitor.user.id}:{thread}"
        accepted = await self._accept(event_id, thread, body)
        conversation_id = accepted.conversation_id
        if accepted.seq == 1:
            await self._sockets.entrance.tell_pages(self._visitor, "conversations")
        if conversation_id not in self._followed:
            await _patiently(lambda: self._open(conversation_id, self._sent.get(conversation_id, 0)))

    async def _thread_of(self, conversation_id: str) -> str:
        """Return where a conversation of mine takes place; /open may have taken it to another channel."""
        async with self._visitor.tenant.reading() as db:
            row = await self._sockets.entrance.mine(db, self._visitor, conversation_id)
        return str(row["thread"])

    async def _follow_feed(self, accepted: Accepted) -> None:
        """Tell the page what a click came to when that is a sentence: such as who was first."""
        feed = accepted.conversation_id
        if feed not in self._followed:
            self._sent[feed] = accepted.seq - 1
            self._follow_topic(feed, log_topic(accepted.tenant_id, feed), self._on_feed)
        await self._on_feed(feed, {})

    async def _on_feed(self, feed: str, _: Mapping[str, Any]) -> None:
        async with self._visitor.tenant.reading() as db:
            rows = await log.events_after(db, feed, self._sent[feed], PAGE)
        for row in rows:
            if row["seq"] <= self._sent[feed]:
                continue
            self._sent[feed] = row["seq"]
            if row["kind"] == "clicked":
                self._clicks[row["turn_id"]] = row["body"]["button"]
            if row["kind"] == "reply":
                words = " ".join(part.get("text", "") for part in self._renderer.parts(row["body"]["parts"]))
                button = self._clicks.pop(row["turn_id"], None)
                frame = {"type": "refused", "id": None, "code": "click", "message": words}
                await self._send({**frame, "button": button})

    async def _accept(self, event_id: str, thread: str, body: Body) -> Accepted:
        accepted = await self._sockets.entrance.take(self._visitor, event_id, thread, body)
        await self._send(
            {
                "type": "accepted",
                "id": event_id,
                "conversation": accepted.conversation_id,
                "seq": accepted.seq,
            }
        )
        return accepted

    async def _open(self, conversation_id: str, after: int) -> None:
        """Follow a conversation: first from the log, then as it grows."""
        async with self._visitor.tenant.reading() as db:
            row = await self._sockets.entrance.mine(db, self._visitor, conversation_id)
        if conversation_id not in self._followed:
            if len(self._followed) > MAX_OPEN:
                self._unfollow(next(key for key in self._followed if key != "feed"))
            topic = log_topic(self._visitor.tenant.id, conversation_id)
            self._follow_topic(conversation_id, topic, self._on_log)
        self._sent[conversation_id] = after if after else max(0, row["last_seq"] - PAGE)
        await self._catch_up(conversation_id, always=True)

    def _unfollow(self, key: str) -> None:
        task, subscription = self._followed.pop(key)
        subscription.close()
        task.cancel()

    def _follow_topic(self, key: str, topic: str, call: Any) -> None:
        subscription = self._sockets.bus.subscribe(topic)
        task = self._group.create_task(self._follow(key, subscription, call))
        self._followed[key] = (task, subscription)

    async def _follow(self, key: str, subscription: Subscription, call: Any) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            async for message in subscription:
                try:
                    await _patiently(lambda: call(key, message))  # noqa: B023
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
            "data": self._renderer.live(message["data"]),
        }
        await self._send(frame)

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

    async def _catch_up(self, conversation_id: str, always: bool = False) -> None:
        """Send what the log holds above what this page was sent."""
        tenant = self._visitor.tenant
        while True:
            async with tenant.reading() as db:
                after = self._sent.get(conversation_id, 0)
                rows = await log.events_after(db, conversation_id, after, PAGE)
                events = await self._renderer.events(db, rows) if rows else []
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
        tenant_id = self._visitor.tenant.id
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

    async def _refuse(self, event_id: str | None, error: It0Error, opens: str | None = None) -> None:
        message = self._sockets.texts(error.say, self._renderer.language)
        metrics.REFUSED.labels("socket_message").inc()
        frame = {"type": "refused", "id": event_id, "code": error.say.key, "message": message}
        await self._send({**frame, "conversation": opens} if opens else frame)

    async def _send(self, frame: Mapping[str, Any]) -> None:
        if not self._socket.closed:
            await self._socket.send_str(encode(frame))


async def _patiently(call: Callable[[], Awaitable[None]]) -> None:
    """Do what a page must not miss once the store is back: nobody would tell it of that again."""
    while True:
        try:
            return await call()
        except StoreUnavailable as error:
            await logger.awarning("page_waits", reason=str(error))
        await asyncio.sleep(STORE_RETRY_S)


def same_origin(request: web.Request, secure: bool) -> bool:
    """Return whether a browser's request comes from the console's own pages.

    secure: they are reached by https only, as PUBLIC_URL says.
    """
    try:
        origin = urlsplit(request.headers.get("Origin", ""))
    except ValueError:
        return False
    schemes = ("https",) if secure else ("http", "https")
    return origin.scheme in schemes and bool(origin.netloc) and origin.netloc == request.host
