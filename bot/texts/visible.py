"""Data as people see it: nothing in it hides, moves the text beside it, or passes for a line of ours."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.texts import Say, say

BREAK = "↵"
LOOKS_BLANK = frozenset(
    chr(number)
    for numbers in (
        (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        range(0x180B, 0x1810),
        range(0xFE00, 0xFE10),
        range(0xE0100, 0xE01F0),
    )
    for number in numbers
)
"""Letters and marks that show nothing, or change the one before them; the console escapes the same."""


def is_plain(char: str) -> bool:
    """Return whether ``char`` is seen as what it is: no control, direction mark, or odd blank."""
    return char.isprintable() and char not in LOOKS_BLANK


def visible(text: str) -> str:
    """Return ``text`` in one line: a line break as ``↵``, what hides as ``\\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if is_plain(char) and char != BREAK else _mark(char) for char in text)


def _mark(char: str) -> str:
    return BREAK if char == "\n" else escaped(char)


def escaped(char: str) -> str:
    """Return a character as JSON and the console write it."""
    return "\\u21b5" if char == BREAK else json.dumps(char)[1:-1]


def json_line(data: Any) -> str:
    """Return ``data`` as JSON in one line, exact, and harmless to the terminal that it is printed on."""
    text = json.dumps(data, ensure_ascii=False, default=str)
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if is_plain(char) else escaped(char) for char in text)


def in_one_line(sentence: Any) -> Any:
    """Return a stored sentence whose places hold nothing but what is seen as it is."""
    match sentence:
        case str():
            return visible(sentence)
        case Mapping():
            return {key: in_one_line(value) for key, value in sentence.items()}
        case list() | tuple():
            return [in_one_line(value) for value in sentence]
    return sentence


def listed(items: Sequence[str | Say | Mapping[str, Any]], most: int = 20) -> str | Say | Mapping[str, Any]:
    """Return ``items`` as a value for a sentence's place, joined as the sentence's language does it."""
    if not items:
        return "-"
    shown = list(items[:most])
    if len(items) > most:
        shown.append(say("list.more", count=len(items) - most))
    return _paired(shown, "list.pair")


def sentences(items: Sequence[Say | Mapping[str, Any]]) -> str | Say | Mapping[str, Any]:
    """Return whole sentences as a value for a sentence's place, one behind the other."""
    return _paired(list(items), "list.sentences") if items else "-"


def _paired(items: list[str | Say | Mapping[str, Any]], key: str) -> str | Say | Mapping[str, Any]:
    joined = items.pop()
    while items:
        joined = say(key, first=items.pop(), rest=joined)
    return joined
