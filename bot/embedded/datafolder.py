"""PostgreSQL's data folder: made once, whole or not at all, and looked at before every start."""

import asyncio
import re
import shutil
import sys
import tempfile
from pathlib import Path
from signal import SIGKILL

import structlog

from bot.embedded.binaries import PostgresBinaries
from bot.embedded.child import Child, Command
from bot.embedded.home import Home, disk_full, failures_said, free_mb, sync_folder
from bot.embedded.owner import hand_over, maker_uid
from core.errors import SetupError

log = structlog.get_logger()

SUPERUSER = "postgres"
INITDB_TIMEOUT_S = 300.0
STAGING = "postgres.new-"
SEGMENT_MB = 16
"""A segment of PostgreSQL's log, the least that it must be able to write."""
FULL = re.compile(r"No space left on device|Disk quota exceeded")
BROKEN = re.compile(
    r"checkpoint record|pg_control|not a valid data directory|PANIC|corrupt|incompatible|global/"
)


def path_for(uid: int | None, data: Path) -> str:
    """Return the folder's path as PostgreSQL is told it.

    As root it runs as a user that may not pass through IT0_HOME (0700, often below /root). Its working
    directory is entered before root's rights are dropped, and /proc/self/cwd leads there without a look at
    the folders above; each of its processes stays in that directory.
    """
    return str(data) if uid is None or sys.platform != "linux" else "/proc/self/cwd"


def check_data(data: Path, major: str, log_file: Path) -> bool:
    """Return whether there is a data folder; it is closed to others if a copy opened it.

    Raises SetupError ``setup.postgres_broken`` or ``postgres_version``.
    """
    with failures_said(data):
        if not data.exists() or not any(data.iterdir()):
            return False
        try:
            found = (data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            reason = "PG_VERSION is missing"
            raise SetupError(
                "setup.postgres_broken", data=str(data), reason=reason, log=str(log_file)
            ) from None
        if found != major:
            raise SetupError("setup.postgres_version", data=str(data), found=found, wanted=major)
        data.chmod(0o700)
    return True


async def make_data(home: Home, data: Path, binaries: PostgresBinaries, uid: int | None) -> None:
    """Make the data folder beside its place, and rename it there when it is whole and on the disk.

    initdb syncs what it wrote (40 ms on an SSD): otherwise a power cut in the half minute until the kernel
    writes by itself would leave a folder that looks whole, and is not.

    Raises SetupError.
    """
    for old in home.path.glob(f"{STAGING}*"):
        shutil.rmtree(old, ignore_errors=True)
    maker = maker_uid(uid)
    with failures_said(data):
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=home.path))  # 0700
        try:
            if maker is not None:
                hand_over(staging, maker)
            await _initdb(home, staging, binaries, maker)
            if uid is not None:
                hand_over(staging, uid)
            _put_in_place(staging, data)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    log.info("database_made", data=str(data), major=binaries.major)


def _put_in_place(staging: Path, data: Path) -> None:
    staging.rename(data)
    sync_folder(data.parent)


async def _initdb(home: Home, staging: Path, binaries: PostgresBinaries, maker: int | None) -> None:
    arguments = ("--username", SUPERUSER, "--auth-local=trust", "--auth-host=reject", "--locale=C")
    # What a failure left is deleted by us, after a look at how full it made the disk.
    child = await Child.start(
        Command(
            name="initdb",
            argv=(
                binaries.initdb,
                "-D",
                path_for(maker, staging),
                *arguments,
                "--encoding=UTF8",
                "--no-clean",
            ),
            cwd=staging,
            log=home.logs / "initdb.log",
            pid_file=home.run / "initdb.pid",
            on_death=SIGKILL,
            stop_steps=(),
            uid=maker,
        )
    )
    try:
        await asyncio.wait({child.exited}, timeout=INITDB_TIMEOUT_S)
    finally:
        await child.stop()
    if child.exited.result() != 0:
        raise what_it_says(child, staging)


def what_it_says(child: Child, data: Path) -> SetupError:
    """Return the sentence for a PostgreSQL program that ended, from its last lines."""
    lately, log_file = child.tail(20), str(child.command.log)
    if FULL.search(lately) or free_mb(data) < SEGMENT_MB:  # a full disk takes no log line either
        return disk_full(data)
    reason = child.tail() or "no output"
    if child.command.name == "postgres" and BROKEN.search(lately):
        return SetupError("setup.postgres_broken", data=str(data), reason=reason, log=log_file)
    return SetupError("setup.postgres_failed", reason=reason, log=log_file)
