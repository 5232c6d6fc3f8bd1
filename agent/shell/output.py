"""A command's output as it comes in: kept within a cap, shown in pieces, and the sign that it is over."""

import asyncio
import codecs
import re
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from core.ports import OnOutput

log = structlog.get_logger(__name__)

PIECE_EVERY_S = 0.1
"""Two streams, so at most 20 pieces a second."""

PIECE_BYTES = 16_384
GAP = re.compile("\n\\[… [0-9]+ B …\\]\n".encode())
"""The line that stands for bytes that are missing: what is next to it was cut there."""

SILENCE_S = 1.0
"""How long output may be silent after the exit code before it counts as whole."""


class Kept:
    """Keeps the first and the last bytes of a stream.

    cap: bytes kept at most, a quarter of them from its beginning.
    """

    def __init__(self, cap: int) -> None:
        self._head_cap = cap // 4
        self._tail_cap = cap - self._head_cap
        self._head = bytearray()
        self._tail = bytearray()
        self._seen = 0

    @property
    def dropped(self) -> int:
        """Return how many bytes are not kept."""
        return max(0, self._seen - self._head_cap - self._tail_cap)

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._seen += len(data)
        room = self._head_cap - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data[-self._tail_cap :]
        # Cutting only at twice the cap makes the copying rare.
        if len(self._tail) > 2 * self._tail_cap:
            del self._tail[: -self._tail_cap]

    def parts(self) -> tuple[bytes, bytes]:
        """Return what is kept of the beginning and of the end."""
        return bytes(self._head), bytes(self._tail[-self._tail_cap :])

    def text(self, decoder: codecs.IncrementalDecoder | None = None, final: bool = True) -> str:
        """Return what is kept as text, with a line in the middle where bytes are missing.

        decoder: knows what went before, and keeps an unfinished character unless this is final.
        """
        decoder = decoder or _decoder()
        head, tail = self.parts()
        if not self.dropped:
            return _plain(decoder.decode(head + tail, final))
        # A character cut in two by the cap is left out, not shown as a wrong one.
        start = decoder.decode(head)
        decoder.reset()
        while tail and tail[0] & 0xC0 == 0x80:
            tail = tail[1:]
        return _plain(f"{start}{_gap(self.dropped)}{decoder.decode(tail, final)}")


class Pieces:
    """Hands a stream's text to a listener a few times a second; of a flood only the ends of each piece."""

    def __init__(self, stream: str, listener: OnOutput) -> None:
        self._stream = stream
        self._listener: OnOutput | None = listener
        self._decoder = _decoder()
        self._pending = Kept(PIECE_BYTES)
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._listener is None:
            return
        self._pending.add(data)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._next), self._flush)

    def close(self) -> None:
        """Hand over the rest and fall silent."""
        if self._timer:
            self._timer.cancel()
        self._flush(final=True)
        self._listener = None

    def _flush(self, final: bool = False) -> None:
        """Hand over what is pending."""
        self._timer = None
        self._next = asyncio.get_running_loop().time() + PIECE_EVERY_S
        text = self._pending.text(self._decoder, final)
        self._pending = Kept(PIECE_BYTES)
        if not text or self._listener is None:
            return
        try:
            self._listener(self._stream, text)
        except Exception:
            log.exception("shell.listener_failed")
            self._listener = None


class Output:
    """Both streams of one command.

    cap: bytes kept of each; listener: is shown pieces while it runs.
    """

    def __init__(self, cap: int, listener: OnOutput | None = None) -> None:
        self._kept: Mapping[str, Kept] = {name: Kept(cap) for name in ("stdout", "stderr")}
        self._pieces = {name: Pieces(name, listener) for name in self._kept} if listener else {}

    def add(self, stream: str, data: bytes) -> None:
        """Take the next bytes of ``stream``."""
        if not data:
            return
        self._kept[stream].add(data)
        if piece := self._pieces.get(stream):
            piece.add(data)

    def close(self) -> None:
        """Show the rest; nothing is shown afterwards."""
        for piece in self._pieces.values():
            piece.close()

    def text(self, stream: str) -> str:
        """Return what is kept of ``stream``."""
        return self._kept[stream].text()

    @property
    def dropped(self) -> int:
        """Return how many bytes of both are not kept."""
        return sum(kept.dropped for kept in self._kept.values())


OnData = Callable[[str, bytes], None]
"""Takes (stream name, bytes) from a process."""


class Ending:
    """Tells when a process and its output are over.

    A daemon that the command left behind may hold the streams open for ever, so an exit code followed by
    silence is an end as well.
    """

    def __init__(self, on_data: OnData) -> None:
        self._on_data = on_data
        self._code: int | None = None
        self._exited = asyncio.Event()
        self._closed = asyncio.Event()
        self._heard = 0.0

    def data(self, stream: str, data: bytes) -> None:
        """Pass on output."""
        self._heard = asyncio.get_running_loop().time()
        self._on_data(stream, data)

    def exited(self, code: int) -> None:
        """Note the exit code: 128 + n after signal n."""
        self._code = code
        self._exited.set()

    def closed(self) -> None:
        """Note that nothing more can come."""
        self._closed.set()
        self._exited.set()

    async def wait(self) -> int | None:
        """Return the exit code once all is over; None if it broke off without one."""
        await self._exited.wait()
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        while not self._closed.is_set() and (left := self._heard + SILENCE_S - loop.time()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._closed.wait()
        return self._code


def _gap(dropped: int) -> str:
    """Return the line that stands for bytes that are missing."""
    return f"\n[… {dropped} B …]\n"


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("replace")


def _plain(text: str) -> str:
    """Return ``text`` without NUL, which neither PostgreSQL nor a chat takes."""
    return text.replace("\0", "\ufffd")
