"""Pages whose connection breaks off: nothing of them stays behind."""

import asyncio

import pytest
from support.place import built, until
from support.store import Store

from bot.bus import LocalBus
from bot.console.auth import COOKIE
from bot.process.running import running

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
