"""A running it0 as its users meet it: a process of its own, a browser's client, and what only judges read."""

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ClassVar, TextIO

import aiohttp
import asyncpg
from support import warm

from bot.embedded.postgres import socket_url
from bot.embedded.valkey import socket_url as valkey_url

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"http://\S+/login\?token=(\S+)")
SHOWN = 10
"""So many conversations a page that comes back looks at again; it0 lets it follow twenty."""
FAST = {"HEARTBEAT_S": "0.2", "DEAD_AFTER_S": "1.5", "SWEEP_S": "0.2", "STOP_GRACE_S": "5"}


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_cold(
    module: str, words: Sequence[str], cwd: Path, env: Mapping[str, str], stderr: TextIO
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *words]
    return subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=stderr, text=True)


class House:
    """One IT0_HOME and the processes on it."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self.environment = environment
        self.process: subprocess.Popen[str] | warm.Process | None = None
        self.is_cold = False
        """Whether it imports all that it needs by itself, as it does for users."""
        self.role = "up"
        self.link: str | None = None
        self.log = home.parent / f"{home.name}.log"
        self.target = home.parent / f"{home.name}.target"
        """The home directory of the user as whom the server ``local`` runs commands."""
        self.arm = home.parent / f"{home.name}.arm"

    @property
    def url(self) -> str:
        """Return the console's address."""
        return f"http://127.0.0.1:{self.port}"

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR")}
        self.target.mkdir(exist_ok=True)
        mine = {
            "HOME": str(self.target),
            "IT0_HOME": str(self.home),
            "IT0_HTTP_PORT": str(self.port),
            "IT0_TEST_ARM": str(self.arm),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        }
        return {**kept, **FAST, **mine, **self.environment, **more}

    def start(self, role: str = "", **more: str) -> None:
        """Start it0 as a process of its own, as before or as ``role``; wait until it is ready, or killed."""
        self._end_pipe()
        role = self.role = role or self.role
        with self.log.open("a") as log:
            begin = _start_cold if self.is_cold else warm.start
            self.process = begin("support.launcher", [role], self.home.parent, self._environment(more), log)
        if role == "bot":
            return self._until_served()
        assert self.process.stdout
        for line in self.process.stdout if role == "up" else ():
            if found := LINK.search(line):
                self.link = found[1]
            if "it0 user link" in line or "/keys" in line:
                return None
        if role == "up" and self.process.wait(30) != -signal.SIGKILL:
            raise AssertionError(f"it0 did not start: {self.log.read_text()[-3000:]}")
        return None

    def _until_served(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not self.died:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise AssertionError(f"it0 did not start: {self.log.read_text()[-3000:]}")

    @property
    def died(self) -> bool:
        """Return whether its process is gone."""
        return self.process is None or self.process.poll() is not None

    def replica(self, **environment: str) -> "House":
        """Return a bot to be started (``start("bot")``) on this house's database."""
        keys = {
            setting: (self.home / "keys" / name).read_text().strip()
            for setting, name in (
                ("VAULT_MASTER_KEY", "vault"),
                ("AUDIT_KEY", "audit"),
                ("JWT_SECRET", "jwt"),
            )
        }
        urls = {
            "DATABASE_URL": socket_url(self.home, "it0_app"),
            "DATABASE_ADMIN_URL": socket_url(self.home, "it0_owner"),
            "REDIS_URL": valkey_url(self.home),
        }
        settings = {**self.environment, **keys, **urls, **environment}
        other = House(self.home.with_name(f"{self.home.name}-{free_port()}"), **settings)
        other.target = self.target
        return other

    def child(self, name: str) -> int:
        """Return the process id of its ``postgres`` or ``valkey``."""
        return int((self.home / "run" / f"{name}.pid").read_text().split()[0])

    def freeze(self) -> None:
        """Stop the process where it is (SIGSTOP)."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    @property
    def frozen(self) -> bool:
        """Return whether it has stopped itself, or was."""
        assert self.process
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def kill(self) -> None:
        """Kill it as power would."""
        process = self.process
        assert process
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def stop(self) -> float:
        """End it by SIGTERM; return how many seconds that took."""
        process, began = self.process, time.monotonic()
        assert process
        process.send_signal(signal.SIGTERM)
        process.wait(40)  # by then somebody else may have started another one
        return time.monotonic() - began

    def close(self) -> None:
        """End whatever still runs."""
        if not self.died:
            try:
                self.thaw()
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
        self._end_pipe()

    def _end_pipe(self) -> None:
        if self.process and self.process.stdout:
            self.process.stdout.close()

    def command(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``it0 …`` beside it."""
        return warm.run("bot", words, self.home.parent, self._environment({}), given, 60)

    @asynccontextmanager
    async def database(self, role: str = "it0_owner") -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """Yield a judge's connection."""
        url = self.environment.get("DATABASE_ADMIN_URL") or (socket_url(self.home, role))
        connection = await asyncpg.connect(url)
        try:
            yield connection
        finally:
            await connection.close()

    async def schema(self, slug: str = "default") -> str:
        """Return a tenant's schema."""
        async with self.database() as db:
            return "it0_t_" + await db.fetchval("SELECT id FROM it0_shared.tenant WHERE slug=$1", slug)


@contextmanager
def running_house(home: Path, **environment: str) -> Iterator[House]:
    """Yield a running it0 on a new home."""
    running = House(home, **environment)
    running.start()
    try:
        yield running
    finally:
        running.close()


async def signed_in(house: House, name: str, role: str = "") -> "Client":
    """Return a person's client, signed in and not connected; they are added if a role is given."""
    if role:
        added = await asyncio.to_thread(house.command, "user", "add", name, "--role", role)
        assert added.returncode == 0, added.stderr
    link = (await asyncio.to_thread(house.command, "user", "link", name)).stdout
    client = Client(house)
    await client.sign_in(link.strip().rpartition("=")[2])
    return client


async def audit_of(admin: "Client", action: str) -> list[dict[str, Any]]:
    """Return the audit's rows of an action, the newest first."""
    return [row for row in (await admin.get("/api/v1/audit"))["rows"] if row["action"] == action]


class Client:
    """A console's page without a browser: it keeps what was not accepted and sends it again."""

    everyone: ClassVar[set["Client"]] = set()

    def __init__(self, house: House) -> None:
        self.house = house
        self.everyone.add(self)
        self.events: dict[str, dict[int, dict[str, Any]]] = {}
        self.live: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.accepted: dict[str, dict[str, Any]] = {}
        self.unsent: dict[str, dict[str, Any]] = {}
        self.sent: dict[str, dict[str, Any]] = {}
        self.csrf = ""
        self.user = ""
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def sign_in(self, token: str | None = None) -> None:
        """Use a link up."""
        jar = aiohttp.CookieJar(unsafe=True)
        self._session = aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=30))
        link = token or self.house.link
        async with self._session.post(f"{self.house.url}/login", data={"token": link}) as response:
            assert response.status == 200, await response.text()
        me = await self.get("/api/v1/me")
        self.csrf, self.user = me["csrf"], me["user"]["id"]

    async def get(self, path: str) -> Any:
        """Return a route's JSON."""
        assert self._session
        async with self._session.get(self.house.url + path) as response:
            return await response.json(content_type=None)

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Return (status, JSON)."""
        return await self.call("POST", path, body or {})

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Change something as the page does; return (status, JSON or None)."""
        assert self._session
        headers = {"X-CSRF-Token": self.csrf, "Origin": self.house.url}
        url = self.house.url + path
        async with self._session.request(method, url, json=body, headers=headers) as response:
            return response.status, None if response.status == 204 else await response.json(content_type=None)

    async def connect(self) -> None:
        """Open the socket, send what was not accepted, ask for what was missed where it looks."""
        assert self._session
        headers = {"Origin": self.house.url}
        self._socket = await self._session.ws_connect(f"{self.house.url}/ws/agent", headers=headers)
        self._task = asyncio.ensure_future(self._read(self._socket))
        for message in tuple(self.unsent.values()):
            await self._send(message)
        for conversation, events in list(self.events.items())[-SHOWN:]:
            await self._send({"type": "open", "conversation": conversation, "after": max(events, default=0)})

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            self._take(json.loads(message.data))
            self._changed.set()
        self._changed.set()

    def _take(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "accepted":
                self.accepted[frame["id"]] = frame
                self.unsent.pop(frame["id"], None)
                self.events.setdefault(frame["conversation"], {})
            case "refused":
                self.refused.append(frame)
                self.unsent.pop(frame["id"], None)
            case "events":
                log = self.events.setdefault(frame["conversation"], {})
                for event in frame["events"]:
                    log[event["seq"]] = event
            case "live":
                self.live.append(frame)

    async def _send(self, message: dict[str, Any]) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.send_json(message)

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message, and again after each reconnect until it is accepted."""
        self.unsent[message["id"]] = self.sent[message["id"]] = message
        await self._send(message)

    async def raw(self, text: str) -> None:
        """Send anything."""
        assert self._socket
        await self._socket.send_str(text)

    async def say(self, text: str, conversation: str | None = None, event_id: str = "") -> str:
        """Say something; return the event's id."""
        message = {
            "type": "say",
            "id": event_id or secrets.token_hex(8),
            "conversation": conversation,
            "thread": None if conversation else secrets.token_hex(8),
            "text": text,
        }
        await self.send(message)
        return str(message["id"])

    async def stop(self, conversation: str) -> str:
        """Stop what runs in a conversation; return the event's id."""
        message = {"type": "stop", "id": secrets.token_hex(8), "conversation": conversation}
        await self.send(message)
        return str(message["id"])

    async def open(self, conversation: str) -> None:
        """Follow a conversation that was begun on another page."""
        self.events.setdefault(conversation, {})
        await self._send({"type": "open", "conversation": conversation, "after": 0})

    async def link_for(self, name: str, role: str = "admin") -> str:
        """Return the token of a sign-in link for ``admin``, or for a person who is added."""
        if name == "admin":
            status, made = await self.post("/api/v1/users/admin/link")
        else:
            person = {"name": name, "role": role, "language": "en"}
            status, made = await self.post("/api/v1/users", person)
        assert status == 201, made
        return str(made["link"].rpartition("token=")[2])

    async def click(self, button: str, event_id: str = "") -> str:
        """Press a button; return the event's id."""
        message = {"type": "click", "id": event_id or secrets.token_hex(8), "button": button}
        await self.send(message)
        return str(message["id"])

    async def until(self, condition: Callable[[], Any], timeout_s: float = 20) -> Any:
        """Wait until ``condition`` is true and return it; fails with what was seen."""
        deadline = time.monotonic() + timeout_s
        while not (found := condition()):
            self._changed.clear()
            left = deadline - time.monotonic()
            if left <= 0:
                newest = list(self.events.items())[-1:]
                told = [[e["kind"], e["body"]] for _, log in newest for _, e in sorted(log.items())]
                raise AssertionError(f"not seen: {told} refused {self.refused} unsent {self.unsent}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(left, 0.5))
        return found

    async def ask(self, text: str, conversation: str | None = None, timeout_s: float = 20) -> dict[str, Any]:
        """Say something and return the reply or the card that follows it."""
        event_id = await self.say(text, conversation)
        accepted = await self.until(lambda: self.accepted.get(event_id), timeout_s)
        return await self.until(lambda: self.answer(accepted), timeout_s)

    def answer(self, accepted: dict[str, Any]) -> dict[str, Any] | None:
        """Return the first reply or card after an accepted message."""
        log = self.events.get(accepted["conversation"], {})
        for seq in sorted(log):
            if seq > accepted["seq"] and log[seq]["kind"] in ("reply", "card", "notice"):
                return {**log[seq], "conversation": accepted["conversation"]}
        return None

    def of_kind(self, conversation: str, kind: str) -> list[dict[str, Any]]:
        """Return a conversation's events of a kind, in order."""
        log = self.events.get(conversation, {})
        return [log[seq] for seq in sorted(log) if log[seq]["kind"] == kind]

    @property
    def connected(self) -> bool:
        """Return whether the socket is open."""
        return self._socket is not None and not self._socket.closed

    async def drop(self) -> None:
        """Lose the connection."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._socket is not None:
            await self._socket.close()
        self._socket = None

    async def close(self) -> None:
        """Leave."""
        self.everyone.discard(self)
        await self.drop()
        if self._session:
            await self._session.close()


def words_of(event: dict[str, Any]) -> str:
    """Return a reply's words and code as one text."""
    return "\n".join(part.get("text") or part.get("code", "") for part in event["body"]["parts"])
