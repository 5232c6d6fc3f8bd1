"""``waiting``: a thousand turns that wait for a slow model, beside the vendor's bare client."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg

from benchmarks.fan_out import Helper, helper
from benchmarks.grounds import Bot, Ground, Page, ground, page, signed_in
from benchmarks.lag import lags
from benchmarks.measure import Figure, alone, alternated, compared, percentile, rss_mb, table
from benchmarks.model_api import ModelApi

TURNS = 1000
HZ = 60.0
WAIT_S = 20.0
SOCKETS = 8
TEXT = "how are things?" + " x" * 10_000
"""20 kB: the history that each turn carries."""
HISTORY_KB = len(TEXT) / 1000

WIDE = {"TURNS_AT_ONCE": "2000", "TURNS_PER_TENANT": "2000", "TURNS_PER_USER": "2000"}


class Measured:
    """One side. lag: p99 of each round; kb: memory at the peak over that before, by turn."""

    def __init__(self, pid: int, lag_file: Path) -> None:
        self.pid = pid
        self._lag_file = lag_file
        self.lag: list[float] = []
        self.kb: list[float] = []
        self.took: list[float] = []

    async def round(
        self, one: Callable[[int], Awaitable[None]], count: int, ended: Callable[[], Awaitable[None]]
    ) -> None:
        """Let ``count`` turns arrive at their pace, and wait for their ends."""
        await lags(self.pid, self._lag_file)
        before, peak, began = rss_mb(self.pid), 0.0, time.perf_counter()

        async def due(number: int) -> None:
            await asyncio.sleep(max(0.0, began + number / HZ - time.perf_counter()))
            await one(number)

        work = asyncio.gather(*map(due, range(count)), ended())
        while not work.done():
            peak = max(peak, rss_mb(self.pid))
            await asyncio.sleep(0.2)
        await work
        self.took.append(time.perf_counter() - began)
        self.lag.append(percentile(await lags(self.pid, self._lag_file), 99) * 1000)
        self.kb.append((peak - before) * 1000 / count)


async def bare(land: Ground, api: ModelApi, stack: AsyncExitStack) -> tuple[Helper, Measured]:
    """Return the running baseline, which makes the request that ours has made."""
    file = land.folder / "bare.lag"
    given = {"base_url": api.url, "request": api.body}
    process = await stack.enter_async_context(
        helper("benchmarks.bare_model", land.folder / "bare.json", given, IT0_BENCH_LAG=str(file))
    )
    await process.line()
    return process, Measured(process.pid, file)


async def run(quick: bool) -> str:
    """Return the table."""
    rounds, count = (1 if quick else 3), TURNS
    async with AsyncExitStack() as stack:
        land = await stack.enter_async_context(ground())
        api = await stack.enter_async_context(ModelApi().serving())
        file = land.folder / "ours.lag"
        given = {"ANTHROPIC_API_KEY": "sk-bench", "ANTHROPIC_BASE_URL": api.url, "IT0_BENCH_LAG": str(file)}
        bot: Bot = await stack.enter_async_context(land.bot(**given, **WIDE))
        person = await stack.enter_async_context(signed_in(bot, await bot.link()))
        pages: list[Page] = [
            await stack.enter_async_context(page(person.session, bot.url)) for _ in range(SOCKETS)
        ]
        for talker in pages:
            await talker.ask(TEXT)
        process, theirs = await bare(land, api, stack)
        ours = Measured(bot.pid, file)

        async def say(number: int) -> None:
            await pages[number % SOCKETS].say(TEXT)

        async def request(_: int) -> None:
            process.tell("go")

        async def answered(so_many: int) -> None:
            for _ in range(so_many):
                await process.line()

        async def measure_ours() -> None:
            ended = await turns(land)
            await ours.round(say, count, lambda: all_ended(land, ended + count))

        async def measure_theirs() -> None:
            await theirs.round(request, count, lambda: answered(count))

        api.wait_s = 0.05
        await measure_warm(measure_ours, measure_theirs)
        ours.lag, ours.kb, ours.took, theirs.lag, theirs.kb, theirs.took = [], [], [], [], [], []
        api.wait_s = WAIT_S
        await alternated(rounds, measure_ours, measure_theirs)
    return table("waiting", notes(rounds, count), figures(ours, theirs))


async def turns(land: Ground) -> int:
    """Return how many turns have ended; raises RuntimeError for one that did not end well."""
    connection = await asyncpg.connect(land.owner_url)
    try:
        tenant = await connection.fetchval("SELECT id FROM it0_shared.tenant")
        rows = await connection.fetch(
            f'SELECT status, count(*) FROM "it0_t_{tenant}".turn WHERE ended_at IS NOT NULL GROUP BY status'
        )
    finally:
        await connection.close()
    found = {row["status"]: int(row["count"]) for row in rows}
    if set(found) - {"completed"}:
        raise RuntimeError(f"turns ended so: {found}")
    return found.get("completed", 0)


async def all_ended(land: Ground, expected: int) -> None:
    """Wait until so many turns have ended well."""
    while await turns(land) < expected:
        await asyncio.sleep(0.5)


async def measure_warm(*sides: Callable[[], Awaitable[None]]) -> None:
    """Let both sides make their connections and caches."""
    for side in sides:
        await side()


def figures(ours: Measured, theirs: Measured) -> Sequence[Figure]:
    """Return the table's lines."""
    return [
        compared("loop lag, p99 (A3)", ours.lag, theirs.lag, 1.5, "ms"),
        alone("memory a waiting turn, beyond its history (A3)", [max(ours.kb) - HISTORY_KB], 100, "KB"),
        compared("the same, history and all", [max(ours.kb)], [max(theirs.kb)], None, "KB"),
        compared("from the first message to the last answer", ours.took, theirs.took, None, "s"),
    ]


def notes(rounds: int, count: int) -> list[str]:
    """Return what the table stands on."""
    return [
        f"{count} turns, {HZ:.0f} a second, each waiting {WAIT_S:.0f} s for a loopback model's first word;"
        f" {rounds} rounds, each after one whose answers came at once; every turn was answered",
        "baseline: one AsyncAnthropic on its aiohttp transport, the same request as often",
        "memory: resident at the peak over that before, of the round that took most, which is the first: what"
        f" a process was given it keeps; history: a text of {HISTORY_KB:.0f} kB, held again in the request",
    ]
