"""How fast we may talk: Telegram's limits for a chat, a group and a bot, kept before it has to say so.

30 messages a second in all, one a second in a chat with short bursts, 20 a minute in a group
(core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this).
"""

import asyncio
from collections.abc import Callable

CHATTER_HZ, CHATTER_BURST = 20.0, 5
URGENT_HZ, URGENT_BURST = 4.0, 1
"""Together 30 a second at most; what is urgent never stands behind chatter."""

CHAT_HZ, CHAT_BURST = 1.0, 3
GROUP_HZ, GROUP_BURST = 20 / 60, 10
FORGET_AFTER = 10_000
"""So many chats are remembered; a chat that is forgotten begins with a full burst."""


class Bucket:
    """A bucket of tokens that fills with time. hz: tokens a second; burst: how many it holds."""

    def __init__(self, hz: float, burst: float, now: float) -> None:
        self._hz = hz
        self._burst = burst
        self._tokens = burst
        self._at = now

    def left(self, now: float) -> float:
        """Return how many tokens are there."""
        return min(self._burst, self._tokens + max(0.0, now - self._at) * self._hz)

    def take(self, now: float) -> float:
        """Take a token; return how many seconds to wait for it."""
        self._tokens = self.left(now) - 1
        self._at = max(now, self._at)
        return max(0.0, -self._tokens / self._hz)


class Pacer:
    """Lets one bot's calls out at the pace that Telegram allows. time_s: the clock, in seconds."""

    def __init__(self, time_s: Callable[[], float] | None = None) -> None:
        self._time_s = time_s or asyncio.get_running_loop().time
        now = self._time_s()
        self._chatter = Bucket(CHATTER_HZ, CHATTER_BURST, now)
        self._urgent = Bucket(URGENT_HZ, URGENT_BURST, now)
        self._chats: dict[int, Bucket] = {}
        self._held: dict[int | None, float] = {}

    def wait_s(self, chat_id: int, urgent: bool = False) -> float:
        """Take the next place in the row; return how many seconds to wait before the call."""
        now = self._time_s()
        of_all = self._urgent if urgent else self._chatter
        return max(of_all.take(now), self._bucket(chat_id, now).take(now), self._held_s(chat_id, now))

    def may_now(self, chat_id: int) -> bool:
        """Take a place for decoration, if nothing that matters would have to wait for it."""
        now = self._time_s()
        bucket = self._bucket(chat_id, now)
        if self._held_s(chat_id, now) or bucket.left(now) < 2 or self._chatter.left(now) < 2:
            return False
        bucket.take(now)
        self._chatter.take(now)
        return True

    def held_s(self, chat_id: int) -> float:
        """Return for how many seconds Telegram wants to be left alone by us, there or everywhere."""
        return self._held_s(chat_id, self._time_s())

    def hold(self, chat_id: int | None, seconds: float) -> None:
        """Send nothing to a chat, or None for nothing at all, for so long: Telegram said so."""
        self._held[chat_id] = self._time_s() + seconds

    def _held_s(self, chat_id: int, now: float) -> float:
        until = max(self._held.get(chat_id, 0.0), self._held.get(None, 0.0))
        if until <= now:
            self._held.pop(chat_id, None)
        return max(0.0, until - now)

    def _bucket(self, chat_id: int, now: float) -> Bucket:
        if len(self._chats) > FORGET_AFTER:
            self._chats.clear()
        is_group = chat_id < 0
        hz, burst = (GROUP_HZ, GROUP_BURST) if is_group else (CHAT_HZ, CHAT_BURST)
        return self._chats.setdefault(chat_id, Bucket(hz, burst, now))
