"""One process on an SSH connection."""

from collections.abc import Callable
from contextlib import suppress

import asyncssh

from agent.shell.output import Ending, OnData


class Process(asyncssh.SSHClientSession[bytes]):
    """A process on a server, without a terminal; close it when done."""

    def __init__(self, on_data: OnData) -> None:
        self._ending = Ending(on_data)
        self._chan: asyncssh.SSHClientChannel[bytes] | None = None
        self.release: Callable[[], None] = lambda: None
        self.fresh_connection = False

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Note the channel."""
        self._chan = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Pass on output."""
        self._ending.data("stdout" if datatype is None else "stderr", data)

    def exit_status_received(self, status: int) -> None:
        """Note the exit code."""
        self._ending.exited(status)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """Note the signal as a shell would."""
        code = self._chan.get_returncode() if self._chan else None
        self._ending.exited(128 - code if code is not None and code < 0 else 255)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the channel is gone."""
        self._ending.closed()

    def send(self, data: bytes) -> None:
        """Write all of the process's stdin."""
        if self._chan:
            with suppress(OSError):
                self._chan.write(data)
                self._chan.write_eof()

    async def ended(self) -> int | None:
        """Return the exit code, or None when the channel broke off before one."""
        return await self._ending.wait()

    def close(self) -> None:
        """Leave the process alone; it may go on."""
        if self._chan:
            self._chan.abort()
        self._ending.closed()
        release, self.release = self.release, lambda: None
        release()
