"""Telegram as far as a message and its reply need it: it brings updates and waits for what is said.

It runs within the benchmark's own process, so that one clock tells when a message was due and when its reply
came. Updates come by webhook, as many at once as the bot has asked for, or by polling.
"""

import asyncio
import contextlib
import itertools
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

FIRST_UPDATE = 900_000_000_000
"""So long that it is part of no other value: a recorded statement is searched for it."""

CONNECTIONS = 40
"""What Telegram opens to a webhook at most, unless it was told otherwise."""

Json = dict[str, Any]


class Side:
    """One bot as Telegram knows it. calls: how often each method was called."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.calls: Counter[str] = Counter()
        self.hook: Json = {}
        self.waiting: dict[int, deque[asyncio.Future[None]]] = defaultdict(deque)
        self.updates: deque[Json] = deque()
        self.came = asyncio.Event()
        self.heard = asyncio.Event()
        self.pushing: list[asyncio.Task[None]] = []

    async def ask(self, chat_id: int, text: str, timeout_s: float = 60) -> None:
        """Say something in a private chat and wait for the reply."""
        replied = asyncio.get_running_loop().create_future()
        self.waiting[chat_id].append(replied)
        self.bring(update_of(chat_id, text))
        async with asyncio.timeout(timeout_s):
            await replied

    def bring(self, update: Json) -> None:
        """Let an update be fetched, or be pushed."""
        self.updates.append(update)
        self.came.set()


class Telegram:
    """The API. sides: bots by their token."""

    def __init__(self) -> None:
        self.sides: dict[str, Side] = {}
        self.url = ""
        self._session: aiohttp.ClientSession | None = None
        self._message_ids = itertools.count(1)

    def side(self, token: str) -> Side:
        """Return a bot of its own."""
        return self.sides.setdefault(token, Side(token))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Telegram"]:
        """Serve the API on a port of its own."""
        app = web.Application()
        app.router.add_post("/bot{token}/{method}", self._call)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                await asyncio.gather(*map(unhook, self.sides.values()))
                await runner.cleanup()

    async def _call(self, request: web.Request) -> web.Response:
        side = self.sides[request.match_info["token"]]
        method = request.match_info["method"].lower()
        json_body = request.content_type == "application/json"
        data: Json = dict(await (request.json() if json_body else request.post()) or request.query)
        side.calls[method] += 1
        match method:
            case "getme":
                result: Any = {"id": 1, "is_bot": True, "first_name": "bench", "username": "bench_bot"}
            case "getupdates":
                result = await fetched(side, int(data.get("offset", 0)), float(data.get("timeout", 0)))
            case "setwebhook":
                await self._hooked(side, data)
                result = True
            case "deletewebhook":
                await unhook(side)
                result = True
            case "sendmessage":
                result = self._said(side, int(data["chat_id"]), str(data["text"]))
            case _:
                result = True
        return web.json_response({"ok": True, "result": result})

    def _said(self, side: Side, chat_id: int, text: str) -> Json:
        if waiting := side.waiting[chat_id]:
            replied = waiting.popleft()
            if not replied.done():
                replied.set_result(None)
        chat = {"id": chat_id, "type": "private", "first_name": "Ann"}
        return {"message_id": next(self._message_ids), "date": int(time.time()), "chat": chat, "text": text}

    async def _hooked(self, side: Side, data: Json) -> None:
        await unhook(side)
        side.hook = data
        side.heard.set()
        side.pushing = [
            asyncio.ensure_future(self._push(side, data))
            for _ in range(int(data.get("max_connections", CONNECTIONS)))
        ]

    async def _push(self, side: Side, hook: Json) -> None:
        assert self._session
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook.get("secret_token", "")}
        while True:
            while not side.updates:
                side.came.clear()
                await side.came.wait()
            update = side.updates.popleft()
            async with self._session.post(hook["url"], json=update, headers=headers) as response:
                if response.status != 200:
                    raise RuntimeError(f"{response.status}: {await response.text()}")


async def unhook(side: Side) -> None:
    """Stop what pushes a bot's updates."""
    for task in side.pushing:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*side.pushing)
    side.pushing, side.hook = [], {}


async def fetched(side: Side, offset: int, timeout_s: float) -> list[Json]:
    """Return the updates from ``offset`` on, as soon as there is one."""
    while side.updates and side.updates[0]["update_id"] < offset:
        side.updates.popleft()
    side.heard.set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while not side.updates:
                side.came.clear()
                await side.came.wait()
    return list(itertools.islice(side.updates, 100))


_update_ids = itertools.count(FIRST_UPDATE)


def update_of(chat_id: int, text: str) -> Json:
    """Return what Telegram tells of a message in a private chat."""
    number = next(_update_ids)
    person = {"id": chat_id, "is_bot": False, "first_name": "Ann", "language_code": "en"}
    chat = {"id": chat_id, "first_name": "Ann", "type": "private"}
    message = {"message_id": number - FIRST_UPDATE + 1, "from": person, "chat": chat, "text": text}
    return {"update_id": number, "message": {**message, "date": int(time.time())}}


Ask = Callable[[int, str], Any]


class Closed:
    """A closed loop: so many messages, one at a time in each chat. ask: says and waits for the reply."""

    def __init__(self, ask: Ask, chats: Sequence[int], text: str) -> None:
        self._ask, self._chats, self._text = ask, chats, text

    async def run(self, count: int) -> tuple[float, list[float]]:
        """Return (seconds, each reply's latency) of ``count`` messages."""
        left = iter(range(count))
        latencies: list[float] = []

        async def talk(chat: int) -> None:
            for _ in left:
                sent = time.perf_counter()
                await self._ask(chat, self._text)
                latencies.append(time.perf_counter() - sent)

        began = time.perf_counter()
        await asyncio.gather(*map(talk, self._chats))
        return time.perf_counter() - began, latencies


class Paced:
    """An open loop: messages at their times, whatever became of those before. hz: messages a second."""

    def __init__(self, ask: Ask, chats: Sequence[int], text: str, hz: float) -> None:
        self._ask, self._chats, self._text, self._hz = ask, chats, text, hz

    async def run(self, count: int) -> tuple[float, list[float]]:
        """Return (seconds, each reply's latency from when its message was due) of ``count`` messages."""
        began = time.perf_counter()

        async def one(number: int) -> float:
            due = began + number / self._hz
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await self._ask(self._chats[number % len(self._chats)], self._text)
            return time.perf_counter() - due

        latencies = await asyncio.gather(*map(one, range(count)))
        return time.perf_counter() - began, list(latencies)
