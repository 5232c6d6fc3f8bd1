"""What is taken away from under it0: its database, for a while or by force, and the room on its disk."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from support.house import House

CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = 'it0_app' AND pid <> pg_backend_pid()
"""


def database_processes(house: House) -> list[int]:
    """Return PostgreSQL's processes, the first of them first."""
    first = house.child("postgres")
    found = [first]
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == first:
                found.append(int(folder.name))
    return found


def signal_database(house: House, number: signal.Signals) -> None:
    """Send a signal to each of PostgreSQL's processes."""
    for pid in database_processes(house):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def pause_database(house: House, seconds: float) -> None:
    """Let PostgreSQL stand still for a while, as while it fails over."""
    signal_database(house, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        signal_database(house, signal.SIGCONT)


async def kill_database(house: House) -> None:
    """Kill PostgreSQL."""
    os.kill(house.child("postgres"), signal.SIGKILL)


async def cut_connections(house: House) -> None:
    """Cut every connection of the application."""
    async with house.database("postgres") as db:
        await db.execute(CUT)


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """Yield ``folder`` with a small disk mounted on it; skip the test where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"{options},mode=755", "it0", str(folder)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(command, check=False).returncode:
        pytest.skip("NOT TESTED: what a full disk does, for want of the right to mount a small one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill_bytes(disk: Path) -> None:
    """Leave not one byte free."""
    for size in (65_536, 1):
        with contextlib.suppress(OSError), (disk / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(b"\0" * size)


def fill_inodes(disk: Path) -> None:
    """Leave room for not one more file."""
    (disk / "filler").mkdir()
    with contextlib.suppress(OSError):
        for number in range(10**6):
            (disk / "filler" / str(number)).touch()


def empty(disk: Path) -> None:
    """Give the room back."""
    filler = disk / "filler"
    shutil.rmtree(filler) if filler.is_dir() else filler.unlink()


@asynccontextmanager
async def read_only(house: House, disk: Path) -> AsyncIterator[None]:
    """Let the database's disk be read-only from a death of PostgreSQL on: Linux wants nobody writing."""
    house.freeze()
    signal_database(house, signal.SIGKILL)
    try:
        await _remounted(disk, "ro")
    finally:
        house.thaw()
    yield
    await _remounted(disk, "rw")


async def _remounted(disk: Path, mode: str) -> None:
    """Mount again as ``mode``, as soon as the killed have let go of their files."""
    deadline = time.monotonic() + 5
    while subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=False).returncode:
        assert time.monotonic() < deadline, f"cannot be mounted {mode}"
        await asyncio.sleep(0.02)
