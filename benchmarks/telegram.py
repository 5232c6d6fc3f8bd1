"""``telegram``: an update and its reply, durable, beside a bare python-telegram-bot echo."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg

from benchmarks import recorder
from benchmarks.grounds import Ground, environment, free_port, ground
from benchmarks.measure import Figure, alone, alternated, compared, table
from benchmarks.message import Side, apart, baseline_lives, places
from benchmarks.telegram_api import Closed, Paced, Telegram
from benchmarks.telegram_api import Side as Account
from core.store import people
from core.store.database import Database

TEXT = "hi"
INSTALLATION = "telegram-default"
ITS_OWN = "telegram-echo"
"""The installation that the baseline writes to."""
OUTSTANDING = 32
HZ = 50.0
PACED = 300
RECORDED = 20
FIRST_CHAT = 700_000_000_000
"""So long that it is part of no other value."""

CHATS = [FIRST_CHAT + number for number in range(OUTSTANDING)]
TOKENS = {"ours": "1001:OURS", "sql": "1002:SQL", "bare": "1003:BARE"}
Recipe = list[dict[str, Any]]


def settings(api: Telegram, hooked: bool) -> dict[str, str]:
    """Return what makes a bot of ours talk to ``api``."""
    given = {"TELEGRAM_BOT_TOKEN": TOKENS["ours"], "TELEGRAM_API_URL": api.url}
    return {**given, "TELEGRAM_WEBHOOK": "true"} if hooked else given


async def introduced(land: Ground) -> None:
    """Let every chat be a private one of the first admin's."""
    async with Database.open(land.owner_url, size=1) as database, database.transaction() as tx:
        connection = await asyncpg.connect(land.owner_url)
        tenant = await connection.fetchval("SELECT id FROM it0_shared.tenant")
        user = await connection.fetchval(f'SELECT id FROM "it0_t_{tenant}"."user" LIMIT 1')
        await connection.close()
        for chat in CHATS:
            await people.add_identity(
                tx, tenant, INSTALLATION, str(chat), user, datetime.now(UTC), f"{chat}:0"
            )


async def recipe(land: Ground, api: Telegram, hooked: bool) -> tuple[Recipe, float, float]:
    """Return what a message asks of SQL, how many statements it is at saturation, and how many calls."""
    file = land.folder / f"statements-{hooked}"
    quiet = {"HEARTBEAT_S": "3600", "SWEEP_S": "3600", "IT0_BENCH_STATEMENTS": str(file)}
    ours = api.side(TOKENS["ours"])
    ours.heard.clear()
    async with land.bot(**quiet, **settings(api, hooked)):
        await ours.heard.wait()
        messages = []
        await ours.ask(CHATS[0], TEXT)
        for _ in range(RECORDED):
            await asyncio.sleep(0.3)
            before = len(file.read_text().splitlines())
            await ours.ask(CHATS[0], TEXT)
            await asyncio.sleep(0.3)
            messages.append(recorder.read(file.read_text().splitlines()[before:]))
        message = recorder.usual(messages)
        known = await places(land, message)
        load = Closed(ours.ask, CHATS[:16], TEXT)
        await load.run(64)
        await asyncio.sleep(0.5)
        before, called = len(file.read_text().splitlines()), ours.calls["sendmessage"]
        others = sum(ours.calls.values()) - ours.calls["getupdates"] - called
        await load.run(300)
        await asyncio.sleep(0.5)
        busy = recorder.read(file.read_text().splitlines()[before:])
        calls = sum(ours.calls.values()) - ours.calls["getupdates"] - called - others
    steps = json.dumps(recorder.replayed(message, known)).replace(INSTALLATION, ITS_OWN)
    return json.loads(steps), sum(len(g.calls) for g in busy) / 300, calls / 300


async def conversations(land: Ground) -> dict[str, tuple[str, str]]:
    """Return each chat's conversation and thread, of an installation of the baseline's own.

    What it puts into the outbox of ours would be sent by ours.
    """
    connection = await asyncpg.connect(land.owner_url)
    try:
        tenant = await connection.fetchval("SELECT id FROM it0_shared.tenant")
        table, columns = f'"it0_t_{tenant}".conversation', "channel, thread, user_id, title, created_at"
        await connection.execute(
            f"INSERT INTO {table} (tenant_id, id, installation_id, updated_at, {columns})"
            f" SELECT tenant_id, 'echo' || id, $2, updated_at, {columns} FROM {table}"
            " WHERE installation_id = $1 ON CONFLICT DO NOTHING",
            INSTALLATION,
            ITS_OWN,
        )
        rows = await connection.fetch(f"SELECT id, thread FROM {table} WHERE installation_id = $1", ITS_OWN)
    finally:
        await connection.close()
    return {row["thread"].partition(":")[0]: (row["id"], row["thread"]) for row in rows}


@asynccontextmanager
async def echo(
    land: Ground, api: Telegram, name: str, hooked: bool, steps: Recipe
) -> AsyncIterator[tuple[int, Account]]:
    """Yield (pid, account) of a running baseline; with no steps it asks nothing of SQL."""
    if steps:
        await baseline_lives(land)
    side, port = api.side(TOKENS[name]), free_port()
    side.heard.clear()
    file = land.folder / f"{name}.json"
    given = {
        "token": side.token,
        "api": api.url,
        "webhook": f"http://127.0.0.1:{port}/telegram" if hooked else "",
        "port": port,
        "concurrent": OUTSTANDING if steps else 0,
        "url": land.app_url,
        "recipe": steps,
        "chats": await conversations(land) if steps else {},
    }
    file.write_text(json.dumps(given))
    command = [sys.executable, "-m", "benchmarks.telegram_echo", str(file)]
    process = subprocess.Popen(command, cwd=land.folder, env=environment())
    try:
        async with asyncio.timeout(30):
            await side.heard.wait()
        yield process.pid, side
    finally:
        process.terminate()
        process.wait(10)


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared: each at saturation and at 50 messages a second."""

    busy: Side
    paced: Side

    @staticmethod
    def of(land: Ground, pid: int, account: Account) -> "Sides":
        """Return both loads of one process."""
        paced = Paced(account.ask, CHATS, TEXT, HZ)
        return Sides(
            Side(land, pid, Closed(account.ask, CHATS, TEXT)),
            Side(land, pid, paced),
        )


async def by(land: Ground, api: Telegram, hooked: bool, rounds: int, count: int) -> str:
    """Return the table of one way in which updates come."""
    steps, busy, calls = await recipe(land, api, hooked)
    ours = api.side(TOKENS["ours"])
    ours.heard.clear()
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(land.bot(**settings(api, hooked)))
        async with asyncio.timeout(30):
            await ours.heard.wait()
        await Closed(ours.ask, CHATS, TEXT).run(len(CHATS) * 4)
        with_sql = await stack.enter_async_context(echo(land, api, "sql", hooked, steps))
        without = await stack.enter_async_context(echo(land, api, "bare", hooked, []))
        three = [Sides.of(land, *each) for each in ((bot.pid, ours), with_sql, without)]
        for each in three:
            await each.busy.load.run(300)
        await alternated(rounds, *(lambda s=s: s.busy.measure(count) for s in three))  # type: ignore[misc]
        await alternated(rounds, *(lambda s=s: s.paced.measure(PACED) for s in three))  # type: ignore[misc]
    how = "webhook" if hooked else "polling"
    return table(f"telegram, {how}", notes(steps, busy, calls, rounds, count), figures(*three))


def figures(ours: Sides, sql: Sides, bare: Sides) -> list[Figure]:
    """Return the table's lines."""
    return [
        compared("CPU per message at saturation (P1)", ours.busy.cpu, sql.busy.cpu, 1.8, "ms"),
        compared("the same beside the echo without SQL", ours.busy.cpu, bare.busy.cpu, None, "ms"),
        compared("p50 at 50/s, beside the echo without SQL (P3)", ours.paced.p50, bare.paced.p50, 2.0, "ms"),
        compared("p99 at 50/s, beside the echo without SQL (P3)", ours.paced.p99, bare.paced.p99, 3.0, "ms"),
        compared("p50 at 50/s, beside the echo with SQL", ours.paced.p50, sql.paced.p50, None, "ms"),
        compared("p99 at 50/s, beside the echo with SQL", ours.paced.p99, sql.paced.p99, None, "ms"),
        compared("messages a second, 32 outstanding", ours.busy.speed, sql.busy.speed, None, "/s"),
        alone("PostgreSQL's CPU per message", ours.busy.database, None, "ms"),
    ]


def notes(steps: Recipe, busy: float, calls: float, rounds: int, count: int) -> list[str]:
    """Return what the table stands on."""
    statements = sum(len(group["calls"]) for group in steps)
    transactions = sum(group["transaction"] for group in steps)
    return [
        f'"{TEXT}" to the `direct` engine in {OUTSTANDING} private chats; {rounds} rounds of {count} messages'
        f" at saturation and {PACED} at {HZ:.0f}/s, from when a message was due to its reply at the API",
        f"a message is {statements} statements, {transactions} transactions among them; at saturation"
        f" {busy:.1f} statements and {calls:.2f} calls of the API were counted",
        "baseline: python-telegram-bot's Application with reply_text, by itself (updates one by one, as it"
        f" does), and with the same statements and values on bare asyncpg ({OUTSTANDING} updates at once)",
        "it0's pacer is out of the way: one bot may say 30 messages a second to Telegram",
    ]


async def run(quick: bool) -> str:
    """Return both tables."""
    rounds, count = (3, 400) if quick else (5, 600)
    async with ground() as land, Telegram().serving() as api:
        ways: Sequence[bool] = (True, False)
        async with land.bot():
            pass  # the first start, which makes the tenant
        await apart(land)
        await first_row(land, api)
        return "\n\n".join([await by(land, api, hooked, rounds, count) for hooked in ways])


async def first_row(land: Ground, api: Telegram) -> None:
    """Have the bot's row written, then link the chats to a user."""
    ours = api.side(TOKENS["ours"])
    async with land.bot(**settings(api, hooked=False)):
        await ours.heard.wait()
        await introduced(land)
        for chat in CHATS:
            await ours.ask(chat, TEXT)
