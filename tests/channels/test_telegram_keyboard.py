"""Buttons that fit, and those that do not."""

from collections.abc import Sequence

import pytest

from channels.telegram.keyboard import Key, keyboard


def rows(keys: Sequence[Key]) -> list[int]:
    """Return how many buttons each row has."""
    return [len(row) for row in keyboard(keys)["inline_keyboard"]]


def test_buttons_stand_in_rows_that_a_phone_can_show() -> None:
    assert rows([Key("OK", str(n)) for n in range(20)]) == [6, 6, 6, 2]
    assert rows([Key("1", str(n)) for n in range(20)]) == [7, 7, 6]
    assert rows([Key("Approve this for all servers", "a"), Key("Reject", "r")]) == [1, 1]
    assert rows([Key("批准", "a"), Key("拒绝", "r")]) == [2]
    assert max(rows([Key("1", str(n)) for n in range(100)])) <= 8
    assert "style" not in keyboard([Key("OK", "1", "primary")], styled=False)["inline_keyboard"][0][0]


@pytest.mark.parametrize(
    "keys",
    [
        [Key("OK", "x" * 65)],
        [Key("OK", "磁" * 22)],
        [Key("OK", "")],
        [Key(" ", "x")],
        [Key("\u200b", "x")],
        [Key("OK", str(n)) for n in range(101)],
    ],
)
def test_buttons_that_telegram_would_refuse_are_found_before(keys: list[Key]) -> None:
    with pytest.raises(ValueError):
        keyboard(keys)
