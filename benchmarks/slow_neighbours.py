"""``slow_neighbours``: 20 commands that run for 30 s must not slow down what other people say."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from benchmarks.grounds import Page, ground, page, signed_in
from benchmarks.measure import Figure, alternated, compared, percentile, table

SLOW = "/run local sleep 30"
TEXT = "hi"
NEIGHBOURS = 20
A_SECOND = 50
SOCKETS = 4
PLACES = 40


class Steady:
    """An open loop: so many messages a second, whether or not the earlier ones were answered."""

    def __init__(self, pages: Sequence[Page], conversations: Sequence[str]) -> None:
        self._places = [(pages[n % len(pages)], each) for n, each in enumerate(conversations)]

    async def run(self, seconds: float) -> list[float]:
        """Return each reply's latency, from the moment when its message was due."""
        began = time.perf_counter()
        latencies: list[float] = []

        async def one(number: int) -> None:
            due = began + number / A_SECOND
            await asyncio.sleep(due - time.perf_counter())
            talker, conversation = self._places[number % len(self._places)]
            await talker.ask(TEXT, conversation)
            latencies.append(time.perf_counter() - due)

        await asyncio.gather(*(one(number) for number in range(int(seconds * A_SECOND))))
        return latencies


class Neighbours:
    """Conversations with a slow command in each."""

    def __init__(self, talker: Page) -> None:
        self._talker = talker
        self._conversations: list[str] = []

    async def meet(self) -> None:
        """Open the conversations."""
        self._conversations = [await self._talker.ask(TEXT) for _ in range(NEIGHBOURS)]

    async def begin(self) -> list["asyncio.Future[str]"]:
        """Start every command; return what is done when its turn is over."""
        running = [await self._talker.say(SLOW, each) for each in self._conversations]
        await asyncio.sleep(2)
        if any(turn.done() for turn in running):
            raise RuntimeError("a slow command did not run")
        return running

    async def end(self, running: Sequence["asyncio.Future[str]"]) -> None:
        """Stop them."""
        if any(turn.done() for turn in running):
            raise RuntimeError("a slow command ended too soon")
        for conversation in self._conversations:
            await self._talker.stop(conversation)
        await asyncio.gather(*running)
        await asyncio.sleep(1)


async def run(quick: bool) -> str:
    """Return the table."""
    rounds, seconds = (3, 5.0) if quick else (5, 12.0)
    without: list[list[float]] = []
    beside: list[list[float]] = []
    async with AsyncExitStack() as stack:
        land = await stack.enter_async_context(ground())
        bot = await stack.enter_async_context(land.bot())
        slow = await stack.enter_async_context(signed_in(bot, await bot.link()))
        link = await slow.make_person("quick")
        quick_one = await stack.enter_async_context(signed_in(bot, link))
        pages = [await stack.enter_async_context(page(quick_one.session, bot.url)) for _ in range(SOCKETS)]
        steady = Steady(pages, [await pages[n % SOCKETS].ask(TEXT) for n in range(PLACES)])
        neighbours = Neighbours(await stack.enter_async_context(page(slow.session, bot.url)))
        await neighbours.meet()
        await steady.run(3)

        async def undisturbed() -> None:
            without.append(await steady.run(seconds))

        async def disturbed() -> None:
            running = await neighbours.begin()
            beside.append(await steady.run(seconds))
            await neighbours.end(running)

        await alternated(rounds, disturbed, undisturbed)
    return table("slow_neighbours", notes(rounds, seconds), figures(beside, without))


def figures(beside: Sequence[Sequence[float]], without: Sequence[Sequence[float]]) -> list[Figure]:
    """Return the table's lines."""

    def at(percent: float, rounds: Sequence[Sequence[float]]) -> list[float]:
        return [percentile(latencies, percent) * 1000 for latencies in rounds]

    together = [
        percentile([each for one in rounds for each in one], 99) * 1000 for rounds in (beside, without)
    ]
    return [
        compared("p99 of others' replies (P5)", at(99, beside), at(99, without), 1.5, "ms"),
        compared("p50 of others' replies", at(50, beside), at(50, without), None, "ms"),
        compared("p99 of all rounds together", together[:1], together[1:], None, "ms"),
    ]


def notes(rounds: int, seconds: float) -> list[str]:
    """Return what the table stands on."""
    return [
        f"it0: {NEIGHBOURS} conversations of one person with `{SLOW}` running (L0, so nobody is asked);"
        " baseline: the same process without them",
        f'another person says "{TEXT}" {A_SECOND} times a second, open loop, {PLACES} conversations,'
        f" {rounds} rounds of {seconds:.0f} s; latency from the moment a message was due",
    ]
