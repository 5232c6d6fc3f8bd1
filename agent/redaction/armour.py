"""Private keys in their armour, which takes many lines, of which the ends may be cut off."""

import re
from collections.abc import Iterator

BEGIN = re.compile(
    rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    rb"|PuTTY-User-Key-File-[0-9]:|Private-Lines: [0-9]{1,4}"
)
END = re.compile(rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|Private-MAC: [0-9a-f]{40,64}")
SIGNS = (b"private key", b"putty-user-key-file", b"private-lines:", b"private-mac:")
LONGEST = 17_000
"""Bytes: an RSA key of 16,384 bits takes 12,800."""

_LINE = rb"[A-Za-z0-9+/=]{16,120}"
_GOES_ON = re.compile(
    rb"(?:(?:\r?\n|(?:\\r)?\\n|[ \t]){1,40}+"
    rb"(?:[A-Za-z0-9+/=]{16,120}+(?![\w:-])|[A-Za-z-]{2,20}: [^\r\n\\]{0,100}+)){1,400}+"
)
_LAST_LINE = re.compile(rb"\s*(?:[A-Za-z0-9+/=]{1,120}\s*)?")
_WIDE = re.compile(rb"[ \t]*[A-Za-z0-9+/]{60,80}[ \t\r]*")
"""A line of 64 characters, as in a PEM file, of 70 as ssh-keygen writes them, or of 76."""

_WENT_ON = re.compile(rb"[ \t]*" + _LINE + rb"[ \t\r]*")


def find(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where private keys stand, whole ones and those that lack an end."""
    begins = [*BEGIN.finditer(data)]
    nexts = [*(begin.start() for begin in begins), len(data)][1:]
    for begin, before in zip(begins, nexts, strict=True):
        end = END.search(data, begin.end(), min(before, begin.end() + LONGEST)) or _GOES_ON.match(
            data, begin.end(), before
        )
        yield begin.start(), (end or begin).end()
    for end in END.finditer(data):
        start = _went_on(data, end.start())
        if start < end.start():
            yield start, end.end()


def open_at(data: bytes) -> int | None:
    """Return where a key begins whose end may still come, None where there is none."""
    begins = [*BEGIN.finditer(data, max(0, len(data) - LONGEST))]
    if not begins:
        return None
    begin = begins[-1]
    if END.search(data, begin.end()) is not None:
        return None
    goes_on = _GOES_ON.match(data, begin.end())
    ends = goes_on.end() if goes_on else begin.end()
    return begin.start() if _LAST_LINE.fullmatch(data, ends) else None


def headless_at(data: bytes) -> int | None:
    """Return where whole lines begin that may be a key's whose first was not printed, None where none are.

    What has letters of one case only, as checksums have, is none.
    """
    last = data.rfind(b"\n", 0, len(data) - 1) + 1
    wide = len(data) if _WIDE.fullmatch(data, last, len(data) - 1) else last
    if not data.endswith(b"\n") or not _LAST_LINE.fullmatch(data, last):
        return None
    start = _went_on(data, wide, _WIDE)
    lines = data[start:wide]
    return start if lines and not lines.islower() and not lines.isupper() else None


def _went_on(data: bytes, at: int, lines: re.Pattern[bytes] = _WENT_ON) -> int:
    """Return where the lines of a key begin that end at ``at``."""
    start = at
    while start > at - LONGEST:
        line = data.rfind(b"\n", 0, start - 1) + 1
        if line >= start or lines.fullmatch(data, line, start - 1) is None:
            break
        start = line
    return start
