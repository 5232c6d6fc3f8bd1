"""``model``: from a typed message to the request at the model's API, beside the vendor's bare client."""

import asyncio
import time
from contextlib import AsyncExitStack

from benchmarks.fan_out import Helper, helper
from benchmarks.grounds import Bot, Ground, Page, ground, page, signed_in
from benchmarks.lag import lags
from benchmarks.measure import Figure, alone, alternated, compared, percentile, table
from benchmarks.model_api import ModelApi
from benchmarks.waiting import WIDE, all_ended, turns

MOST_MS = 15.0
MOST_LAG_MS = 25.0
FAULTY = 200
FAULTY_HZ = 20.0


class Rounds:
    """Both sides with what was measured, in milliseconds."""

    def __init__(self, api: ModelApi, talker: Page, bare: Helper, count: int) -> None:
        self._api, self._talker, self._bare, self._count = api, talker, bare, count
        self.ours: list[float] = []
        self.theirs: list[float] = []
        self.ours_p99: list[float] = []
        self.theirs_p99: list[float] = []

    async def measure_ours(self) -> None:
        """Say something in one conversation after another."""
        took = []
        for _ in range(self._count):
            sent = time.perf_counter()
            await self._talker.ask("how are things?")
            took.append((await self._api.came.get() - sent) * 1000)
        self.ours.append(percentile(took, 50))
        self.ours_p99.append(percentile(took, 99))

    async def measure_bare(self) -> None:
        """Have the bare client make the same request."""
        took = []
        for _ in range(self._count):
            sent = time.perf_counter()
            await self._bare.ask("go")
            took.append((await self._api.came.get() - sent) * 1000)
        self.theirs.append(percentile(took, 50))
        self.theirs_p99.append(percentile(took, 99))


async def run(quick: bool) -> str:
    """Return the table."""
    rounds, count = (3, 50) if quick else (5, 200)
    async with AsyncExitStack() as stack:
        land = await stack.enter_async_context(ground())
        api = await stack.enter_async_context(ModelApi().serving())
        bot = await stack.enter_async_context(
            land.bot(
                ANTHROPIC_API_KEY="sk-bench",
                ANTHROPIC_BASE_URL=api.url,
                IT0_BENCH_LAG=str(land.folder / "model.lag"),
                **WIDE,
            )
        )
        person = await stack.enter_async_context(signed_in(bot, await bot.link()))
        talker = await stack.enter_async_context(page(person.session, bot.url))
        for _ in range(20):
            await talker.ask("how are things?")
            await api.came.get()
        given = {"base_url": api.url, "request": api.body}
        bare = await stack.enter_async_context(
            helper("benchmarks.bare_model", land.folder / "bare.json", given)
        )
        await bare.line()
        measured = Rounds(api, talker, bare, count)
        await measured.measure_bare()
        measured.theirs.clear()
        measured.theirs_p99.clear()
        await alternated(rounds, measured.measure_ours, measured.measure_bare)
        late = await amid_faults(land, bot, api, talker)
    return table("model", notes(rounds, count, api), figures(measured, late))


async def amid_faults(land: Ground, bot: Bot, api: ModelApi, talker: Page) -> list[float]:
    """Return how late the loop comes round while every other request goes wrong, in milliseconds."""
    file = land.folder / "model.lag"
    await lags(bot.pid, file)
    api.faulty = True
    ended = await turns(land)
    for _ in range(FAULTY):
        await talker.say("how are things?")
        await asyncio.sleep(1 / FAULTY_HZ)
    await all_ended(land, ended + FAULTY)
    api.faulty = False
    return [late * 1000 for late in await lags(bot.pid, file)]


def figures(measured: Rounds, late: list[float]) -> list[Figure]:
    """Return the table's lines."""
    ours, theirs = measured.ours, measured.theirs
    over = [a - b for a, b in zip(ours, theirs, strict=True)]
    return [
        alone("message to request, p50, over the bare client's (A1)", over, MOST_MS, "ms"),
        compared("message to request, p50", ours, theirs, None, "ms"),
        compared("message to request, p99", measured.ours_p99, measured.theirs_p99, None, "ms"),
        alone(
            "loop lag, p99, while every other request goes wrong (F12)",
            [percentile(late, 99)],
            MOST_LAG_MS,
            "ms",
        ),
    ]


def notes(rounds: int, count: int, api: ModelApi) -> list[str]:
    """Return what the table stands on."""
    return [
        f"a new conversation each time; {rounds} rounds of {count} messages, one after another, from the"
        " console's frame to the request at a loopback Messages API",
        "baseline: AsyncAnthropic on its aiohttp transport, told by a line on its stdin, with the same"
        f" request ({len(api.body['tools'])} tools)",
        f"F12: {FAULTY} turns, {FAULTY_HZ:.0f} a second; in turn a 529, a stream cut off, an error within a"
        " stream, and a call that is no JSON; every turn ended well",
    ]
