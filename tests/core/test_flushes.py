"""What was committed without waiting for the disk is waited for together, and is there in the end."""

import asyncio
from contextlib import suppress

import pytest
from support.store import SUPERUSER, Store

from core.errors import StoreUnavailable
from core.store import processes
from core.store.database import Database
from core.store.flushes import Flushes


class Disk:
    """Counts flushes; each ends when it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.done = asyncio.Event()
        self.broken = False

    async def flush(self) -> None:
        self.begun += 1
        await self.done.wait()
        if self.broken:
            raise StoreUnavailable(reason="gone")


async def ends(task: "asyncio.Task[None]", within_s: float = 0.1) -> bool:
    return bool((await asyncio.wait([task], timeout=within_s))[0])


async def test_with_nothing_committed_nobody_waits() -> None:
    disk = Disk()
    await Flushes(disk.flush).wait()
    assert disk.begun == 0


async def test_a_later_commit_that_waited_for_the_disk_is_enough() -> None:
    disk = Disk()
    flushes = Flushes(disk.flush)
    flushes.committed = 2
    waits = asyncio.ensure_future(flushes.wait())
    await asyncio.sleep(0)
    flushes.flushed_up_to(1)
    assert not await ends(waits, 0)
    flushes.flushed_up_to(2)
    assert await ends(waits)
    assert disk.begun == 0


async def test_who_waits_at_the_same_time_shares_a_flush_and_who_comes_later_does_not() -> None:
    disk = Disk()
    flushes = Flushes(disk.flush)
    flushes.committed = 1
    first = [asyncio.ensure_future(flushes.wait()) for _ in range(5)]
    while not disk.begun:
        await asyncio.sleep(0.001)
    flushes.committed = 2
    later = asyncio.ensure_future(flushes.wait())
    assert not await ends(later, 0.05)
    disk.done.set()
    await asyncio.gather(*first, later)
    assert disk.begun == 2


async def test_a_flush_that_fails_fails_for_all_who_wait_and_the_next_one_is_tried() -> None:
    disk = Disk()
    flushes = Flushes(disk.flush)
    flushes.committed = 1
    disk.broken = True
    disk.done.set()
    failed = await asyncio.gather(flushes.wait(), flushes.wait(), return_exceptions=True)
    assert [type(each) for each in failed] == [StoreUnavailable, StoreUnavailable]
    disk.broken = False
    await flushes.wait()


async def test_one_that_gives_up_waiting_takes_the_flush_from_nobody() -> None:
    disk = Disk()
    flushes = Flushes(disk.flush)
    flushes.committed = 1
    one, other = asyncio.ensure_future(flushes.wait()), asyncio.ensure_future(flushes.wait())
    while not disk.begun:
        await asyncio.sleep(0.001)
    one.cancel()
    disk.done.set()
    assert await ends(other)
    assert other.exception() is None


@pytest.mark.parametrize("another_commits", [True, False])
async def test_the_log_is_on_the_disk_up_to_what_was_committed(store: Store, another_commits: bool) -> None:
    as_served = f"{store.app_url}&synchronous_commit=on"
    async with store.connection(SUPERUSER) as superuser, Database.open(as_served, size=3) as database:
        async with database.transaction(flushed=False) as tx:
            await processes.enter(tx, "me", "bot", "host", 1)
        written = await superuser.fetchval("SELECT pg_current_wal_insert_lsn()")
        flushed = asyncio.ensure_future(database.flush())
        if another_commits:
            await asyncio.sleep(0)
            async with database.transaction() as tx:
                await tx.run(processes.BEAT, me="me")
        await flushed
        assert await superuser.fetchval("SELECT pg_current_wal_flush_lsn() >= $1::pg_lsn", written)


async def test_a_commit_that_wrote_nothing_took_nothing_to_the_disk(store: Store) -> None:
    async with Database.open(f"{store.app_url}&synchronous_commit=on", size=3) as database:
        async with database.transaction(flushed=False) as tx:
            await processes.enter(tx, "me", "bot", "host", 1)
        flushed = asyncio.ensure_future(database.flush())
        await asyncio.sleep(0)
        async with database.transaction() as tx:
            assert not await tx.run(processes.BEAT, me="nobody")
        assert not flushed.done()
        await flushed


async def test_a_transaction_that_fails_leaves_nothing_and_its_connection_can_be_used(store: Store) -> None:
    async with Database.open(store.app_url, size=1) as database:
        with suppress(LookupError):
            async with database.transaction(flushed=False) as tx:
                await processes.enter(tx, "me", "bot", "host", 1)
                raise LookupError
        async with database.transaction() as tx:
            assert not await tx.run(processes.BEAT, me="me")
