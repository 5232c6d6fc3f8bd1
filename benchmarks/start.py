"""``start``: from nothing to ready, again to ready, what it takes while idle, and how fast it leaves."""

import asyncio
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.grounds import Bot, environment
from benchmarks.measure import Figure, alone, alternated, compared, rss_mb, table
from bot.embedded.binaries import find_postgres
from bot.embedded.datafolder import SUPERUSER
from bot.embedded.postgres import SETTINGS

INITDB = (
    "--username",
    SUPERUSER,
    "--auth-local=trust",
    "--auth-host=reject",
    "--locale=C",
    "--encoding=UTF8",
)
"""As in bot.embedded.datafolder."""

ROOT = Path(__file__).parents[1]
IDLE_S = 10.0
SETTLE_S = 1.0


class Starts:
    """What was measured, in seconds and MB."""

    def __init__(self, folder: Path, python: str) -> None:
        self._folder = folder
        self._python = python
        self._uid = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        self._programs = find_postgres(self._uid).bin
        self._number = 0
        self.cold: list[float] = []
        self.warm: list[float] = []
        self.stop: list[float] = []
        self.bare: list[float] = []
        self.rss: list[float] = []

    def _fresh(self, name: str) -> Path:
        self._number += 1
        return self._folder / f"{name}{self._number}"

    async def ours(self) -> None:
        """Start on an empty home, stop, and start again."""
        home = self._fresh("home")
        first, second = (Bot(home, "bot", "up", python=self._python) for _ in range(2))
        try:
            self.cold.append(await first.start())
            await asyncio.sleep(SETTLE_S)
            self.stop.append(await first.stop())
            self.warm.append(await second.start())
            await asyncio.sleep(SETTLE_S)
        finally:
            await first.stop()
            self.stop.append(await second.stop())
            shutil.rmtree(home, ignore_errors=True)

    async def baseline(self) -> None:
        """Start a bare PostgreSQL."""
        folder = self._fresh("bare")
        folder.mkdir(mode=0o755)
        file = Path(__file__).with_name("bare_postgres.py")
        uid = -1 if self._uid is None else self._uid
        given = [self._programs, folder, uid, json.dumps(INITDB), json.dumps(SETTINGS)]
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            self._python,
            *map(str, (file, *given)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        assert process.stdin
        assert process.stdout
        line = await process.stdout.readline()
        self.bare.append(time.monotonic() - began)
        process.stdin.close()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)
        assert line == b"ready\n"

    async def idle(self) -> None:
        """Start and leave it alone for a while."""
        bot = Bot(self._fresh("idle"), "bot", "up", python=self._python)
        try:
            await bot.start()
            await asyncio.sleep(IDLE_S)
            self.rss.append(rss_mb(bot.pid))
        finally:
            await bot.stop()


async def run(quick: bool) -> str:
    """Return the table."""
    rounds = 3 if quick else 7
    with tempfile.TemporaryDirectory(prefix="it0-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the bare server runs as another user when we are root
        python, how = await as_installed(folder)
        starts = Starts(folder, python)
        await starts.ours()  # once beforehand: compiled files and the disk's cache
        await starts.baseline()
        for series in (starts.cold, starts.warm, starts.stop, starts.bare):
            series.clear()
        await alternated(rounds, starts.ours, starts.baseline)
        for _ in range(1 if quick else 3):
            await starts.idle()
    return table("start", [*notes(rounds), how], figures(starts))


async def as_installed(folder: Path) -> tuple[str, str]:
    """Return (a Python with what ``make run`` installs and nothing else, a note that says so)."""
    python = folder / "venv/bin/python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    steps = (
        [sys.executable, "-m", "venv", folder / "venv"],
        [*pip, "--require-hashes", "-r", ROOT / "requirements/base.txt"],
    )
    for step in steps:
        done = await asyncio.create_subprocess_exec(*map(str, step), stderr=subprocess.PIPE)
        _, error = await done.communicate()
        if done.returncode:
            why = error.decode()[-200:].strip()
            return sys.executable, f"IN THE DEVELOPERS' ENVIRONMENT: no other could be made: {why}"
    return str(python), "both sides in an environment with what `make run` installs and nothing else"


def figures(starts: Starts) -> list[Figure]:
    """Return the table's lines."""
    return [
        compared("cold start to /readyz (P6)", starts.cold, starts.bare, 2.0, "s"),
        alone("warm start to /readyz", starts.warm, 1.5, "s"),
        alone("memory of the Python process, idle for 10 s (P7)", starts.rss, 150, "MB"),
        alone("stop", starts.stop, 2.0, "s"),
    ]


def notes(rounds: int) -> list[str]:
    """Return what the table stands on."""
    return [
        f"{rounds} rounds of `it0 up` on an empty IT0_HOME, stop, `it0 up` again, stop; everything is in the"
        " disk's cache",
        "baseline: Python, asyncpg, initdb, PostgreSQL with the same settings, to a first row",
    ]
