"""Characters: which are hidden, which are nothing to the eye, how long they are, where they part."""

import re
import unicodedata

NOWHERE = "\ufdd0"
"""A character that no text holds after ``clean``."""

_UNSEEN = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff{NOWHERE}]")
_BLANK = ("Cc", "Cf", "Zl", "Zp", "Zs")
_EMPTY = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffc")  # letters and signs that show nothing
_VIRAMA = 9  # the class of the marks that bind an Indic consonant to the next
_EMOJI_STYLE = "\ufe0f"


def clean(text: str) -> str:
    """Return ``text`` with control characters, and those that reorder it, made visible as �.

    A command that shows itself in another order than it runs must not reach an approver.
    """
    return _UNSEEN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def is_blank(text: str) -> bool:
    """Return whether nothing of ``text`` would be seen."""
    return all(c in _EMPTY or unicodedata.category(c) in _BLANK for c in text)


def columns(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes: a Chinese character takes two."""
    return sum(map(_width, text))


def _width(character: str) -> int:
    if character == _EMOJI_STYLE:
        return 1  # the sign before it, such as ⚠, takes a column more
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def utf16_length(text: str) -> int:
    """Return the length that Telegram counts: most emoji are two."""
    return len(text) + sum(c > "\uffff" for c in text)


def shortened(text: str, limit: int) -> str:
    """Return ``text`` with at most ``limit`` UTF-16 units, an ellipsis for what is missing."""
    if utf16_length(text) <= limit:
        return text
    units = text.encode("utf-16-le", "surrogatepass")[: 2 * (limit - 1)]
    return units.decode("utf-16-le", "ignore") + "…"


def is_joined(text: str, at: int) -> bool:
    """Return whether the characters on both sides of ``at`` are one to the eye."""
    before, after = text[at - 1], text[at]
    if before == "\u200d" or after in "\u200c\u200d":
        return True
    if unicodedata.combining(before) == _VIRAMA and after.isalpha():
        return True
    if unicodedata.category(after)[0] == "M" or "\U0001f3fb" <= after <= "\U0001f3ff" or _is_vowel(after):
        return True
    if "\U000e0020" <= after <= "\U000e007f":
        return True
    return _is_flag(before) and _is_flag(after) and _flags_before(text, at) % 2 == 1


def _is_vowel(character: str) -> bool:
    """Return whether it is a Korean vowel or final, which follows its consonant."""
    return "\u1160" <= character <= "\u11ff"


def _is_flag(character: str) -> bool:
    """Return whether it is one of the two letters that make a flag."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flags_before(text: str, at: int) -> int:
    count = 0
    while count < at and _is_flag(text[at - 1 - count]):
        count += 1
    return count
