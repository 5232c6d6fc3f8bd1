"""Databases that stand still, die or lose their connections, and a queue's server that is away (F6, F7)."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest
from support.house import Client
from support.load import Load, pages_of
from support.outages import cut_connections, kill_database, pause_database
from support.scenarios import card_for, execute, reply_in, until

RECOVERS_S = 5.0
FULL = """
    CREATE FUNCTION {schema}.no_space() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER no_space BEFORE INSERT ON {schema}.audit FOR EACH ROW EXECUTE FUNCTION {schema}.no_space()
"""
"""The disk is full for the audit log only."""


@pytest.fixture
async def pages(yard) -> AsyncIterator[list[Client]]:
    """Return pages that work at the same time."""
    found = await pages_of(yard.house, yard.client, 3)
    yield found
    for page in found:
        await page.close()


async def answers(page: Client, within_s: float) -> float:
    """Return how long it takes until a message is answered, said again and again until it is accepted."""
    began = time.monotonic()
    async with Load([page], None) as load:
        await until(lambda: load.answered > 0, within_s)
        return time.monotonic() - began


async def outages(yard, pages: list[Client], pause_s: float, count: int) -> list[float]:
    """Take the database away ``count`` times, in turns so and so; return how long each took to be back."""
    took = []
    async with Load(pages[:2], yard.marks) as load:
        for number in range(count):
            before = load.answered
            await until(lambda: load.answered >= before + 4)  # noqa: B023
            match number % 5:
                case 0 | 3:
                    await pause_database(yard.house, pause_s)
                case 1 | 4:
                    await cut_connections(yard.house)
                case 2:
                    await kill_database(yard.house)
            took.append(await answers(pages[2], 30))
    print(f"recovered after {[round(s, 1) for s in took]} s; {load.answered} answers")
    return took


async def nothing_lost(yard, pages: list[Client]) -> None:
    """Judge everything, and the audit log's chain."""
    assert await yard.judge.settled(*pages, timeout_s=60) == []
    verified = await asyncio.to_thread(yard.house.command, "audit", "verify")
    assert verified.returncode == 0, verified.stdout


async def test_a_database_that_pauses_breaks_off_or_dies_is_back_within_five_seconds_with_all(yard, pages):
    assert max(await outages(yard, pages, pause_s=3, count=3)) < RECOVERS_S
    await nothing_lost(yard, pages)


@pytest.mark.long
async def test_fifty_outages_of_half_a_minute_lose_nothing_that_was_accepted(build):
    yard = await build()
    pages = await pages_of(yard.house, yard.client, 3)
    assert max(await outages(yard, pages, pause_s=30, count=50)) < RECOVERS_S
    await nothing_lost(yard, pages)


async def test_a_killed_valkey_is_not_noticed(yard, pages):
    async with Load(pages, yard.marks) as load:
        for _ in range(2):
            before = load.answered
            os.kill(yard.house.child("valkey"), signal.SIGKILL)
            await until(lambda: load.answered >= before + 8)  # noqa: B023
    assert load.longest_s < RECOVERS_S
    assert await yard.judge.settled(*pages) == []


async def test_without_any_valkey_all_still_works(build, tmp_path):
    yard = await build(REDIS_URL=f"unix://{tmp_path}/nobody.sock")
    command = yard.marks.write()
    conversation, approval = await card_for(yard.client, command)
    await yard.client.click(f"approve:{approval}")
    await reply_in(yard.client, conversation)
    assert await yard.judge.settled(yard.client) == []
    assert yard.marks.count(command) == 1


async def test_without_its_audit_row_no_command_runs(yard):
    command = yard.marks.write()
    conversation, approval = await card_for(yard.client, command)
    await execute(yard.house, FULL)
    try:
        await yard.client.click(f"approve:{approval}")
        await asyncio.sleep(1)
        assert yard.marks.count(command) == 0
    finally:
        await execute(yard.house, "DROP TRIGGER no_space ON {schema}.audit")
    await reply_in(yard.client, conversation)
    assert await yard.judge.settled(yard.client) == []
    assert yard.marks.count(command) == 1
