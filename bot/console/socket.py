"""The console's WebSocket: who may open one, and when it is closed."""

import asyncio
import contextlib

from aiohttp import web

from bot.console.auth import Sessions, Unauthenticated, Visitor
from bot.console.entrance import Entrance
from bot.console.limits import AtOnce, Rate
from bot.console.origin import same_origin
from bot.console.page import SIGNED_OUT, Grounds, Page, encode
from bot.texts.catalogue import Catalogue
from bot.web import metrics
from core.errors import It0Error
from core.ports import Bus
from core.texts import say

CROWDED = 4429
"""The close code of a socket that is one more than its person may have open."""


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
        file_bytes: int,
        session_check_s: float,
    ) -> None:
        messages = Rate(messages_a_minute)
        self._grounds = Grounds(sessions, entrance, bus, texts, me, messages, message_bytes, file_bytes)
        self._opens = Rate(opens_a_minute)
        self._places = AtOnce(open_at_once)
        self._session_check_s = session_check_s
        self._open: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one page until it leaves."""
        if not same_origin(request, self._grounds.sessions.secure):
            metrics.REFUSED.labels("origin").inc()
            raise web.HTTPForbidden(text="origin")
        visitor = await self._grounds.sessions.visitor(request)
        if not self._opens.allows(visitor.key):
            metrics.REFUSED.labels("socket_rate").inc()
            raise web.HTTPTooManyRequests(text="too many sockets", headers={"Retry-After": "60"})
        most = self._grounds.message_bytes * 4 + self._grounds.file_bytes * 2
        socket = web.WebSocketResponse(heartbeat=20, max_msg_size=most)
        with self._places.place(visitor.key) as is_free:
            await socket.prepare(request)
            await (self._serve(socket, request, visitor) if is_free else self._turn_away(socket, visitor))
        return socket

    async def _serve(self, socket: web.WebSocketResponse, request: web.Request, visitor: Visitor) -> None:
        self._open.add(socket)
        metrics.SOCKETS.inc()
        try:
            async with asyncio.TaskGroup() as group:
                page = Page(self._grounds, socket, visitor, group)
                keeper = group.create_task(self._keep_checking(socket, request, page))
                try:
                    await page.serve()
                finally:
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
        message = self._grounds.texts(words, visitor.user.language)
        frame = {"type": "refused", "id": None, "code": words.key, "message": message}
        with contextlib.suppress(ConnectionError):
            await socket.send_str(encode(frame))
            await socket.close(code=CROWDED, message=b"too many pages")

    async def end_session(self, visitor: Visitor) -> None:
        """Close the sockets of a session that has ended, here and in every other process."""
        message = {"ended": visitor.session_id, "user": visitor.user.id}
        await self._grounds.bus.publish(f"user:{visitor.tenant.id}", message)

    async def _keep_checking(self, socket: web.WebSocketResponse, request: web.Request, page: Page) -> None:
        """End the socket soon after its session ends; show what the user may do by now."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._session_check_s):
                    await page.stale.wait()
            page.stale.clear()
            try:
                page.reader.know(await self._grounds.sessions.visitor(request))
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
