"""Reads a jq filter for what it can print of an object that another program hands it.

A value is followed as the fields that it may hold (``fields``). What is not understood is not harmless.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.risk.fields import LONGEST, Path, harmless, leads
from agent.risk.rules import listed

_TOKEN = re.compile(
    r"""[ \t\n]+|(?P<field>\.[A-Za-z_]\w*)|(?P<text>"(?:[^"\\]|\\[^(])*")|(?P<mixed>"(?:[^"\\]|\\.)*")
    |(?P<number>\d+(?:\.\d+)?)|(?P<format>@(?:tsv|csv|json|text|html|uri|sh)\b)|(?P<name>[A-Za-z]\w*)
    |(?P<sign>\?//|//|[=!<>]=|[][(){}.,|:;?<>+*/%-])""",
    re.VERBOSE,
)
_INSERTED = re.compile(r"\\\(((?:[^()\"\\]|\([^()\"\\]*\))*)\)")
_SAME = listed("languages", "jq_same")
_CONVERTS = listed("languages", "jq_converts")
_PLAIN = listed("languages", "jq_plain")
_BY = listed("languages", "jq_by")
_TEXTS = listed("languages", "jq_texts")
_CONDITIONS = listed("languages", "jq_conditions")
_BINARY = frozenset(("//", ",", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "and", "or"))
_COMPUTES = frozenset("+-*/%")
_DEEPEST = 30


class _Beyond(Exception):
    """The filter is not understood, or shows what is not harmless."""


@dataclass(frozen=True, slots=True)
class _Value:
    """What may be there; ``made``: an object that the filter puts together, whose fields are not followed."""

    paths: frozenset[Path] = frozenset()
    made: bool = False

    def __or__(self, other: "_Value") -> "_Value":
        return _Value(self.paths | other.paths, self.made or other.made)


_NOTHING = _Value()


def jq_is_harmless(text: str, fields: frozenset[str]) -> bool:
    """Return whether a jq filter prints only ``fields`` of what it is given."""
    try:
        if len(text) > LONGEST:
            return False
        reader = _Reader(fields, list(_tokens(text)))
        reader.show(reader.pipe(_Value(frozenset({()}))))
        return not reader.tokens
    except _Beyond:
        return False


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = depth = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise _Beyond
        depth += token.group() in ("(", "[", "{") or token["name"] == "if"
        if depth > _DEEPEST:
            raise _Beyond
        if token.lastgroup:
            yield token.lastgroup, token.group()
        at = token.end()


@dataclass(slots=True)
class _Reader:
    """A filter as it is read."""

    fields: frozenset[str]
    tokens: list[tuple[str, str]] = field(default_factory=list)

    def peek(self) -> str:
        return self.tokens[0][1] if self.tokens else ""

    def take(self, *expected: str) -> tuple[str, str]:
        if not self.tokens or (expected and self.tokens[0][1] not in expected):
            raise _Beyond
        return self.tokens.pop(0)

    def at(self, value: _Value, name: str) -> _Value:
        """Return the field ``name``: one on the way to a harmless field, for errors show values too."""
        if value.made:
            raise _Beyond
        paths = frozenset((*path, name) for path in value.paths)
        if not all(leads(self.fields, path) for path in paths):
            raise _Beyond
        return _Value(paths)

    def show(self, value: _Value) -> _Value:
        """Return that nothing is left to print, once ``value`` was."""
        if not all(harmless(self.fields, path) for path in value.paths):
            raise _Beyond
        return _NOTHING

    def pipe(self, given: _Value) -> _Value:
        """Read filters joined by ``|``."""
        value = self.joined(given)
        while self.peek() == "|":
            self.take()
            value = self.joined(value)
        return value

    def joined(self, given: _Value) -> _Value:
        """Read terms joined by operators: which one binds first does not matter to what may be there."""
        value = self.signed(given)
        while self.peek() in _BINARY and self.tokens[0][0] in ("sign", "name"):
            sign = self.take()[1]
            following = self.signed(given)
            if sign in _COMPUTES:
                self.show(value | following)
            value |= following
        return value

    def signed(self, given: _Value) -> _Value:
        minus = self.peek() == "-" and self.take()
        value = self.path(self.term(given))
        if minus:
            self.show(value)
        return value

    def path(self, value: _Value) -> _Value:
        """Read what picks a part of ``value``."""
        while True:
            kind, text = self.tokens[0] if self.tokens else ("", "")
            if kind == "field":
                value = self.at(value, text[1:])
                self.take()
            elif kind == "sign" and text == "." and self.tokens[1:2] and self.tokens[1][0] == "text":
                self.take()
                value = self.at(value, _plain(self.take()[1]))
            elif kind == "sign" and text == "[":
                value = self.place(value)
            elif kind == "sign" and text == "?":
                self.take()
            else:
                return value

    def place(self, value: _Value) -> _Value:
        """Read a place, a range or a name in brackets."""
        self.take("[")
        if self.tokens and self.tokens[0][0] == "text":
            value = self.at(value, _plain(self.take()[1]))
        else:
            while self.tokens and (self.tokens[0][0] == "number" or self.peek() in ("-", ":")):
                self.take()
        self.take("]")
        return value

    def term(self, given: _Value) -> _Value:
        """Read one value."""
        kind, text = self.take()
        if kind in ("number", "text"):
            return _NOTHING
        if kind == "mixed":
            return self.mixed(text, given)
        if kind == "format":
            if self.tokens and self.tokens[0][0] in ("text", "mixed"):
                return self.term(given)
            return given
        if kind == "field":
            return self.at(given, text[1:])
        if kind == "name":
            return self.call(text, given)
        return self.enclosed(text, given)

    def enclosed(self, sign: str, given: _Value) -> _Value:
        """Read ``.``, and what stands in brackets of some kind."""
        if sign == ".":
            if self.tokens and self.tokens[0][0] == "text":
                return self.at(given, _plain(self.take()[1]))
            return given
        if sign == "(":
            value = self.pipe(given)
            self.take(")")
            return value
        if sign == "[":
            value = _NOTHING if self.peek() == "]" else self.pipe(given)
            self.take("]")
            return value
        if sign != "{":
            raise _Beyond
        value = _NOTHING
        while self.peek() != "}":
            value |= self.member(given)
            if self.peek() != "}":
                self.take(",")
        self.take("}")
        return _Value(value.paths, made=True)

    def member(self, given: _Value) -> _Value:
        """Read a name with its value, or the name of a field that keeps it."""
        kind, name = self.take()
        if kind not in ("name", "text"):
            raise _Beyond
        if self.peek() != ":":
            return self.at(given, _plain(name) if kind == "text" else name)
        self.take(":")
        value = self.signed(given)
        while self.peek() in _BINARY - {","}:
            self.take()
            value = self.show(value | self.signed(given))
        return value

    def mixed(self, text: str, given: _Value) -> _Value:
        """Read a string with filters in it."""
        if "\\(" in _INSERTED.sub("", text):
            raise _Beyond
        value = _NOTHING
        for inner in _INSERTED.findall(text):
            reader = _Reader(self.fields, list(_tokens(inner)))
            value |= reader.pipe(given)
            if reader.tokens:
                raise _Beyond
        return value

    def call(self, name: str, given: _Value) -> _Value:
        """Read a function with its arguments."""
        if name == "if":
            return self.branches(given)
        if self.peek() != "(":
            if name in _CONVERTS:
                self.show(given)
            elif name not in _SAME | _PLAIN:
                raise _Beyond
            return _NOTHING if name in _PLAIN else given
        self.take("(")
        first = self.pipe(given)
        while self.peek() == ";":
            self.take()
            first |= self.pipe(given)
        self.take(")")
        if name in ("map", "map_values", "first", "last", "limit"):
            return first
        self.show(first)
        if name in _TEXTS or name in _CONDITIONS:
            self.show(given)
        elif name not in _BY:
            raise _Beyond
        return _NOTHING if name in _CONDITIONS else given

    def branches(self, given: _Value) -> _Value:
        """Read if, then, elif, else; without else, what was given may be passed on."""
        value = _NOTHING
        while True:
            self.show(self.pipe(given))
            self.take("then")
            value |= self.pipe(given)
            following = self.take("elif", "else", "end")[1]
            if following == "elif":
                continue
            value |= given if following == "end" else self.pipe(given)
            if following == "else":
                self.take("end")
            return value


def _plain(text: str) -> str:
    """Return the name that a string without escapes is."""
    if "\\" in text:
        raise _Beyond
    return text[1:-1]
