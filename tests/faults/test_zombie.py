"""A process frozen past its lease finds its work taken over when it wakes, and changes nothing (F5)."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from support.house import House
from support.load import pages_of
from support.marks import Tap
from support.scenarios import card_for, reply_in, until

LEASE = {"DEAD_AFTER_S": "1.0"}
ASLEEP = {**LEASE, "SWEEP_S": "60"}
"""The other looks for work only when it has taken some from the dead: so the zombie gets it first."""


@pytest.fixture(scope="module")
async def lair(build):
    """Return a yard whose process dies soon in the eyes of others."""
    return await build(**LEASE)


@pytest.fixture(scope="module")
async def other(lair) -> AsyncIterator[House]:
    """Return a bot that takes over from the frozen one."""
    house = lair.house.replica(**ASLEEP)
    house.start("bot")
    yield house
    house.close()


async def frozen(house: House) -> None:
    """Wait until a process has stopped itself."""
    await until(lambda: house.frozen, 20)


async def taken_over(yard) -> None:
    """Wait until another process has buried the frozen one and seen its work to its end."""
    async with asyncio.timeout(30):
        while True:
            async with yard.house.database() as db:
                dead = await db.fetchval("SELECT count(*) = 1 FROM it0_shared.process WHERE role <> 'cli'")
                busy = await db.fetchval("SELECT count(*) FROM it0_shared.inbox WHERE state <> 'done'")
            if dead and not busy:
                return
            await asyncio.sleep(0.1)


async def haunt(yard, point: str, act: Callable[[], object]) -> None:
    """Freeze the process at ``point`` of what ``act`` starts, let the other take over, and wake it."""
    yard.house.arm.write_text(f"freeze {point}")
    try:
        await act()
        await frozen(yard.house)
        await taken_over(yard)
    finally:
        yard.house.thaw()
    await yard.client.until(lambda: yard.client.connected and not yard.client.unsent)
    await asyncio.sleep(0.3)


LOOKING = (
    ("before:agent.toolbox.Toolbox._begin@1", 1),
    ("before:agent.gate.running.execution.Executor._run@1", 1),
    ("before:shell.run@1", 0),
    ("after:shell.run@1", 1),
    ("before:agent.toolbox.Toolbox._end@1", 1),
    ("before:agent.speech.answer@1", 1),
)
"""Where a turn is frozen, and how often its command has run in the end."""


@pytest.mark.parametrize(("point", "runs"), LOOKING)
async def test_a_turn_that_wakes_too_late_writes_nothing_and_runs_nothing(lair, other, point, runs):
    async with Tap(lair.marks) as tap:
        await haunt(lair, point, lambda: lair.client.say(f"/run local {tap.command}"))
        assert await lair.judge.settled(lair.client) == []
        assert tap.readers == runs


ACTING = (
    ("before:agent.gate.deciding.approvals.Approvals._vote@1", 1),
    ("after:agent.gate.deciding.approvals.Approvals._vote@1", 1),
    ("before:agent.gate.running.execution.Executor._run@1", 1),
    ("before:shell.run@1", 0),
    ("after:shell.run@1", 1),
    ("before:agent.acts.Acts.perform@1", 1),
)


@pytest.mark.parametrize(("point", "runs"), ACTING)
async def test_an_act_that_wakes_too_late_writes_nothing_and_runs_nothing(lair, other, point, runs):
    command = lair.marks.write()
    _, approval = await card_for(lair.client, command)
    await haunt(lair, point, lambda: lair.client.click(f"approve:{approval}"))
    assert await lair.judge.settled(lair.client) == []
    assert lair.marks.count(command) == runs


async def test_a_command_whose_bot_is_killed_is_finished_and_told_by_the_other(lair, other):
    page = (await pages_of(other, lair.client, 1))[0]
    command = lair.marks.write(1)
    conversation, approval = await card_for(page, command)
    await page.click(f"approve:{approval}")
    await until(lambda: lair.marks.count(command) > 0)
    other.kill()
    try:
        await lair.client.open(conversation)
        await reply_in(lair.client, conversation)
        assert await lair.judge.settled(lair.client) == []
    finally:
        other.start()
        await page.close()
    targets = (await lair.judge.history()).targets
    assert [(t["state"], t["exit_code"]) for t in targets[approval]] == [("done", 0)]


async def test_a_process_frozen_within_a_transaction_holds_up_nobody_for_long(lair, other):
    page = (await pages_of(other, lair.client, 1))[0]
    lair.house.arm.write_text("freeze inside:agent.toolbox.Toolbox._begin@1")
    try:
        await lair.client.say("/run local echo locked")
        await frozen(lair.house)
        assert (await page.ask("/run local echo meanwhile", timeout_s=5))["kind"] == "reply"
        await taken_over(lair)
    finally:
        lair.house.thaw()
        await page.close()
    await lair.client.until(lambda: lair.client.connected and not lair.client.unsent)
    assert await lair.judge.settled(lair.client) == []
