"""Bots that are stopped and started again under load, one alone or two in turns: nothing is lost (F22)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.house import House
from support.kept import Kept
from support.load import Load, pages_of
from support.scenarios import card_for, reply_in, until

DRAINED_S = 30.0


@pytest.fixture
async def two(yard) -> AsyncIterator[list[House]]:
    """Return two bots on the yard's database; the yard's own process is frozen and takes no part."""
    houses = [yard.house.replica() for _ in range(2)]
    for house in houses:
        house.start("bot")
    yield houses
    yard.house.thaw()
    for house in houses:
        house.close()


async def rolled(yard, two: list[House], rounds: int) -> None:
    """Restart two bots in turns under load, ``rounds`` times, and judge."""
    pages = [page for house in two for page in await pages_of(house, yard.client, 2)]
    yard.house.freeze()
    took = []
    async with Load(pages, yard.marks, *two) as load:
        for number in range(2 * rounds):
            before = load.answered
            await until(lambda: load.answered > before + len(pages))  # noqa: B023
            took.append(await asyncio.to_thread(two[number % 2].stop))
            await asyncio.to_thread(two[number % 2].start)
    print(f"{len(took)} restarts, drained after {max(took):.1f} s at most; {load.answered} answers")
    print(f"longest waits: {load.unheard_s:.2f} s to be accepted, {load.longest_s:.2f} s to be answered")
    assert max(took) < DRAINED_S
    assert await yard.judge.settled(*pages) == []
    for page in pages:
        await page.close()


async def test_a_stop_under_load_and_the_next_start_lose_and_double_nothing(yard):
    pages = await pages_of(yard.house, yard.client, 3)
    async with Kept(yard.house, yard.client), Load(pages, yard.marks) as load:
        for _ in range(2):
            before = load.answered
            await until(lambda: load.answered > before + len(pages))  # noqa: B023
            assert await asyncio.to_thread(yard.house.stop) < DRAINED_S
    assert await yard.judge.settled(yard.client, *pages) == []


async def test_a_command_that_outlives_its_bot_is_told_as_it_ended(build):
    yard = await build(STOP_GRACE_S="0.3")
    command = yard.marks.write(3)
    conversation, approval = await card_for(yard.client, command)
    async with Kept(yard.house, yard.client):
        await yard.client.click(f"approve:{approval}")
        await until(lambda: yard.marks.count(command) > 0)
        await asyncio.to_thread(yard.house.stop)
        await reply_in(yard.client, conversation)
        assert await yard.judge.settled(yard.client) == []
    targets = (await yard.judge.history()).targets
    assert [(t["state"], t["exit_code"]) for t in targets[approval]] == [("done", 0)]


async def test_two_bots_restarted_in_turns_under_load_lose_and_double_nothing(yard, two):
    await rolled(yard, two, 2)


@pytest.mark.long
async def test_fifty_rolling_restarts_under_load_lose_and_double_nothing(yard, two):
    await rolled(yard, two, 50)
