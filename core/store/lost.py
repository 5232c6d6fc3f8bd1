"""Rows that are taken by this process in the database, but that it knows nothing of.

They come from a commit whose answer was lost with its connection. Nobody else may take them while this
process lives, so it has to find them itself.
"""

from collections.abc import Collection, Set


class Lost:
    """Finds such rows by looking twice: what was just taken may not have come to hand yet."""

    def __init__(self) -> None:
        self._before: Set[int] = frozenset()

    def among(self, taken: Collection[int], held: Set[int]) -> list[int]:
        """Return which of the rows ``taken`` are lost. held: those that this process works on."""
        unknown = set(taken) - held
        lost = unknown & self._before
        self._before = unknown - lost
        return sorted(lost)
