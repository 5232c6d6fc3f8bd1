"""The bot's own machine: the same wrapper, started as a child process instead of over SSH."""

import asyncio
import getpass
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from agent.shell.output import Ending, OnData
from agent.shell.wrapper import PATH, REQUEST
from core.errors import ServerUnreachable
from core.ports import Target

OUTER = ("-c", '"$@"; exit $?', "it0")
"""asyncio kills its child when the bot ends. This shell is that child, and the wrapper outlives it."""


class LocalProcess(asyncio.SubprocessProtocol):
    """A child process, without a terminal; close it when done."""

    fresh_connection = False

    def __init__(self, on_data: OnData) -> None:
        self._ending = Ending(on_data)
        self._transport: asyncio.SubprocessTransport | None = None
        self._left = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Pass on output."""
        self._ending.data("stdout" if fd == 1 else "stderr", data)

    def process_exited(self) -> None:
        """Note the exit code: 128 + n after signal n."""
        code = self._transport.get_returncode() if self._transport else None
        self._ending.exited(255 if code is None else code if code >= 0 else 128 - code)
        if self._left and self._transport:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it has ended and its pipes are closed."""
        self._ending.closed()
        if self._transport:
            self._transport.close()

    def send(self, data: bytes) -> None:
        """Write all of the process's stdin."""
        if self._transport and (pipe := self._transport.get_pipe_transport(0)):
            stdin = cast(asyncio.WriteTransport, pipe)
            stdin.write(data)
            stdin.write_eof()

    async def ended(self) -> int | None:
        """Return the exit code once the output is whole."""
        return await self._ending.wait()

    def close(self) -> None:
        """Leave the process alone; it may go on."""
        self._left = True
        self._ending.closed()
        if self._transport is None:
            return
        # Closing the transport of a process that still runs would kill it.
        if self._transport.get_returncode() is not None:
            self._transport.close()
            return
        for fd in (0, 1, 2):
            if pipe := self._transport.get_pipe_transport(fd):
                pipe.close()


class Local:
    """Starts processes on the bot's own machine, as the bot's user.

    home: where the markers lie and commands start, the user's home unless given; shell: reads the wrapper.
    """

    def __init__(self, home: Path | None = None, shell: Sequence[str] = ("/bin/sh",)) -> None:
        self._home = home
        self._shell = shell
        self._fresh = True

    async def open(self, target: Target, request: str, on_data: OnData, extra: bool = False) -> LocalProcess:
        """Return a new process; raises ServerUnreachable when the machine cannot make one."""
        arguments = [*self._shell, *(["-s"] if request == REQUEST else ["-c", request])]
        stdin = asyncio.subprocess.PIPE if request == REQUEST else asyncio.subprocess.DEVNULL
        environment = self._environment()
        try:
            _, process = await asyncio.get_running_loop().subprocess_exec(
                lambda: LocalProcess(on_data),
                *self._shell,
                *OUTER,
                *arguments,
                stdin=stdin,
                cwd=environment["HOME"],
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise ServerUnreachable(server=target.server.name, reason=error.strerror or "") from None
        process.fresh_connection, self._fresh = self._fresh, False
        return process

    def _environment(self) -> Mapping[str, str]:
        """Return what the wrapper needs: the bot's own environment holds its secrets."""
        name = getpass.getuser()
        return {"HOME": str(self._home or Path.home()), "USER": name, "LOGNAME": name, "PATH": PATH}
