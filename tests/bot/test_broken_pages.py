"""Pages whose connection or whose message breaks: nothing stays behind, and nothing is passed over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from support.place import built, until
from support.store import Store

from bot.bus import LocalBus
from bot.console.auth import COOKIE
from bot.process.running import running
from core.store.database import Database, Transaction

OPEN = b'{"type":"open","conversation":"none","after":0}'


def handshake(port: int, cookie: str) -> bytes:
    """Return the request that opens a page's socket."""
    lines = [
        "GET /ws/agent HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Origin: http://127.0.0.1:{port}",
        f"Cookie: {COOKIE}={cookie}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.filterwarnings("ignore::aiohttp.web.NotAppKeyWarning")
async def test_page_that_breaks_off_while_it_is_answered_follows_nothing_any_more(store: Store) -> None:
    async with built(store) as place, running(place.app, serves=True, works=False, alone=False) as port:
        bus, sessions = place.app.desk.bus, place.app.sessions
        assert isinstance(bus, LocalBus)
        before = len(bus)
        link = await sessions.make_link(place.tenant, place.ann, "")
        cookie = await sessions.sign_in(link.rpartition("=")[2], None)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(handshake(port, cookie or ""))
        await reader.readuntil(b'"hello"')
        assert len(bus) == before + 1
        frame = bytes([0x81, 0x80 | len(OPEN), 0, 0, 0, 0]) + OPEN
        writer.write(frame * 20)
        await asyncio.sleep(0)
        writer.transport.abort()

        async def is_gone() -> bool:
            return len(bus) == before

        await until(is_gone, 10)


class Odd(Database):
    """A database that breaks as none should, once it is told to."""

    breaks = False

    @asynccontextmanager
    async def reading(self, schema: str = "", tenant_id: str = "") -> AsyncIterator[Transaction]:
        """Read, or break where it is a tenant's."""
        if Odd.breaks and tenant_id:
            raise KeyError("nobody thought of this")
        async with super().reading(schema, tenant_id) as tx:
            yield tx


@pytest.mark.filterwarnings("ignore::aiohttp.web.NotAppKeyWarning")
async def test_message_in_which_it0_breaks_is_answered_so_and_the_page_goes_on(store: Store) -> None:
    async with (
        built(store, database=Odd) as place,
        running(place.app, serves=True, works=False, alone=False) as port,
    ):
        link = await place.app.sessions.make_link(place.tenant, place.ann, "")
        cookie = await place.app.sessions.sign_in(link.rpartition("=")[2], None)
        headers = {"Origin": f"http://127.0.0.1:{port}", "Cookie": f"{COOKIE}={cookie}"}
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
            session.ws_connect("/ws/agent", headers=headers) as socket,
        ):
            assert (await socket.receive_json())["type"] == "hello"
            Odd.breaks = True
            await socket.send_json({"type": "say", "id": "a", "conversation": "none", "text": "hello"})
            answer = await socket.receive_json()
            Odd.breaks = False
            assert (answer["id"], answer["code"]) == ("a", "error.internal")
            await socket.send_json({"type": "ping"})
            assert (await socket.receive_json())["type"] == "pong"
