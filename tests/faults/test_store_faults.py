"""Databases that die, connections that break, full disks: late, but nothing lost (F6, F7, F16, F22)."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.house import Client
from support.kept import Kept
from support.load import Load, pages_of
from support.scenarios import card_for, execute, reply_in, until

RECOVERS_S = 5.0
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = 'it0_app' AND pid <> pg_backend_pid()
"""

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
    async with Load([page], None) as load:  # type: ignore[arg-type]
        await until(lambda: load.answered > 0, within_s)
        return time.monotonic() - began


async def test_a_killed_database_is_back_within_five_seconds_and_has_lost_nothing(yard, pages):
    took = []
    async with Load(pages[:2], yard.marks) as load:
        for _ in range(3):
            await asyncio.sleep(1.5)
            os.kill(yard.house.child("postgres"), signal.SIGKILL)
            took.append(await answers(pages[2], 30))
    print(f"recovered after {[round(s, 1) for s in took]} s; {load.answered} answers")
    assert max(took) < RECOVERS_S
    assert await yard.judge.settled(*pages) == []


async def test_broken_connections_lose_and_double_nothing(yard, pages):
    async with Load(pages, yard.marks) as load:
        for _ in range(15):
            await asyncio.sleep(0.3)
            async with yard.house.database("postgres") as db:
                await db.execute(CUT)
    assert load.longest_s < RECOVERS_S
    assert await yard.judge.settled(*pages) == []


async def test_a_stop_under_load_and_the_next_start_lose_and_double_nothing(yard, pages):
    took = []
    async with Kept(yard.house, yard.client), Load(pages, yard.marks) as load:
        for _ in range(3):
            await asyncio.sleep(2)
            took.append(await asyncio.to_thread(yard.house.stop))
    print(f"stopped after {[round(s, 1) for s in took]} s; longest wait {load.longest_s:.1f} s")
    assert max(took) < 15
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


async def test_a_killed_valkey_is_not_noticed(yard, pages):
    async with Load(pages, yard.marks) as load:
        for _ in range(3):
            await asyncio.sleep(1)
            os.kill(yard.house.child("valkey"), signal.SIGKILL)
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


@pytest.fixture
async def small(tmp_path) -> AsyncIterator:
    """Return a yard whose home is a disk of its own, of 400 MB."""
    from conftest import yard_in  # type: ignore[import-not-found]

    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("NOT TESTED: a full disk needs root, to mount a small one")
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m,mode=700", "it0", str(disk)], check=False)
    if made.returncode:
        pytest.skip("NOT TESTED: a full disk needs the right to mount a small one")
    try:
        async with AsyncExitStack() as stack:
            yield await yard_in(tmp_path, stack, home=disk / "home"), disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def fill(disk: Path) -> None:
    """Leave not one byte free."""
    with contextlib.suppress(OSError), (disk / "filler").open("ab", buffering=0) as file:
        while True:
            file.write(b"\0" * 65_536)
    with contextlib.suppress(OSError), (disk / "filler").open("ab", buffering=0) as file:
        while True:
            file.write(b"\0")


@pytest.mark.timeout(180)
async def test_a_full_disk_accepts_nothing_and_runs_nothing_and_recovers_by_itself(small):
    yard, disk = small
    pages = await pages_of(yard.house, yard.client, 2)
    async with Kept(yard.house), Load(pages, yard.marks) as load:
        for _ in range(2):
            await asyncio.sleep(2)
            fill(disk)
            await asyncio.sleep(1)
            before, executed = load.answered, await ran(yard)
            await asyncio.sleep(4)
            print(f"while full: {load.answered - before} answers, {await ran(yard) - executed} runs")
            (disk / "filler").unlink()
            count = load.answered
            await until(lambda: load.answered > count + len(pages), 40)  # noqa: B023
    assert await yard.judge.settled(*pages, timeout_s=60) == []
    verified = await asyncio.to_thread(yard.house.command, "audit", "verify")
    assert verified.returncode == 0, verified.stdout
    for page in pages:
        await page.close()


async def ran(yard) -> int:
    """Return how many commands the targets have seen."""
    return sum(len(file.read_text().splitlines()) for file in yard.marks.folder.glob("*"))


async def test_without_its_audit_row_no_command_runs(yard):
    command = yard.marks.write()
    conversation, approval = await card_for(yard.client, command)
    await execute(yard.house, FULL)
    try:
        await yard.client.click(f"approve:{approval}")
        await asyncio.sleep(2)
        assert yard.marks.count(command) == 0
    finally:
        await execute(yard.house, "DROP TRIGGER no_space ON {schema}.audit")
    await reply_in(yard.client, conversation)
    assert await yard.judge.settled(yard.client) == []
