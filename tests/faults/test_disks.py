"""Disks without a byte, without an inode, and read-only: nothing is accepted that is not kept (F16)."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.kept import Kept
from support.load import PATIENT_S, Load, pages_of
from support.outages import empty, fill_bytes, fill_inodes, read_only, small_disk
from support.scenarios import until
from support.yard import yard_in

SMALL = "size=400m,nr_inodes=3000"
FULL = (fill_bytes, fill_inodes)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Return what ends everything in a test."""
    async with AsyncExitStack() as found:
        yield found


async def ran(yard) -> int:
    """Return how many commands the targets have seen."""
    return sum(len(file.read_text().splitlines()) for file in yard.marks.folder.glob("*"))


async def all_kept(yard, pages) -> None:
    """Judge everything, and the audit log's chain."""
    assert await yard.judge.settled(*pages, timeout_s=60) == []
    verified = await asyncio.to_thread(yard.house.command, "audit", "verify")
    assert verified.returncode == 0, verified.stdout


async def works_again(load: Load) -> None:
    """Wait until every page was answered since, and say how long that took."""
    before, began = load.answered, time.monotonic()
    await until(lambda: load.answered > before + len(load.pages), PATIENT_S)
    print(f"works again after {time.monotonic() - began:.1f} s")


async def fill_again_and_again(folder: Path, stack: AsyncExitStack, times: int) -> None:
    """Fill the disk under load, now with bytes, now with files, and give the room back."""
    (folder / "disk").mkdir()
    disk = stack.enter_context(small_disk(folder / "disk", SMALL))
    yard = await yard_in(folder, stack, home=disk / "home")
    pages = await pages_of(yard.house, yard.client, 2)
    async with Kept(yard.house), Load(pages, yard.marks) as load:
        for fill in FULL * times:
            await works_again(load)
            fill(disk)
            await asyncio.sleep(0.5)
            before, executed = load.answered, await ran(yard)
            await asyncio.sleep(1.5)
            print(f"{fill.__name__}: {load.answered - before} answers, {await ran(yard) - executed} runs")
            empty(disk)
        await works_again(load)
    await all_kept(yard, pages)


@pytest.mark.timeout(180)
async def test_a_disk_without_a_byte_or_an_inode_keeps_what_it_accepts_and_recovers(stack, tmp_path):
    await fill_again_and_again(tmp_path, stack, 1)


@pytest.mark.long
async def test_a_disk_that_fills_up_forty_times_loses_nothing(stack, tmp_path):
    await fill_again_and_again(tmp_path, stack, 20)


@pytest.mark.timeout(180)
async def test_a_read_only_disk_accepts_nothing_and_is_used_again_as_soon_as_it_is_writable(stack, tmp_path):
    yard = await yard_in(tmp_path, stack)
    data = yard.house.home / "postgres"
    await asyncio.to_thread(yard.house.stop)
    data.rename(tmp_path / "data")
    data.mkdir()
    stack.callback(yard.house.close)
    disk = stack.enter_context(small_disk(data, "size=400m"))
    shutil.copystat(tmp_path / "data", data)
    shutil.copytree(tmp_path / "data", data, dirs_exist_ok=True, symlinks=True)
    yard.house.start()
    pages = await pages_of(yard.house, yard.client, 2)
    async with Kept(yard.house), Load(pages, yard.marks) as load:
        await works_again(load)
        async with read_only(yard.house, disk):
            await asyncio.sleep(1)
            before = load.answered
            await asyncio.sleep(2)
            assert load.answered == before
        await works_again(load)
    await all_kept(yard, pages)
