"""Finds any of many byte strings in a text."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class Patterns:
    """Finds any of many byte strings in time that depends on the text alone.

    Every fourth place of the text is looked at, or every second if a pattern is shorter than seven bytes:
    wherever a pattern stands, one such place holds four bytes of its beginning. What they point at is
    looked up among the sorted patterns by bisection. None may be shorter than five bytes.
    """

    def __init__(self, patterns: Iterable[bytes]) -> None:
        self._sorted = sorted(set(patterns))
        self._step = 4 if min(map(len, self._sorted), default=7) >= 7 else 2
        self._grams = {_gram(each[at : at + 4]) for each in self._sorted for at in range(self._step)}
        self._shorter = _prefixes(self._sorted)
        self.longest = max(map(len, self._sorted), default=0)

    def find(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where patterns stand; of those with one start the longest."""
        for at in self._starts(data):
            text = data[at : at + self.longest]
            index = bisect_right(self._sorted, text)
            pattern = self._sorted[index - 1] if index else b""
            # A pattern that the text begins with is the last one not after it, or begins that one.
            while not text.startswith(pattern):
                pattern = self._shorter.get(pattern, b"")
            if pattern:
                yield at, at + len(pattern)

    def _starts(self, data: bytes) -> list[int]:
        """Return where patterns may start, in order."""
        hits: list[int] = []
        grams = self._grams
        for shift in range(0, 4, self._step) if grams else ():
            words = memoryview(data)[shift:]
            words = words[: len(words) & ~3].cast("I")
            hits += [shift + 4 * index for index, gram in enumerate(words) if gram in grams]
        return sorted({at for hit in hits for at in range(max(0, hit - self._step + 1), hit + 1)})


def _gram(four: bytes) -> int:
    """Return four bytes as the number that a memoryview of this machine makes of them."""
    number: int = memoryview(four).cast("I")[0]
    return number


def _prefixes(ordered: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return for each of sorted byte strings the longest other one that it begins with, if any."""
    found: dict[bytes, bytes] = {}
    open_ones: list[bytes] = []
    for each in ordered:
        while open_ones and not each.startswith(open_ones[-1]):
            open_ones.pop()
        if open_ones:
            found[each] = open_ones[-1]
        open_ones.append(each)
    return found
