"""Recognises secrets that nobody has stored: by their form, or by the name that they are given (SECURITY S1).

What is looked for stands in ``kinds.toml``, ``named`` and ``armour``. A sign is looked for first, as it is
found a hundred times as fast; the patterns then read what stands around it. Time grows with the length only.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from agent.redaction import armour, named

BEFORE, BEHIND = 400, 1_200
"""Bytes that are read around a sign, within its line."""

MANY = 300
"""Signs in one text."""

NAMED, ARMOUR = "named", "armour"
"""What is no table of ``kinds.toml``."""

_REST = re.compile(rb"[\w+/=.~-]*")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of secret, as ``kinds.toml`` tells it."""

    of: str
    signs: Sequence[bytes]
    patterns: Sequence[re.Pattern[bytes]]
    given: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A secret in a text, from byte ``start`` to ``end``."""

    of: str
    start: int
    end: int


@cache
def kinds() -> Mapping[str, Kind]:
    """Return all kinds that are known by their form."""
    tables = tomllib.loads((Path(__file__).parent / "kinds.toml").read_text("utf-8"))
    return {name: _kind(table) for name, table in tables.items()}


def _kind(table: Mapping[str, Any]) -> Kind:
    texts = [each.replace("WORD", named.WORD).replace("BLANK", named.BLANK) for each in table["find"]]
    patterns = [re.compile(text.encode()) for text in texts]
    signs = [sign.lower().encode() for sign in table["signs"]]
    return Kind(table["of"], signs, patterns, table.get("given", False))


def find(data: bytes) -> list[Found]:
    """Return the secrets that ``data`` seems to hold, none for ordinary text; they may overlap."""
    found: list[Found] = []
    low = data.lower()
    for name, places in _signs().places(low).items():
        if name == ARMOUR:
            found += [Found("private_key", *span) for span in armour.find(data)]
            continue
        for start, end in around(data, places):
            if name == NAMED:
                found += [Found("password", *span) for span in named.find(data, low, start, end)]
            else:
                found += _of_kind(kinds()[name], data, start, end)
    return found


class Signs:
    """Finds signs in one pass. signs: by the name of what they are a sign of, in lower case."""

    def __init__(self, signs: Mapping[str, Sequence[bytes]]) -> None:
        self._by_first: dict[int, list[tuple[bytes, str]]] = {}
        for name, its in signs.items():
            for sign in its:
                self._by_first.setdefault(sign[0], []).append((sign, name))
        # By their first bytes: a choice of whole signs takes five times as long.
        self._any = re.compile(
            b"|".join(
                re.escape(bytes([first])) + b"(?:" + b"|".join(re.escape(sign[1:]) for sign, _ in its) + b")"
                for first, its in self._by_first.items()
            )
        )
        self._signs = signs

    def places(self, low: bytes) -> dict[str, Sequence[int] | None]:
        """Return where signs stand in a text in lower case, in order, by what they are a sign of.

        None stands for everywhere: where there are very many, which each is takes longer than to read it all.
        """
        found: dict[str, list[int]] = {}
        at = seen = 0
        while match := self._any.search(low, at):
            at = match.start()
            for sign, name in self._by_first[low[at]]:
                if low.startswith(sign, at):
                    found.setdefault(name, []).append(at)
            at += 1
            seen += 1
            if seen > MANY:
                return {
                    name: None for name, signs in self._signs.items() if any(each in low for each in signs)
                }
        return dict(found)


@cache
def _signs() -> Signs:
    of_kinds = {name: kind.signs for name, kind in kinds().items()}
    return Signs({**of_kinds, NAMED: named.SIGNS, ARMOUR: armour.SIGNS})


def _of_kind(kind: Kind, data: bytes, start: int, end: int) -> Iterator[Found]:
    for pattern in kind.patterns:
        group = "value" if "value" in pattern.groupindex else 0
        done = 0
        for match in pattern.finditer(data, start, end):
            if kind.given:
                if not named.stands_for(match[group]):
                    yield Found(kind.of, *match.span(group))
            elif match.end(group) > done and (rest := _REST.match(data, match.end(group))):
                done = rest.end()  # also what is longer than any known
                yield Found(kind.of, match.start(group), done)


def around(data: bytes, places: Sequence[int] | None) -> list[tuple[int, int]]:
    """Return what stands around signs, in order; what is close together is one."""
    if places is None:
        return [(0, len(data))]
    spans: list[tuple[int, int]] = []
    for at in places:
        if spans and at < spans[-1][1] - BEHIND // 2:
            continue  # it is read already, and enough of what is behind it
        start = max(data.rfind(b"\n", max(0, at - BEFORE), at) + 1, at - BEFORE)
        line_end = data.find(b"\n", at, at + BEHIND)
        end = line_end if line_end >= 0 else min(len(data), at + BEHIND)
        if spans and start <= spans[-1][1] + BEFORE:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans
