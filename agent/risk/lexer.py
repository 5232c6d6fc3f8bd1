"""A small positive grammar of the shell: what it does not list is not understood, and is asked about.

A line is parts joined by ``|``, ``&&``, ``||``, ``;`` or a newline, and perhaps a comment at the end of all.
A part is words, the free redirects to /dev/null, and files that it reads from. A word is bare characters,
escaped signs, '…', "…" in which the shell would expand nothing, and a template's {{.Field}}; a ``!`` only
before what no shell's history takes it for. A glob may only stand in a word that begins with ``/``: a file
named ``--output=x`` can then never become a flag. What is read here is what bash and dash call
(tests/agent/test_risk_shells.py).
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 4000
"""Characters; what is longer cannot be read by the person who approves it (SECURITY 2)."""

MOST_PARTS = 20

_SEPARATOR = re.compile(r"&&|\|\||[|;\n]")
# To dash "&>" ends the command, and what follows would be another, so only separators may follow.
_REDIRECT = re.compile(
    r"(?:(?:[12]?>|<) *+/dev/null|2>&1|1?>&2)(?=[ \n;|&]|\Z)|&> *+/dev/null(?= *+(?:[\n;|]|&&|\Z))"
)
_COMMENT = re.compile(r"#[^\n]*\Z")
_INPUT = re.compile(r"0?< *+(?=[^ <>&()|;\n])")
_PIECE = re.compile(
    r"""(?P<bare>[A-Za-z0-9_@%+=:,./^-]+)|(?P<glob>[*?]|\[[A-Za-z0-9-]+\])|\\(?P<escaped>[!-/:-@\[-`{-~])
    |'(?P<one>[^']*)'|"(?P<two>(?:[^"$`\\!]|\\[^!\n]|[$](?=[ "|)/.,])|!(?=[ =]))*+)"
    |(?P<template>\{\{(?:\.[A-Za-z][A-Za-z0-9_]*)+\}\})
    |(?P<within>(?<=[A-Za-z0-9_.^@/-])(?:[~\#]|!(?==)))|(?P<dollar>\$(?=[ \n|;]|\Z))""",
    re.VERBOSE,
)
_WHOLE = re.compile(r"(?:\{\}|\[|\]|={1,2})(?=[ \n;|]|\Z)|!(?= )")
"""Words in themselves; a ``!`` that begins a part is the shell's own."""

_ESCAPED = re.compile(r'\\(["$`\\])')
_CLIMBS = re.compile(r"/\.[^/]*[*?\[]")
"""A glob that dash, and bash before 5.2, let stand for ".." as well."""

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_ADDRESS = re.compile(r"https?://|localhost[:/]|127\.0\.0\.1[:/]")
"""Begins a word whose ``?`` is a glob only where such a folder lies, and no flag even there."""


@dataclass(frozen=True, slots=True)
class Word:
    """One argument as the program gets it.

    glob: the shell may put several in its place; quoted: it assigns nothing, its beginning being quoted.
    """

    text: str
    glob: bool = False
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One simple command; ``text``: its place in the line, as typed; ``inputs``: files it is fed with."""

    words: tuple[Word, ...]
    text: str
    inputs: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Stuck:
    """The line is outside the grammar; ``near``: the characters where it stops being understood."""

    near: str


def unreadable(text: str) -> str | None:
    """Return the first character that a person cannot see or tell from another, or None."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return None
    return next((char for char in text if not _visible(char)), None)


def _visible(char: str) -> bool:
    """Return whether ``char`` is a newline, a plain space, or prints something."""
    if char in "\n ":
        return True
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs")


def parse(text: str) -> tuple[Part, ...] | Stuck:
    """Return the parts of ``text``, or where it leaves the grammar."""
    parts: list[Part] = []
    at, joined = 0, "\n"
    while True:
        found = _part(text, at)
        if isinstance(found, Stuck):
            return found
        part, end = found
        separator = _SEPARATOR.match(text, end)
        if _is_job(part.words):
            return Stuck(near=part.text[:20])
        if part.words:
            parts.append(part)
        elif joined != "\n" and not (joined == ";" and separator is None):
            return Stuck(near=text[end : end + 2] or joined)
        if separator is None:
            break
        at, joined = separator.end(), separator.group()
        if not part.words and joined != "\n":
            return Stuck(near=joined)
    return tuple(parts) or Stuck(near="")


def _is_job(words: Sequence[Word]) -> bool:
    """Return whether bash takes the program's name, quoted or not, for a job's, which it would go on with."""
    names = (word.text for word in words if word.quoted or not _ASSIGNMENT.match(word.text))
    return next(names, "").startswith("%")


def _part(text: str, at: int) -> tuple[Part, int] | Stuck:
    """Return the part that begins at ``at`` and where it ends: at a separator or the text's end."""
    words: list[Word] = []
    inputs: list[Word] = []
    start = at
    while True:
        while at < len(text) and text[at] == " ":
            at += 1
        if _COMMENT.match(text, at):
            return Part(tuple(words), text[start:at].strip(), tuple(inputs)), len(text)
        if redirect := _REDIRECT.match(text, at):
            at = redirect.end()
            continue
        if at == len(text) or _SEPARATOR.match(text, at):
            return Part(tuple(words), text[start:at].strip(), tuple(inputs)), at
        into = words
        if fed := _INPUT.match(text, at):
            at, into = fed.end(), inputs
        found = _word(text, at, first=not words)
        if isinstance(found, Stuck):
            return found
        word, at = found
        into.append(word)


def _word(text: str, at: int, *, first: bool) -> tuple[Word, int] | Stuck:
    """Return the word that begins at ``at`` and where it ends; ``first``: of its part."""
    if (whole := _WHOLE.match(text, at)) and not (first and whole.group() == "!"):
        return Word(whole.group()), whole.end()
    start, pieces = at, list[tuple[str, str]]()
    while piece := _PIECE.match(text, at):
        kind = piece.lastgroup or ""
        pieces.append((kind, piece.group(kind)))
        at = piece.end()
    if "\n" in text[start:at]:
        return Stuck(
            near=text[start:at][:20]
        )  # a line feed within a word means too much to too many programs
    ended = at == len(text) or text[at] == " " or _SEPARATOR.match(text, at)
    signs = "".join(found for kind, found in pieces if kind == "glob")
    asks = not signs.strip("?") and _ADDRESS.match(text, start) is not None
    # A leading "=" is a command's path in zsh; a glob outside an absolute path may turn into a flag.
    if at == start or not ended or text[start] == "=" or (signs and text[start] != "/" and not asks):
        return Stuck(near=text[at : at + 2] or text[start:at][:20])
    value = "".join(_ESCAPED.sub(r"\1", found) if kind == "two" else found for kind, found in pieces)
    if signs and not asks and _CLIMBS.search(value):
        return Stuck(near=text[start:at][:20])
    quoted = pieces[0][0] != "bare" or "=" not in pieces[0][1]
    return Word(value, bool(signs) and not asks, quoted), at
