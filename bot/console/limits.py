"""Limits of one person over all their pages: how often in a minute, and how many at once.

They hold within a process. What is counted is kept for a minute, of the busiest only when there are too many.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

MINUTE_S = 60.0
MOST_KEYS = 10_000

Key = tuple[str, ...]


class Rate:
    """Lets each key through so often in any minute; what it turns away is not counted."""

    def __init__(self, a_minute: int) -> None:
        self.a_minute = a_minute
        self._times: dict[Key, deque[float]] = {}
        """By key; the one that was counted last stands last."""

    def __len__(self) -> int:
        """Return how many keys it remembers."""
        return len(self._times)

    def allows(self, key: Key) -> bool:
        """Count ``key`` once and return True, unless it has had its share of this minute."""
        now = time.monotonic()
        times = self._times.pop(key, None) or deque()
        while times and times[0] <= now - MINUTE_S:
            times.popleft()
        allowed = len(times) < self.a_minute
        if allowed:
            times.append(now)
        self._times[key] = times
        self._forget(now)
        return allowed

    def is_spent(self, key: Key) -> bool:
        """Return whether ``key`` has had its share of this minute, and count nothing."""
        oldest = time.monotonic() - MINUTE_S
        return sum(moment > oldest for moment in self._times.get(key, ())) >= self.a_minute

    def left(self, key: Key) -> tuple[int, int]:
        """Return how many more ``key`` may have, and in how many seconds, rounded up, it may have another."""
        times = self._times.get(key) or deque()
        wait_s = times[0] + MINUTE_S - time.monotonic() if times else 0.0
        return max(0, self.a_minute - len(times)), max(0, math.ceil(wait_s))

    def take_back(self, key: Key) -> None:
        """Let the newest count of ``key`` be as if it had not been."""
        times = self._times.get(key)
        if times:
            times.pop()

    def _forget(self, now: float) -> None:
        """Forget whom nothing was heard of for a minute, and of too many the one that was quiet longest."""
        while self._times:
            quietest = next(iter(self._times))
            times = self._times[quietest]
            if len(self._times) <= MOST_KEYS and times and times[-1] > now - MINUTE_S:
                return
            del self._times[quietest]


class Tally:
    """Lets one of many equal events a minute be written down, with how many there were since the last."""

    def __init__(self) -> None:
        self._rate = Rate(1)
        self._more: Counter[Key] = Counter()

    def take(self, key: Key) -> int:
        """Count ``key``; return how many are to be written down now, 0 within a minute of the last."""
        if len(self._more) > MOST_KEYS:
            self._more.clear()
        self._more[key] += 1
        return self._more.pop(key) if self._rate.allows(key) else 0


class AtOnce:
    """Lets each key hold so many places at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: Counter[Key] = Counter()

    def __len__(self) -> int:
        """Return how many keys hold a place."""
        return len(self._held)

    @contextmanager
    def place(self, key: Key) -> Iterator[bool]:
        """Hold a place while entered; yield whether there was one."""
        if self._held[key] >= self.most:
            yield False
            return
        self._held[key] += 1
        try:
            yield True
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
