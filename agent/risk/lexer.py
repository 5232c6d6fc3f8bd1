"""A small positive grammar of the shell: what it does not list is not understood, and is asked about.

A line is parts joined by ``|``, ``&&``, ``||``, ``;`` or a newline. A part is words, files read by ``<``,
and the free redirects to /dev/null. A word is bare characters, '…', and "…" in which the shell would
expand nothing, with backslashes where every shell reads them alike: before a sign outside quotes, before
a letter or the like in "…". Globs (``*``, ``?``, ``[0-9]``) may only stand in a word that begins with
``/``: a file named ``--output=x`` can then never become a flag. ``=``, ``!``, ``[`` and ``]`` may be
words of their own, and ``^`` may begin one, as in ``grep ^processor``.
"""

import re
import unicodedata
from dataclasses import dataclass

LONGEST = 4000
"""Characters; what is longer cannot be read by the person who approves it (SECURITY 2)."""

MOST_PARTS = 20

_SEPARATOR = re.compile(r"&&|\|\||[|;\n]")
_REDIRECT = re.compile(r"(?:(?:[12]?>|&>|<) *+/dev/null|2>&1|1?>&2)(?=[ \n;|&]|\Z)")
_PIECE = re.compile(
    r"""(?P<bare>[A-Za-z0-9_@%+=:,./-]+)|(?P<glob>[*?]|\[[A-Za-z0-9-]+\])|\\(?P<sign>[*?()\[\]!|])|'(?P<one>[^']*)'
    |"(?P<two>(?:[^"$`\\!]|\\[A-Za-z0-9_.,:;/<>()\[\]{}|?*+^=@%&~'-])*+)\"""",
    re.VERBOSE,
)
_LONE = re.compile(r"(?:[=!\[\]]|\^[A-Za-z0-9_]+)(?=[ \n;|&]|\Z)")
_INPUT = re.compile(r"< *+(?=[A-Za-z0-9_/'\"])")


@dataclass(frozen=True, slots=True)
class Word:
    """One argument as the program gets it; ``glob``: the shell may put several in its place."""

    text: str
    glob: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One simple command; ``text``: its place in the line, as typed; ``inputs``: files that ``<`` opens."""

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


def _part(text: str, at: int) -> tuple[Part, int] | Stuck:
    """Return the part that begins at ``at`` and where it ends: at a separator or the text's end."""
    words: list[Word] = []
    inputs: list[Word] = []
    start = at
    while True:
        while at < len(text) and text[at] == " ":
            at += 1
        if redirect := _REDIRECT.match(text, at):
            at = redirect.end()
            continue
        if at == len(text) or _SEPARATOR.match(text, at):
            return Part(tuple(words), text[start:at].strip(), tuple(inputs)), at
        source = _INPUT.match(text, at)
        found = _word(text, source.end() if source else at)
        if isinstance(found, Stuck):
            return found
        word, at = found
        (inputs if source else words).append(word)


def _word(text: str, at: int) -> tuple[Word, int] | Stuck:
    """Return the word that begins at ``at`` and where it ends."""
    if lone := _LONE.match(text, at):
        return Word(lone.group()), lone.end()
    start, pieces, glob = at, [], False
    while piece := _PIECE.match(text, at):
        glob = glob or piece.lastgroup == "glob"
        pieces.append(piece.group(piece.lastgroup or 0))
        at = piece.end()
    if "\n" in text[start:at]:
        return Stuck(
            near=text[start:at][:20]
        )  # a line feed within a word means too much to too many programs
    ended = at == len(text) or text[at] == " " or _SEPARATOR.match(text, at)
    # A leading "=" is a command's path in zsh; a glob outside an absolute path may turn into a flag.
    if at == start or not ended or text[start] == "=" or (glob and text[start] != "/"):
        return Stuck(near=text[at : at + 2] or text[start:at][:20])
    return Word("".join(pieces), glob), at
