"""``peers``: a message by Telegram, durable, beside echoes of slack-bolt and opsdroid that store nothing."""

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from benchmarks.grounds import Ground, environment, free_port, ground
from benchmarks.measure import Figure, alternated, compared, table
from benchmarks.message import apart
from benchmarks.telegram import CHATS, PACED, TEXT, TOKENS, Sides, first_row, settings
from benchmarks.telegram_api import Closed, Telegram

PACKAGES = ("slack-bolt", "aiohttp", "opsdroid", "emoji", "setuptools<81")
"""opsdroid imports emoji for Telegram, and pkg_resources, which newer setuptools lack."""
SECRET = "bench"
HERE = Path(__file__).parent


class Slack:
    """Slack as far as a message and its reply need it."""

    def __init__(self) -> None:
        self.url = ""
        self.hook = ""
        self._waiting: dict[str, deque[asyncio.Future[None]]] = defaultdict(deque)
        self._session: aiohttp.ClientSession | None = None
        self._number = 0

    async def ask(self, chat: int, text: str, timeout_s: float = 60) -> None:
        """Say something in a channel and wait for the reply."""
        assert self._session
        self._number += 1
        channel = f"C{chat}"
        replied = asyncio.get_running_loop().create_future()
        self._waiting[channel].append(replied)
        said = {"type": "message", "channel": channel, "user": "U1", "text": text, "ts": f"{self._number}.0"}
        event = {"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event": said}
        body = json.dumps({**event, "event_id": f"Ev{self._number}", "event_time": int(time.time())})
        at = str(int(time.time()))
        signed = hmac.new(SECRET.encode(), f"v0:{at}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={signed}"}
        headers["Content-Type"] = "application/json"
        async with asyncio.timeout(timeout_s):
            async with self._session.post(self.hook, data=body, headers=headers) as response:
                response.raise_for_status()
            await replied

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Slack"]:
        """Serve the API on a port of its own."""
        app = web.Application()
        app.router.add_post("/{method}", self._call)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _call(self, request: web.Request) -> web.Response:
        if request.match_info["method"] == "auth.test":
            told = {"user_id": "U0", "bot_id": "B0", "team_id": "T1", "team": "t", "user": "bot", "url": "u"}
            return web.json_response({"ok": True, **told})
        as_json = request.content_type == "application/json"
        data = await request.json() if as_json else await request.post()
        if waiting := self._waiting[str(data["channel"])]:
            replied = waiting.popleft()
            if not replied.done():
                replied.set_result(None)
        return web.json_response({"ok": True, "ts": "1.0", "channel": data["channel"], "message": {}})


async def installed(folder: Path) -> Path:
    """Return the Python of an environment with the peers; raises RuntimeError where they cannot be had."""
    python = folder / "venv/bin/python"
    pip = [python, "-m", "pip", "install", "--quiet", *PACKAGES]
    for command in ([sys.executable, "-m", "venv", folder / "venv"], pip):
        made = await asyncio.create_subprocess_exec(*map(str, command), stderr=subprocess.PIPE)
        _, error = await made.communicate()
        if made.returncode:
            raise RuntimeError(f"the peers could not be installed: {error.decode()[-300:].strip()}")
    return python


@asynccontextmanager
async def peer(python: Path, script: str, *given: str) -> AsyncIterator[int]:
    """Yield the process id of a peer."""
    command = [str(python), "-W", "ignore", str(HERE / script), *given]
    process = subprocess.Popen(command, env=environment(PYTHONPATH=""))
    try:
        yield process.pid
    finally:
        process.kill()  # opsdroid does not end by itself
        process.wait(10)


async def run(quick: bool) -> str:
    """Return the table."""
    rounds, count = (3, 400) if quick else (5, 600)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="it0-bench-peers-")))
        python = await installed(folder)
        land = await stack.enter_async_context(ground())
        api = await stack.enter_async_context(Telegram().serving())
        slack = await stack.enter_async_context(Slack().serving())
        async with land.bot():
            pass  # the first start, which makes the tenant
        await apart(land)
        await first_row(land, api)
        ours = await with_us(land, api, stack)
        opsdroid = api.side("1004:OPSDROID")
        given = (api.url, opsdroid.token, str(free_port()), str(folder))
        pids = [await stack.enter_async_context(peer(python, "peer_opsdroid.py", *given))]
        port = free_port()
        slack.hook = f"http://127.0.0.1:{port}/slack/events"
        pids.append(
            await stack.enter_async_context(peer(python, "peer_bolt.py", slack.url, SECRET, str(port)))
        )
        async with asyncio.timeout(30):
            await opsdroid.heard.wait()
            await ready(port)
        three = [ours, Sides.of(land, pids[0], opsdroid), Sides.of(land, pids[1], slack)]
        for each in three:
            await each.busy.load.run(300)
        await alternated(rounds, *(lambda s=s: s.busy.measure(count) for s in three))  # type: ignore[misc]
        await alternated(rounds, *(lambda s=s: s.paced.measure(PACED) for s in three))  # type: ignore[misc]
    return table("peers", notes(rounds, count), figures(*three))


async def with_us(land: Ground, api: Telegram, stack: AsyncExitStack) -> Sides:
    """Return it0, by webhook."""
    account = api.side(TOKENS["ours"])
    account.heard.clear()
    bot = await stack.enter_async_context(land.bot(**settings(api, hooked=True)))
    async with asyncio.timeout(30):
        await account.heard.wait()
    await Closed(account.ask, CHATS, TEXT).run(len(CHATS))
    return Sides.of(land, bot.pid, account)


async def ready(port: int) -> None:
    """Wait until somebody listens."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


def figures(ours: Sides, opsdroid: Sides, bolt: Sides) -> Sequence[Figure]:
    """Return the table's lines."""
    lines = []
    for name, their in (("slack-bolt", bolt), ("opsdroid", opsdroid)):
        lines += [
            compared(
                f"CPU per message at saturation, beside {name}", ours.busy.cpu, their.busy.cpu, None, "ms"
            ),
            compared(f"p50 at 50/s, beside {name}", ours.paced.p50, their.paced.p50, None, "ms"),
            compared(f"p99 at 50/s, beside {name}", ours.paced.p99, their.paced.p99, None, "ms"),
            compared(f"messages a second, beside {name}", ours.busy.speed, their.busy.speed, None, "/s"),
        ]
    return lines


def notes(rounds: int, count: int) -> list[str]:
    """Return what the table stands on."""
    return [
        f'"{TEXT}" in {len(CHATS)} chats; {rounds} rounds of {count} messages at saturation and {PACED} at'
        " 50/s; it0 by Telegram's webhook with all that it stores",
        "peers: their newest releases, an echo each, as their own documents show it; slack-bolt by signed"
        " events over HTTP and chat.postMessage, opsdroid by Telegram's webhook; neither stores anything",
    ]
