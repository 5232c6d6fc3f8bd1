"""Known secrets are taken out of whatever leaves (SECURITY S1, S2): see ``forms`` for what is found.

A secret is found wherever it stands, with what a terminal does not show (colours, control characters) and
with line breaks inside it. Next to a gap of the output cap, which may have cut one in two, text is left out.

Nothing here depends on a part of a secret: whoever can print what they like could else guess it piece by
piece, by what is hidden or how long it is held back.
"""

import asyncio
import base64
import re
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from agent.fleet import Fleet
from agent.output import GAP
from core.tenant import Tenant

HIDDEN = "‹redacted›"
SHORTEST = 6
"""Characters. What is shorter cannot be told from other words."""

CUT = "…"
"""Stands for what is left out next to a gap."""

ESCAPE = re.compile("%[0-9A-F]{2}")
URL_SAFE = bytes.maketrans(b"+/", b"-_")
KEPT_S = 60.0
"""How long a tenant's secrets stay in memory for this; SPEC 4 allows five minutes."""

# One class of first bytes, and what follows each: eight times as fast as a choice of whole patterns.
_UNSEEN_ONE = rb"""[\x00-\x08\n-\x1f\x7f\xef](?:
    (?<=\x1b)(?:
        \[ [0-?]*+ [\ -/]*+ (?:[@-~]|\Z)                  # colours, cursor (CSI)
      | [\]P^_X] [^\x07\x1b\n]{0,256}+ (?:\x07|\x1b\\|\Z) # titles, links (OSC, DCS)
      | [\ -/]*+ (?:[0-~]|\Z)                             # other escapes
    )
  | (?<=[\r\n]) [\ \t]*+                                  # a line break and what indents the next line
  | (?<=\xef) \xbf\xbd                                    # U+FFFD, which stands for NUL in what is kept
  | (?<!\xef)                                             # other control characters
)"""
UNSEEN = re.compile(_UNSEEN_ONE + rb"(?:" + _UNSEEN_ONE + rb")*+", re.VERBOSE)
OVERSTRUCK = re.compile(rb"[^\x08\n\x80-\xbf][\x80-\xbf]*\x08|" + UNSEEN.pattern, re.VERBOSE)
"""A character that a backspace takes away is unseen, too: ``man`` prints bold letters twice."""

NOTHING = re.compile(rb"(?!)")
WRAPPED = re.compile(rb"[\w+/=-]{48}\r?\n\Z", re.ASCII)
"""The end of a line that looks broken off, as those of base64: the next one may go on with its word."""

Span = tuple[int, int, str]
"""From, to, and what is shown instead."""


def forms(secret: bytes) -> set[bytes]:
    """Return the byte strings by which ``secret`` is found, none if it is too short.

    As it is; URL-encoded; in hexadecimal, upper and lower case; in base64, both alphabets, with and without
    padding, and also within a longer text that was encoded: at each of the three alignments the characters
    that depend on the secret alone, at least seven. Line breaks and control characters are taken out, as
    they are of the text that is searched.
    """
    text = secret.decode("utf-8", "replace").strip()
    if len(text) < SHORTEST:
        return set()
    in_hex = secret.hex().encode()
    found = {text.encode(), in_hex, in_hex.upper()} | _in_urls(secret) | _in_base64(secret)
    clean = {UNSEEN.sub(b"", form) for form in found}
    return {form for form in clean if len(form) >= SHORTEST}


def lines(secret: bytes) -> set[bytes]:
    """Return the lines of ``secret`` that are secrets by themselves: not a PEM's frame."""
    stripped = {line.strip() for line in secret.splitlines()}
    return {line for line in stripped if not line.startswith(b"-----")}


def _in_base64(raw: bytes) -> set[bytes]:
    whole = base64.b64encode(raw)
    found = {whole, whole.rstrip(b"=")}
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw)
        # Six bits a character: the first and the last may share theirs with what stands around.
        found.add(encoded[-(-8 * before // 6) : 8 * (before + len(raw)) // 6])
    return found | {each.translate(URL_SAFE) for each in found}


def _in_urls(secret: bytes) -> set[bytes]:
    escaped = {quote(secret, safe=""), quote_plus(secret)}
    escaped |= {ESCAPE.sub(lambda found: found[0].lower(), each) for each in escaped}
    return {each.encode() for each in escaped}


class Redactions:
    """Makes a tenant's redactor, from the secrets in its vault."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._kept: dict[str, tuple[float, tuple[object, ...], Redact]] = {}

    async def of(self, tenant: Tenant) -> "Redact":
        """Return the tenant's redactor."""
        state = await self._fleet.secrets_state(tenant)
        until, known, redact = self._kept.get(tenant.id, (0.0, (), Redact([])))
        if until < time.monotonic() or known != state:
            secrets = await self._fleet.secrets(tenant)
            redact = await asyncio.to_thread(Redact, secrets)
            self._kept[tenant.id] = (time.monotonic() + KEPT_S, state, redact)
        return redact


class Patterns:
    """Finds any of many byte strings in time that depends on the text alone.

    Every fourth place of the text is looked at, or every second if a pattern is shorter than seven bytes:
    wherever a pattern stands, one such place holds four bytes of its beginning. What they point at is
    looked up among the sorted patterns by bisection. None may be shorter than five bytes.
    """

    def __init__(self, patterns: Iterable[bytes]) -> None:
        self._sorted = sorted(set(patterns))
        self._step = 4 if min(map(len, self._sorted), default=7) >= 7 else 2
        self._grams = {_gram(each[at : at + 4]) for each in self._sorted for at in range(self._step)}
        self._shorter = _prefixes(self._sorted)
        self.longest = max(map(len, self._sorted), default=0)

    def find(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where patterns stand; of those with one start the longest."""
        for at in self._starts(data):
            text = data[at : at + self.longest]
            index = bisect_right(self._sorted, text)
            pattern = self._sorted[index - 1] if index else b""
            # A pattern that the text begins with is the last one not after it, or begins that one.
            while not text.startswith(pattern):
                pattern = self._shorter.get(pattern, b"")
            if pattern:
                yield at, at + len(pattern)

    def _starts(self, data: bytes) -> list[int]:
        """Return where patterns may start, in order."""
        hits: list[int] = []
        grams = self._grams
        for shift in range(0, 4, self._step) if grams else ():
            words = memoryview(data)[shift:]
            words = words[: len(words) & ~3].cast("I")
            hits += [shift + 4 * index for index, gram in enumerate(words) if gram in grams]
        return sorted({at for hit in hits for at in range(max(0, hit - self._step + 1), hit + 1)})


def _gram(four: bytes) -> int:
    """Return four bytes as the number that a memoryview of this machine makes of them."""
    number: int = memoryview(four).cast("I")[0]
    return number


def _prefixes(ordered: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return for each of sorted byte strings the longest other one that it begins with, if any."""
    found: dict[bytes, bytes] = {}
    open_ones: list[bytes] = []
    for each in ordered:
        while open_ones and not each.startswith(open_ones[-1]):
            open_ones.pop()
        if open_ones:
            found[each] = open_ones[-1]
        open_ones.append(each)
    return found


class View:
    """A text without what is not seen of it, and where each of its bytes stands.

    unseen: what is left out.
    """

    def __init__(self, text: bytes, unseen: re.Pattern[bytes]) -> None:
        parts: list[bytes] = []
        self._ats, self._places = [0], [0]
        length = done = 0
        for found in unseen.finditer(text):
            parts.append(text[done : found.start()])
            length += found.start() - done
            done = found.end()
            self._ats.append(length)
            self._places.append(done)
        self.data = b"".join([*parts, text[done:]])

    def place(self, at: int) -> int:
        """Return where the byte at ``at`` stands in the text."""
        index = bisect_right(self._ats, at) - 1
        return self._places[index] + at - self._ats[index]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the bytes from ``start`` to ``end`` stand in the text."""
        return self.place(start), self.place(end - 1) + 1

    def last(self, count: int) -> int:
        """Return where in the text the last ``count`` bytes begin."""
        return self.place(_whole(self.data, max(0, len(self.data) - count)))


def views(text: bytes) -> Iterator[View]:
    """Yield the ways to read a text."""
    yield View(text, UNSEEN)
    if b"\x1b" in text:
        yield View(text, NOTHING)  # escapes carry text, too
    if b"\b" in text:
        yield View(text, OVERSTRUCK)


class Redact:
    """Replaces known secrets in text.

    longest: bytes of the longest form of a secret; reach: bytes left out on either side of a gap, so many
    as a secret takes, or a line of one that has several.
    """

    def __init__(self, secrets: Iterable[bytes]) -> None:
        wholes = {each for secret in secrets for each in (secret, secret.strip())}
        of_lines = {form for whole in wholes for line in lines(whole) for form in forms(line)}
        self._forms = Patterns(of_lines | {form for whole in wholes for form in forms(whole)})
        self.longest = self._forms.longest
        # Rounded up, because everybody sees it, and by more than a character that is cut in two.
        self.reach = 1 << (max(map(len, of_lines), default=self.longest) + 3).bit_length()

    def __call__(self, text: str) -> str:
        """Return ``text`` without them."""
        if not self.longest:
            return text
        data, shown, done = encoded(text), [], 0
        for start, end, mark in self.spans(data):
            shown += [decoded(data[done:start]), mark]
            done = end
        return "".join([*shown, decoded(data[done:])]) if done else text

    def spans(self, data: bytes) -> list[Span]:
        """Return what is not shown, in order; spans that overlap are one."""
        gaps = [*GAP.finditer(data)] if self.longest else []
        begins = [0, *(gap.end() for gap in gaps)]
        ends = [*(gap.start() for gap in gaps), len(data)]
        found: list[Span] = []
        for begin, end in zip(begins, ends, strict=True):
            for view in views(data[begin:end]):
                spans = self._within(view, cut_before=begin > 0, cut_after=end < len(data))
                found += ((begin + start, begin + stop, mark) for start, stop, mark in spans)
        return _merged(found)

    def _within(self, view: View, cut_before: bool, cut_after: bool) -> Iterator[Span]:
        """Yield what is not shown of the text between two gaps."""
        size = len(view.data)
        for start, stop in self._forms.find(view.data):
            yield (*view.span(start, stop), HIDDEN)
        if cut_before and size:
            yield (*view.span(0, _whole(view.data, min(self.reach, size))), CUT)
        if cut_after and size:
            yield (*view.span(_whole(view.data, max(0, size - self.reach)), size), CUT)

    def last(self, data: bytes) -> int:
        """Return where the last ``longest`` bytes begin that are seen."""
        return min(view.last(self.longest) for view in views(data))


def encoded(text: str) -> bytes:
    """Return ``text`` as bytes, whatever it holds."""
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    """Return what ``encoded`` took."""
    return data.decode("utf-8", "surrogatepass")


def _whole(data: bytes, at: int) -> int:
    """Return where the character begins that the byte at ``at`` belongs to."""
    while 0 < at < len(data) and data[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return ``spans`` in order, with those that overlap as one."""
    merged: list[Span] = []
    for start, end, mark in sorted(spans):
        if merged and start < merged[-1][1]:
            first, last, before = merged.pop()
            merged.append((first, max(end, last), mark if mark == before else HIDDEN))
        else:
            merged.append((start, end, mark))
    return merged


class StreamRedact:
    """Redacts a stream: a secret that is cut by a chunk's border is still found.

    Text is held back up to the last line break. Of a line that looks broken off, and of one longer than
    ``most`` bytes, so much is held as a secret may take. A gap has to come in one piece with what stands
    around it.
    """

    def __init__(self, redact: Redact, most: int = 8192) -> None:
        self._redact = redact
        self._most = max(most, 2 * redact.longest)
        self._held = b""
        self._done = 0  # so much of what is held has been hidden

    def feed(self, piece: str) -> str:
        """Take a piece in; return what can be shown by now."""
        self._held += encoded(piece)
        return self._show(self._known())

    def end(self) -> str:
        """Return what was held back."""
        return self._show(len(self._held))

    def _known(self) -> int:
        """Return up to where no secret begins that may still go on."""
        data = self._held
        known = data.rfind(b"\n") + 1
        if len(data) - known > self._most:
            known = self._redact.last(data)
        elif WRAPPED.search(data, max(0, known - 50), known):
            known = min(known, self._redact.last(data))
        # Escapes without end are not held without end.
        known = max(known, _whole(data, len(data) - 4 * self._most))
        for gap in GAP.finditer(data):
            if gap.start() < known <= gap.end():
                return gap.start()  # or what comes after it would not look cut
        return known

    def _show(self, known: int) -> str:
        """Return what is new before ``known``, and hold the rest."""
        shown: list[str] = []
        data, at = self._held, self._done
        for start, end, mark in self._redact.spans(data) if known else ():
            if start >= known:
                break
            if end > at:
                # One that goes on from what was hidden has its mark.
                shown += [decoded(data[at:start]), mark] if start >= at else []
                at = end
        if at < known:
            shown.append(decoded(data[at:known]))
            at = known
        self._held, self._done = data[known:], at - known
        return "".join(shown)
