"""Where commands leave their traces: written by the target itself, so a judge need not believe the bot."""

import asyncio
import errno
import os
import re
import secrets
from pathlib import Path
from typing import Self


class Marks:
    """A folder of counters, one a command. A command's counter is a file with a line for each run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._pattern = re.compile(re.escape(str(folder)) + r"/\w+")

    def new(self) -> Path:
        """Return a counter that nothing has counted on."""
        return self.folder / secrets.token_hex(6)

    def write(self, seconds: float = 0) -> str:
        """Return a command of level 2 that counts its runs, and then takes ``seconds``."""
        return f"sh -c 'echo x >> {self.new()}; sleep {seconds}'"

    def of(self, text: str) -> Path | None:
        """Return the counter in a command, or None."""
        found = self._pattern.search(text)
        return Path(found[0]) if found else None

    def count(self, text: str) -> int:
        """Return how often the command in ``text`` was run."""
        path = self.of(text)
        assert path
        file = path.with_suffix(".read") if path.is_fifo() else path
        return len(file.read_text().splitlines()) if file.exists() else 0


class Tap:
    """A FIFO that counts whoever reads it, so that a command of level 0 leaves a trace as well.

    feeds: whether a reader gets a line and the end; else it waits until it is ended.
    """

    def __init__(self, marks: Marks, feeds: bool = True) -> None:
        self.path = marks.new()
        self.command = f"cat {self.path}"
        self.readers = 0
        self._feeds = feeds
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        os.mkfifo(self.path, 0o600)
        self._task = asyncio.ensure_future(self._serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _serve(self) -> None:
        while True:
            writer = await self._reader()
            self.readers += 1
            with self.path.with_suffix(".read").open("a") as file:
                file.write("x\n")
            try:
                if self._feeds:
                    os.write(writer, b"fed\n")
                else:
                    await _left(writer)
            finally:
                os.close(writer)
            await self._no_reader()

    async def _reader(self) -> int:
        while True:
            if (writer := _opened(self.path)) is not None:
                return writer
            await asyncio.sleep(0.003)

    async def _no_reader(self) -> None:
        while (writer := _opened(self.path)) is not None:
            os.close(writer)
            await asyncio.sleep(0.001)


def _opened(path: Path) -> int | None:
    """Return a descriptor to write to a FIFO's reader, or None while it has none."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


async def _left(writer: int) -> None:
    """Wait until nobody reads any more."""
    while True:
        try:
            os.write(writer, b".")
        except BlockingIOError:
            pass
        except BrokenPipeError:
            return
        await asyncio.sleep(0.01)
