"""What a benchmark stands on: one PostgreSQL and Valkey of our own, and it0 as a process on them."""

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.measure import family_cpu_s
from bot.embedded import Home, Postgres, Valkey

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"http://\S+/login\?token=(\S+)")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """Return a clean environment for a process of ours."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
    return {**kept, "PYTHONPATH": str(ROOT), "LOG_LEVEL": "WARNING", **more}


class Bot:
    """it0 as a process of its own, with the settings that it has by itself."""

    def __init__(self, home: Path, *command: str, python: str = sys.executable, **settings: str) -> None:
        self.port = free_port()
        self._python = python
        self._command = command or ("benchmarks.served",)
        self._environment = environment(IT0_HOME=str(home), IT0_HTTP_PORT=str(self.port), **settings)
        self._folder = home.parent
        self._log = home.parent / f"{home.name}.out"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process's id."""
        assert self.process
        return self.process.pid

    @property
    def url(self) -> str:
        """Return the console's address."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> float:
        """Start it; return the seconds until ``/readyz`` answers 200."""
        began = time.monotonic()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [self._python, "-m", *self._command],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        while not await self._is_ready():
            if self.process.poll() is not None or time.monotonic() - began > 60:
                raise RuntimeError(f"it0 did not start: {self._log.read_text()[-2000:]}")
            await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def _is_ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in await reader.readline()
        except OSError:
            return False
        finally:
            writer.close()

    async def link(self) -> str:
        """Return the token of the first link, which it prints once it is ready."""
        for _ in range(500):
            if found := LINK.search(self._log.read_text()):
                return found[1]
            await asyncio.sleep(0.01)
        raise RuntimeError("it0 printed no link")

    async def stop(self) -> float:
        """End it; return how many seconds that took."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        while self.process.poll() is None:
            if time.monotonic() - began > 30:
                self.process.kill()
            await asyncio.sleep(0.005)
        return time.monotonic() - began


class Ground:
    """One PostgreSQL and Valkey, on which processes of it0 and of baselines work side by side."""

    def __init__(self, folder: Path, postgres: Postgres, valkey: Valkey) -> None:
        self.folder = folder
        self.app_url = postgres.app_url
        self.owner_url = postgres.owner_url
        self.redis_url = valkey.url
        self.postgres = postgres

    @property
    def postgres_cpu_s(self) -> float:
        """Return what PostgreSQL has used by now."""
        pid = self.postgres.keeper.pid
        assert pid
        return family_cpu_s(pid)

    @asynccontextmanager
    async def bot(self, *command: str, **settings: str) -> AsyncIterator[Bot]:
        """Yield a running bot; all bots of one ground share its keys, so they follow one another."""
        bot = Bot(
            self.folder / "bot",
            *command,
            DATABASE_URL=self.app_url,
            DATABASE_ADMIN_URL=self.owner_url,
            REDIS_URL=self.redis_url,
            **settings,
        )
        try:
            await bot.start()
            yield bot
        finally:
            await bot.stop()


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Yield a ground that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="it0-bench-") as folder, Home(Path(folder) / "servers") as home:
        async with Postgres(home) as postgres, Valkey(home) as valkey:
            yield Ground(Path(folder), postgres, valkey)


class Person:
    """Somebody who is signed in. session: holds the cookie."""

    def __init__(self, bot: Bot, session: aiohttp.ClientSession, csrf: str) -> None:
        self.bot = bot
        self.session = session
        self._csrf = csrf

    async def post(self, path: str, body: Any) -> Any:
        """Return a route's answer."""
        headers = {"X-CSRF-Token": self._csrf}
        async with self.session.post(self.bot.url + path, json=body, headers=headers) as response:
            assert response.ok, await response.text()
            return await response.json()

    async def make_person(self, name: str) -> str:
        """Let somebody in as an operator; return their link's token."""
        made = await self.post("/api/v1/users", {"name": name, "role": "operator"})
        return str(made["link"].partition("token=")[2])


@asynccontextmanager
async def signed_in(bot: Bot, token: str) -> AsyncIterator[Person]:
    """Yield whoever a link is for."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.post(f"{bot.url}/login", data={"token": token}) as response:
            assert response.status == 200, await response.text()
        async with session.get(f"{bot.url}/api/v1/me") as response:
            csrf = (await response.json())["csrf"]
        yield Person(bot, session, csrf)


class Page:
    """An open WebSocket that says something and waits for the reply, in many conversations at once."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._answers: dict[str, asyncio.Future[str]] = {}
        self._places: dict[str, str] = {}
        self.output_of: dict[str, float] = {}
        self._task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            frame = json.loads(message.data)
            match frame["type"]:
                case "accepted" if frame["id"] in self._answers:
                    self._places[frame["conversation"]] = frame["id"]
                case "events":
                    for event in frame["events"]:
                        if event["kind"] in ("reply", "notice", "card"):
                            self._answered(frame["conversation"])
                case "live" if frame["kind"] == "output":
                    self.output_of.setdefault(frame["data"]["server"], time.monotonic())
                case "refused":
                    self._fail(frame)

    def _answered(self, conversation: str) -> None:
        answer = self._answers.pop(self._places.get(conversation, ""), None)
        if answer and not answer.done():
            answer.set_result(conversation)

    def _fail(self, frame: dict[str, Any]) -> None:
        answer = self._answers.pop(frame["id"], None)
        if answer and not answer.done():
            answer.set_exception(RuntimeError(frame["message"]))

    async def ask(self, text: str, conversation: str | None = None) -> str:
        """Say something and wait for the reply; return the conversation."""
        said = await self.say(text, conversation)
        async with asyncio.timeout(120):
            return await said

    async def say(self, text: str, conversation: str | None = None) -> "asyncio.Future[str]":
        """Say something; return what is done with the reply."""
        event_id = secrets.token_hex(8)
        self._answers[event_id] = answer = asyncio.get_running_loop().create_future()
        if conversation:
            self._places[conversation] = event_id
        thread = None if conversation else secrets.token_hex(8)
        message = {"type": "say", "id": event_id, "conversation": conversation, "thread": thread}
        await self._socket.send_str(json.dumps({**message, "text": text}))
        return answer

    async def stop(self, conversation: str) -> None:
        """Stop what runs in a conversation."""
        message = {"type": "stop", "id": secrets.token_hex(8), "conversation": conversation}
        await self._socket.send_str(json.dumps(message))

    async def close(self) -> None:
        """Leave."""
        self._task.cancel()
        await self._socket.close()


@asynccontextmanager
async def page(session: aiohttp.ClientSession, url: str) -> AsyncIterator[Page]:
    """Yield an open page."""
    async with session.ws_connect(f"{url}/ws/agent", headers={"Origin": url}) as socket:
        opened = Page(socket)
        try:
            yield opened
        finally:
            await opened.close()
