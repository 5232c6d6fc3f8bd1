"""Valkey of our own, on a unix socket in IT0_HOME."""

import asyncio
import re
import shutil
import time
from pathlib import Path
from signal import SIGKILL, SIGTERM
from types import TracebackType
from typing import Self

import structlog

from bot.embedded.binaries import find_valkey
from bot.embedded.child import POLL_S, Child, Command, stop_leftover
from bot.embedded.datafolder import FULL
from bot.embedded.home import Home, disk_full, failures_said, free_mb, short_way
from bot.embedded.keeper import Keeper
from core.errors import SetupError

log = structlog.get_logger()

SOCKET = "valkey.sock"
START_TIMEOUT_S = 60.0
UNREADABLE = re.compile(r"# .*(AOF|append only|RDB|signature|checksum|orrupt)")
SETTINGS = {
    "port": "0",
    "unixsocket": SOCKET,  # below its folder: any length of path
    "unixsocketperm": "700",
    "dir": ".",
    "daemonize": "no",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "databases": "16",
    "maxmemory-policy": "noeviction",
}


class Valkey:
    """A Valkey that lives as long as ``async with Valkey(home)``, restarted when it dies.

    ``url`` is for redis-py and arq. What it holds may be lost, so a file that it cannot read is set aside.

    Raises SetupError ``setup.no_valkey``, ``valkey_failed`` or ``disk_full``.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.data = home.path / "valkey"
        self.keeper = Keeper("valkey", self._start)
        self.url = socket_url(home.path)
        self._command: Command | None = None

    async def __aenter__(self) -> Self:
        began = time.monotonic()
        self._command = self._make_command(find_valkey())
        with failures_said(self.data):
            self.data.mkdir(mode=0o700, exist_ok=True)
            self.data.chmod(0o700)
            await self.keeper.open()
        log.info("valkey_ready", pid=self.keeper.pid, took_s=round(time.monotonic() - began, 3))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.keeper.close()

    def _make_command(self, server: Path) -> Command:
        settings = [word for name, value in SETTINGS.items() for word in (f"--{name}", value)]
        return Command(
            name="valkey",
            argv=(str(server), *settings),
            cwd=self.data,
            log=self.home.logs / "valkey.log",
            pid_file=self.home.run / "valkey.pid",
            # What was answered is in the kernel's hands already, so the surest signal loses nothing.
            on_death=SIGKILL,
            stop_steps=((SIGTERM, 3.0),),
        )

    async def _start(self) -> Child:
        """Return a server that answers a PING, with what it held if that can be read."""
        assert self._command
        await stop_leftover(self._command)
        try:
            return await self._launch(self._command)
        except _Unreadable as error:
            self._set_aside(error)
            return await self._launch(self._command)

    async def _launch(self, command: Command) -> Child:
        child = await Child.start(command)
        try:
            await self._until_ready(child)
        except BaseException:
            await child.stop()
            raise
        return child

    async def _until_ready(self, child: Child) -> None:
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until and not child.exited.done():
            if await self._answers():
                return
            await asyncio.sleep(POLL_S)
        said, log_file = child.tail(), str(child.command.log)
        if FULL.search(said) or free_mb(self.data) < 1:
            raise disk_full(self.data)
        kind = _Unreadable if UNREADABLE.search(child.tail(8)) else SetupError
        raise kind("setup.valkey_failed", reason=said or "no output", log=log_file)

    async def _answers(self) -> bool:
        """PING in Redis's inline form: importing a client for it would hold up what starts beside this."""
        path = f"{short_way(self.home.path)}/valkey/{SOCKET}"
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    writer.write(b"PING\r\n")
                    return await reader.readline() == b"+PONG\r\n"
                finally:
                    writer.close()
        except OSError:  # TimeoutError is one
            return False

    def _set_aside(self, error: SetupError) -> None:
        """Keep the newest unreadable folder for whoever wants to look, and start with an empty one."""
        aside = self.data.with_name("valkey.unreadable")
        shutil.rmtree(aside, ignore_errors=True)
        self.data.rename(aside)
        self.data.mkdir(mode=0o700)
        log.error("valkey_data_set_aside", to=str(aside), error=str(error))


class _Unreadable(SetupError):
    """Valkey cannot read its append-only file."""


def socket_url(home: Path) -> str:
    """Return the URL for the server of ``home``, also for a process that does not own the home."""
    return f"unix://{short_way(home)}/valkey/{SOCKET}"
