"""Characters: what hides, what is nothing to the eye, how long a text is."""

import pytest

from channels.markup.characters import clean, columns, is_blank, shortened, utf16_length


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\u2060", "\u2800", "\u3164", "\ufffc", "\u3000"])
def test_what_shows_nothing_is_blank(text: str) -> None:
    assert is_blank(text)


def test_character_newer_than_our_tables_is_not_blank() -> None:
    assert not is_blank("\U0001fae9")
    assert not is_blank("\U0001faff")
    assert not is_blank("\ue000")


def test_line_ends_are_one_kind_and_tabs_stay() -> None:
    assert clean("a\r\nb\rc\td\n") == "a\nb\nc\td\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("disk", 4), ("磁盘", 4), ("e\u0301", 1), ("a\u200bb", 2), ("⚠\ufe0f", 2), ("✅", 2), ("กี่", 1)],
)
def test_columns_are_those_of_a_terminal(text: str, expected: int) -> None:
    assert columns(text) == expected


def test_shortened_text_keeps_its_limit_and_no_half_of_a_character() -> None:
    assert shortened("short", 5) == "short"
    assert shortened("longer", 5) == "long…"
    assert shortened("😀" * 150, 200) == "😀" * 99 + "…"
    assert utf16_length(shortened("a" + "😀" * 150, 200)) == 200
