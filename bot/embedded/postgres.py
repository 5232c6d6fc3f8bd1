"""PostgreSQL of our own, on a unix socket in IT0_HOME."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from signal import SIGINT, SIGQUIT
from types import TracebackType
from typing import Self

import asyncpg
import structlog

from bot.embedded.binaries import PostgresBinaries, find_postgres
from bot.embedded.child import POLL_S, Child, Command, stop_leftover
from bot.embedded.datafolder import SUPERUSER, check_data, make_data, path_for, what_it_says
from bot.embedded.home import Home, disk_full, failures_said, short_way
from bot.embedded.keeper import Keeper
from bot.embedded.owner import hand_over, server_uid
from core.errors import SetupError

log = structlog.get_logger()

DATABASE, OWNER, APP = "it0", "it0_owner", "it0_app"
START_TIMEOUT_S = 300.0
"""Crash recovery reads the whole log again; max_wal_size bounds that to a few seconds."""
ORPHAN_PAUSES_S = (0.1, 0.3, 1.0, 3.0)
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",  # the data folder: any length of path, and reachable without root
    "unix_socket_permissions": "0700",
    "port": "5432",
    "cluster_name": "it0",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "io_method": "sync",  # three processes less
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "fsync": "on",
    "jit": "off",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",  # DETAIL shows a row's values
    "log_min_error_statement": "panic",  # and STATEMENT those in its text
}


class Postgres:
    """A PostgreSQL that lives as long as ``async with Postgres(home)``, restarted when it dies.

    home: taken before (``with Home(path)``), so no other it0 is on this data folder.
    ``owner_url`` and ``app_url`` are for asyncpg; put ``+asyncpg`` after ``postgresql`` for SQLAlchemy.

    Raises SetupError: ``setup.postgres_broken``, ``postgres_version``, ``postgres_failed`` and others.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.data = home.path / "postgres"
        self.keeper = Keeper("postgres", self._start)
        self.owner_url = socket_url(home.path, OWNER)
        self.app_url = socket_url(home.path, APP)
        self._command: Command | None = None

    async def __aenter__(self) -> Self:
        began = time.monotonic()
        uid = server_uid(self.data)
        binaries = await asyncio.to_thread(find_postgres, uid)
        self._command = self._make_command(binaries, uid)
        await self._clear(self._command)
        if not check_data(self.data, binaries.major, self._command.log):
            await make_data(self.home, self.data, binaries, uid)
        elif uid is not None and self.data.stat().st_uid != uid:
            hand_over(self.data, uid)  # restored from a copy as root
        with failures_said(self.data):
            await self.keeper.open()
        log.info("postgres_ready", pid=self.keeper.pid, took_s=round(time.monotonic() - began, 3))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.keeper.close()

    def _make_command(self, binaries: PostgresBinaries, uid: int | None) -> Command:
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        return Command(
            name="postgres",
            argv=(binaries.server, "-D", path_for(uid, self.data), *settings),
            cwd=self.data,
            log=self.home.logs / "postgres.log",
            pid_file=self.home.run / "postgres.pid",
            # Fast shutdown, not SIGQUIT: nobody waits for it, and the next start needs no recovery.
            on_death=SIGINT,
            # Never SIGTERM, which waits for every client to leave.
            stop_steps=((SIGINT, 10.0), (SIGQUIT, 5.0)),
            uid=uid,
        )

    async def _start(self) -> Child:
        """Return a server that answers, with its roles and database there."""
        assert self._command
        for pause_s in ORPHAN_PAUSES_S:
            try:
                return await self._launch(self._command)
            except _OrphansLeft:
                # Processes whose postmaster was killed see it after their statement, or when they are told.
                orphans = _working_in(self.data)
                log.warning("postgres_orphans", pids=orphans, next_try_s=pause_s)
                for pid in orphans:
                    with suppress(OSError):
                        os.kill(pid, SIGQUIT)
                await asyncio.sleep(pause_s)
        return await self._launch(self._command)

    async def _launch(self, command: Command) -> Child:
        await self._clear(command)
        child = await Child.start(command)
        try:
            await self._until_ready(child)
            await self._set_up()
        except BaseException:
            await child.stop()
            raise
        return child

    async def _clear(self, command: Command) -> None:
        """Stop an earlier server, and drop its postmaster.pid when the pid in it is nobody's, or reused."""
        dead = await stop_leftover(command)
        file = self.data / "postmaster.pid"
        with suppress(OSError, ValueError, IndexError):
            pid = int(file.read_text().splitlines()[0])
            if pid == dead or not _is_postgres(pid):
                file.unlink()

    async def _until_ready(self, child: Child) -> None:
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            if child.exited.done():
                kind = _OrphansLeft if "shared memory block" in child.tail() else None
                error = what_it_says(child, self.data)
                raise kind(error.say.key, **error.say.params) if kind else error
            if self._says_ready(child.pid):
                return
            await asyncio.sleep(POLL_S)
        raise SetupError("setup.postgres_failed", reason=child.tail(), log=str(child.command.log))

    def _says_ready(self, pid: int) -> bool:
        """Read postmaster.pid: its first line is the pid, the eighth the state."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    async def _set_up(self) -> None:
        try:
            connection = await asyncpg.connect(socket_url(self.home.path, SUPERUSER, SUPERUSER), timeout=30)
            try:
                await make_database(connection)
            finally:
                await connection.close(timeout=5)
        except asyncpg.DiskFullError as error:
            raise disk_full(self.data) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            log_file = str(self.home.logs / "postgres.log")
            raise SetupError("setup.postgres_failed", reason=str(error), log=log_file) from error


class _OrphansLeft(SetupError):
    """Processes of a killed postmaster still use the data folder."""


async def make_database(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Make what is missing of the two roles and the database, after which a superuser is not needed."""
    roles = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
    for role in (OWNER, APP):
        if role not in roles:
            await connection.execute(f"CREATE ROLE {role} LOGIN")
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
        await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    if await connection.fetchval("SELECT datacl IS NULL FROM pg_database WHERE datname = $1", DATABASE):
        await connection.execute(
            f"REVOKE ALL ON DATABASE {DATABASE}, {SUPERUSER}, template1 FROM PUBLIC;"
            f"GRANT CONNECT ON DATABASE {DATABASE} TO {APP}"
        )


def socket_url(home: Path, role: str, database: str = DATABASE) -> str:
    """Return ``role``'s URL for the server of ``home``, also for a process that does not own the home."""
    return f"postgresql://{role}@/{database}?host={short_way(home)}/postgres&port=5432"


def _working_in(data: Path) -> list[int]:
    """Return the processes whose working directory is ``data``, as far as we may look: Linux only."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "cwd").readlink() == data:
                found.append(int(folder.name))
    return found


def _is_postgres(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    except FileNotFoundError:
        return not Path("/proc/self/comm").exists()  # no Linux: leave the question to PostgreSQL
