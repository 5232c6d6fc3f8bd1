"""``message``: a console message and its reply, durable, beside a bare echo that asks the same of SQL."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import asyncpg

from benchmarks import recorder
from benchmarks.grounds import Bot, Ground, Page, environment, free_port, ground, page, signed_in
from benchmarks.measure import Figure, alone, alternated, compared, cpu_s, percentile, table

TEXT = "hi"
SOCKETS = 4
OUTSTANDING = 32
RECORDED = 20


class Load:
    """A closed loop: so many messages, one at a time in each conversation."""

    def __init__(self, pages: Sequence[Page], conversations: Sequence[str]) -> None:
        self._places = [(pages[n % len(pages)], each) for n, each in enumerate(conversations)]

    async def run(self, count: int) -> tuple[float, list[float]]:
        """Return (seconds, each reply's latency) of ``count`` messages."""
        left = iter(range(count))
        latencies: list[float] = []

        async def talk(talker: Page, conversation: str) -> None:
            for _ in left:
                sent = time.perf_counter()
                await talker.ask(TEXT, conversation)
                latencies.append(time.perf_counter() - sent)

        began = time.perf_counter()
        await asyncio.gather(*(talk(*place) for place in self._places))
        return time.perf_counter() - began, latencies


async def recipe(land: Ground) -> tuple[list[dict[str, Any]], float, str]:
    """Return what a message asks of SQL, how many statements it is at saturation, and a link's token."""
    file = land.folder / "statements"
    quiet = {"HEARTBEAT_S": "3600", "SWEEP_S": "3600", "IT0_BENCH_STATEMENTS": str(file)}
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(land.bot(**quiet))
        await apart(land)
        person = await stack.enter_async_context(signed_in(bot, await bot.link()))
        talker = await stack.enter_async_context(page(person.session, bot.url))
        first = await talker.ask(TEXT)
        messages, known = [], {}
        for _ in range(RECORDED):
            await asyncio.sleep(0.3)
            before = len(file.read_text().splitlines())
            await talker.ask(TEXT, first)
            await asyncio.sleep(0.3)
            messages.append(recorder.read(file.read_text().splitlines()[before:]))
        message = recorder.usual(messages)
        known = await places(land, message)
        others = [await talker.ask(TEXT) for _ in range(15)]
        await asyncio.sleep(0.5)
        before = len(file.read_text().splitlines())
        await Load([talker], others).run(300)
        await asyncio.sleep(0.5)
        busy = recorder.read(file.read_text().splitlines()[before:])
        busy_calls = sum(len(group.calls) for group in busy) / 300
        return recorder.replayed(message, known), busy_calls, await person.make_person("measured")


async def apart(land: Ground) -> None:
    """Make the numbers of the two queues differ, so that a record tells them apart."""
    connection = await asyncpg.connect(land.owner_url)
    await connection.execute("ALTER TABLE it0_shared.outbox ALTER COLUMN id RESTART WITH 1000000")
    await connection.close()


async def baseline_lives(land: Ground) -> None:
    """Let a baseline pass for a process that lives, or the bot beside it takes its work over."""
    connection = await asyncpg.connect(land.owner_url)
    await connection.execute(
        "INSERT INTO it0_shared.process (id, role, host, pid, beat_at)"
        " VALUES ($1, 'bot', 'here', 0, now() + interval '1 day') ON CONFLICT DO NOTHING",
        recorder.BASELINE,
    )
    await connection.close()


async def places(land: Ground, message: Sequence[recorder.Group]) -> dict[str, str]:
    """Return the recorded message's own values with the names of their places."""
    given = {
        name: value
        for group in message
        for call in group.calls
        for name, value in zip(call.names, call.values, strict=True)
        if name in ("event_id", "conversation", "thread")
    }
    turn = next(
        value
        for group in message
        for call in group.calls
        for name, value in zip(call.names, call.values, strict=True)
        if name == "turn"
    )
    return {
        given["event_id"]: "event",
        given["conversation"]: "conversation",
        given["thread"]: "thread",
        turn: "turn",
    }


async def threads(land: Ground) -> dict[str, str]:
    """Return every conversation's thread."""
    connection = await asyncpg.connect(land.owner_url)
    try:
        tenant = await connection.fetchval("SELECT id FROM it0_shared.tenant")
        rows = await connection.fetch(f'SELECT id, thread FROM "it0_t_{tenant}".conversation')
    finally:
        await connection.close()
    return {row["id"]: row["thread"] for row in rows}


@asynccontextmanager
async def echo(land: Ground, steps: list[dict[str, Any]]) -> AsyncIterator[tuple[int, str]]:
    """Yield (pid, address) of the running baseline."""
    await baseline_lives(land)
    port, file = free_port(), land.folder / "echo.json"
    given = {"url": land.app_url, "port": port, "recipe": steps, "threads": await threads(land)}
    file.write_text(json.dumps(given))
    command = [sys.executable, "-m", "benchmarks.echo", str(file)]
    process = subprocess.Popen(command, cwd=land.folder, env=environment())
    try:
        await listening(port, process)
        yield process.pid, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


async def listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until somebody listens."""
    for _ in range(1000):
        assert process.poll() is None
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise RuntimeError("the baseline does not listen")


class Side:
    """One of the two that are compared, with what was measured."""

    def __init__(self, land: Ground, pid: int, load: Load) -> None:
        self._land = land
        self._pid = pid
        self.load = load
        self.cpu: list[float] = []
        self.database: list[float] = []
        self.speed: list[float] = []
        self.p50: list[float] = []
        self.p99: list[float] = []

    async def measure(self, count: int) -> None:
        """Run one round."""
        cpu, database = cpu_s(self._pid), self._land.postgres_cpu_s
        seconds, latencies = await self.load.run(count)
        self.cpu.append((cpu_s(self._pid) - cpu) / count * 1000)
        self.database.append((self._land.postgres_cpu_s - database) / count * 1000)
        self.speed.append(count / seconds)
        self.p50.append(percentile(latencies, 50) * 1000)
        self.p99.append(percentile(latencies, 99) * 1000)


async def run(quick: bool) -> str:
    """Return the table."""
    rounds, count = (3, 600) if quick else (5, 2000)
    async with AsyncExitStack() as stack:
        land = await stack.enter_async_context(ground())
        steps, busy, link = await recipe(land)
        bot: Bot = await stack.enter_async_context(land.bot())
        person = await stack.enter_async_context(signed_in(bot, link))
        mine = [await stack.enter_async_context(page(person.session, bot.url)) for _ in range(SOCKETS)]
        spoken = [await mine[n % SOCKETS].ask(TEXT) for n in range(OUTSTANDING)]
        for_echo = [await mine[0].ask(TEXT) for _ in range(OUTSTANDING)]
        pid, url = await stack.enter_async_context(echo(land, steps))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        theirs = [await stack.enter_async_context(page(session, url)) for _ in range(SOCKETS)]
        ours = Side(land, bot.pid, Load(mine, spoken))
        bare = Side(land, pid, Load(theirs, for_echo))
        await alternated(1, lambda: warm(ours), lambda: warm(bare))
        await alternated(rounds, lambda: ours.measure(count), lambda: bare.measure(count))
    return table("message", notes(steps, busy, rounds, count), figures(ours, bare))


async def warm(side: Side) -> None:
    """Let every statement be prepared."""
    await side.load.run(300)


def figures(ours: Side, bare: Side) -> list[Figure]:
    """Return the table's lines."""
    return [
        compared("CPU per message at saturation (P1)", ours.cpu, bare.cpu, 1.8, "ms"),
        compared("messages a second, 32 outstanding", ours.speed, bare.speed, None, "/s"),
        compared("latency at saturation, p50", ours.p50, bare.p50, None, "ms"),
        compared("latency at saturation, p99", ours.p99, bare.p99, None, "ms"),
        compared("PostgreSQL's CPU per message", ours.database, bare.database, None, "ms"),
        alone(
            "messages per CPU second, bot and database",
            [1000 / (a + b) for a, b in zip(ours.cpu, ours.database, strict=True)],
            None,
            "/s",
        ),
    ]


def notes(steps: Sequence[Any], busy: float, rounds: int, count: int) -> list[str]:
    """Return what the table stands on."""
    statements = sum(len(group["calls"]) for group in steps)
    transactions = sum(group["transaction"] for group in steps)
    return [
        f'"{TEXT}" to the `direct` engine; {rounds} rounds of {count} messages, {OUTSTANDING} outstanding in'
        f" as many conversations over {SOCKETS} WebSockets",
        f"a message is {statements} statements, {transactions} transactions among them; at saturation"
        f" {busy:.1f} statements were counted",
        "baseline: aiohttp WebSocket echo, one frame back, the same statements and values on bare asyncpg",
    ]
