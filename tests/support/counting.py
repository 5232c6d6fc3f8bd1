"""What an act takes, without a clock's seconds: how many calls it makes, and how it grows with its text."""

import sys
import time
from collections.abc import Callable
from types import FrameType


def calls(act: Callable[[], object]) -> int:
    """Return how many functions, also built-in ones, ``act`` calls: the same in each run."""
    made = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return made


def growth(act: Callable[[str], object], once: str, more: str) -> float:
    """Return how many times as long ``more`` takes as ``once``, of each the least of five runs in turns.

    For what goes on inside a pattern, which cannot be counted: in square time four times the text takes
    sixteen times as long, however busy the machine is.
    """
    spent: dict[str, list[float]] = {once: [], more: []}
    for text in (once, more) * 5:
        before = time.process_time()
        act(text)
        spent[text].append(time.process_time() - before)
    return min(spent[more]) / max(min(spent[once]), 1e-4)
