"""The pace of one bot: never above Telegram's limits, and nothing urgent behind chatter."""

from hypothesis import given
from hypothesis import strategies as st

from channels.telegram.pacer import CHAT_BURST, CHATTER_BURST, GROUP_BURST, Pacer


class Clock:
    """A clock that a test moves. now: seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


CHATS = st.sampled_from([1, 2, 3, -1, -2])


@given(st.lists(st.tuples(CHATS, st.floats(0, 2), st.booleans()), max_size=200))
def test_whatever_is_asked_for_no_limit_is_passed(calls: list[tuple[int, float, bool]]) -> None:
    clock = Clock()
    pacer = Pacer(clock)
    sent: list[tuple[float, int]] = []
    for chat, pause_s, urgent in calls:
        clock.now += pause_s
        sent.append((clock.now + pacer.wait_s(chat, urgent), chat))
    for at, chat in sent:
        minute = sum(1 for then, other in sent if other == chat and at <= then < at + 60)
        assert chat > 0 or minute <= 20 + GROUP_BURST
        second = sum(1 for then, other in sent if other == chat and at <= then < at + 0.999)
        assert chat < 0 or second <= CHAT_BURST + 1
        assert sum(1 for then, _ in sent if at <= then < at + 0.999) <= 30


def test_a_first_message_goes_at_once_and_the_burst_is_bounded() -> None:
    pacer = Pacer(Clock())
    waits = [pacer.wait_s(1) for _ in range(6)]
    assert waits[:CHAT_BURST] == [0, 0, 0]
    assert waits[CHAT_BURST:] == [1, 2, 3]


def test_what_is_urgent_does_not_stand_behind_chatter() -> None:
    pacer = Pacer(Clock())
    for chat in range(1, 200):
        pacer.wait_s(chat)
    assert pacer.wait_s(1000) > 5
    assert pacer.wait_s(1001, urgent=True) == 0


def test_a_chat_that_was_told_to_wait_waits_and_others_do_not() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    pacer.hold(1, 30)
    assert (pacer.wait_s(1), pacer.wait_s(2)) == (30, 0)
    assert (pacer.held_s(1), pacer.held_s(2)) == (30, 0)
    clock.now = 31
    assert pacer.wait_s(1) == 0
    pacer.hold(None, 5)
    assert pacer.wait_s(2) == 5


def test_decoration_leaves_room_for_what_matters() -> None:
    pacer = Pacer(Clock())
    shown = sum(pacer.may_now(-1) for _ in range(50))
    assert shown == min(GROUP_BURST, CHATTER_BURST) - 1
    assert pacer.wait_s(-1) == 0
