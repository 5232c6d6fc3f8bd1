"""What the checks say of what does not answer: a sentence in both languages, no library's name."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.bench import Bench, make_bench
from support.kube_authority import Authority
from support.store import Store

from agent.engine import Answer
from bot.texts.catalogue import load_catalogue
from core.texts import Say

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench that knows loopback as one of its servers."""
    bench = await make_bench(store)
    await bench.knows("127.0.0.1")
    return bench


@asynccontextmanager
async def served(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Yield the port of a server on loopback."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up."""
    writer.close()


async def noise(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say what no web server says."""
    writer.write(b"220 mail.example ESMTP ready\r\n")
    await writer.drain()
    writer.close()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the other side goes."""
    while await reader.read(1024):
        pass
    writer.close()


def said(answer: Answer, at: str) -> str:
    """Return why in English, once the Chinese was seen to be Chinese."""
    texts, (sentence,) = load_catalogue(), answer.parts
    assert isinstance(sentence, Say)
    assert not re.search("[A-Za-z]{5}|Error", texts(sentence, "zh").replace(at, ""))
    return texts(sentence, "en").partition(": ")[2]


@pytest.mark.parametrize(
    ("serve", "scheme", "why"),
    [
        (cut, "http", "the connection broke off."),
        (noise, "http", "what it answers is not HTTP."),
        (silence, "http", "no answer within 5 s."),
        (noise, "https", "no TLS connection could be made; it may not speak TLS on this port."),
    ],
)
async def test_site_that_does_not_answer_is_said_with_why(
    bench: Bench, serve: Serve, scheme: str, why: str
) -> None:
    async with served(serve) as port:
        url = f"{scheme}://127.0.0.1:{port}/"
        assert said(await bench("check_http", url=url), url) == why


async def test_certificate_of_no_known_authority_is_said_to_be_untrusted(
    bench: Bench, tmp_path: Path
) -> None:
    for name, pem in zip(("cert", "key"), Authority().leaf("site", "127.0.0.1"), strict=True):
        (tmp_path / name).write_bytes(pem)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    async with served(silence, tls) as port:
        url = f"https://127.0.0.1:{port}/"
        assert "certificate is not trusted" in said(await bench("check_http", url=url), url)


async def test_closed_port_is_said_to_refuse(bench: Bench, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/"
    for tool, asked in (
        ("check_http", {"url": url}),
        ("check_tcp", {"host": "127.0.0.1", "port": unused_tcp_port}),
    ):
        assert said(await bench(tool, **asked), url) == "the connection was refused."
