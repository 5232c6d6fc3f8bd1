"""Making out a change: the new text, what is shown of it, and what speaks against it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from agent.redaction.redact import HIDDEN
from core.errors import Refused

MAX_BYTES = 262_144
"""Of a file that is changed by a tool: what people approve has to be read by them."""

MOST_COMPARED = 1_000
"""Lines that are compared with one another, on either side; more count as replaced as a whole."""

CONTEXT = 3
NO_NEWLINE = "\\ No newline at end of file"
NOTHING = "/dev/null"
_LINE = re.compile(r"[^\n]*\n|[^\n]+")

Opcode = tuple[str, int, int, int, int]


def text_of(content: bytes, path: str) -> str:
    """Return a file's text; raises Refused for what is none."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("edit.no_text", path=path) from None
    if "\0" in text:
        raise Refused("edit.no_text", path=path)
    return text


def checked(text: str, path: str) -> str:
    """Return a text that is to be written; raises Refused for one that cannot be what is meant."""
    if HIDDEN in text:
        raise Refused("edit.has_mark", mark=HIDDEN)
    if "\0" in text or "\ufffd" in text:  # as which a NUL is stored on its way
        raise Refused("edit.no_text", path=path)
    if len(text.encode()) > MAX_BYTES:
        raise Refused("edit.text_too_large", path=path, limit=MAX_BYTES)
    return text


def patched(text: str, old: str, new: str, path: str) -> str:
    """Return ``text`` with ``new`` for ``old``; raises Refused unless ``old`` occurs exactly once."""
    first = text.find(old)
    if first < 0:
        raise Refused("edit.not_found", path=path)
    if text.find(old, first + 1) >= 0:
        raise Refused("edit.found_twice", path=path)
    return text[:first] + new + text[first + len(old) :]


def diff_of(old: str | None, new: str | None, path: str) -> str:
    """Return the change as a unified diff, whole, without a line break at its end."""
    before, after = _LINE.findall(old or ""), _LINE.findall(new or "")
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    first = max(0, head - CONTEXT)
    rest = max(0, tail - CONTEXT)
    a, b = before[first : len(before) - rest], after[first : len(after) - rest]
    shown = [f"--- {path if old is not None else NOTHING}", f"+++ {path if new is not None else NOTHING}"]
    for group in _groups(a, b, head - first, tail - rest):
        shown += _hunk(group, a, b, first)
    return "\n".join(shown)


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Return how many lines are the same at the beginning."""
    at = 0
    while at < min(len(a), len(b)) and a[at] == b[at]:
        at += 1
    return at


def _groups(a: Sequence[str], b: Sequence[str], head: int, tail: int) -> Iterable[Sequence[Opcode]]:
    """Return what differs, in groups with lines around. head, tail: lines that are the same at the ends."""
    if max(len(a), len(b)) <= MOST_COMPARED:
        return SequenceMatcher(None, a, b).get_grouped_opcodes(CONTEXT)
    ends = (len(a) - tail, len(b) - tail)
    whole = ("replace", head, ends[0], head, ends[1])
    return [[("equal", 0, head, 0, head), whole, ("equal", ends[0], len(a), ends[1], len(b))]]


def _hunk(group: Sequence[Opcode], a: Sequence[str], b: Sequence[str], offset: int) -> Iterator[str]:
    """Yield a hunk's lines. offset: lines before those of ``a`` and ``b``."""
    spans = (_span(group[0][1], group[-1][2], offset), _span(group[0][3], group[-1][4], offset))
    yield f"@@ -{spans[0]} +{spans[1]} @@"
    for tag, i1, i2, j1, j2 in group:
        if tag == "equal":
            yield from _marked(" ", a[i1:i2])
        else:
            yield from _marked("-", a[i1:i2])
            yield from _marked("+", b[j1:j2])


def _span(start: int, end: int, offset: int) -> str:
    length = end - start
    return f"{start + offset + (1 if length else 0)},{length}"


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield mark + line.removesuffix("\n")
        if not line.endswith("\n"):
            yield NO_NEWLINE
