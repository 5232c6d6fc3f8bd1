"""Secrets are taken out of whatever leaves (SECURITY S1, S2): known ones, and what looks like one.

A known secret is found in all its ``forms`` and wherever it stands, with what a terminal does not show
(colours, control characters) and with line breaks inside it. Next to a gap of the output cap, which may have
cut one in two, text is left out. What nobody has stored is ``recognised`` by its form or its name.

Nothing here depends on a part of a known secret: whoever prints what they like could else guess it piece by
piece, by what is hidden or how long it is held back.
"""

import re
from collections.abc import Iterable, Iterator

from agent.redaction import armour
from agent.redaction.forms import forms, lines
from agent.redaction.patterns import Patterns
from agent.redaction.recognised import BEHIND, find
from agent.redaction.views import COLOURS, View, character_at, views
from agent.shell.output import GAP

HIDDEN = "‹redacted›"
CUT = "…"
"""Stands for what is left out next to a gap."""

WRAPPED = re.compile(rb"[\w+/=-]{48}\r?\n\Z", re.ASCII)
"""The end of a line that looks broken off, as those of base64: the next one may go on with its word."""

Span = tuple[int, int, str]
"""From, to, and what is shown instead."""


class Redact:
    """Replaces secrets in text.

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
        """Return ``text`` without known secrets, and without what looks like one."""
        data = encoded(text)
        return _without(text, data, self.spans(data))

    def known(self, text: str) -> str:
        """Return ``text`` without known secrets."""
        data = encoded(text)
        return _without(text, data, _merged(self._known(data)))

    def spans(self, data: bytes) -> list[Span]:
        """Return what is not shown, in order; spans that overlap are one."""
        return _merged([*self._known(data), *_recognised(data)])

    def _known(self, data: bytes) -> list[Span]:
        if not self.longest:
            return []
        gaps = [*GAP.finditer(data)]
        begins = [0, *(gap.end() for gap in gaps)]
        ends = [*(gap.start() for gap in gaps), len(data)]
        found: list[Span] = []
        for begin, end in zip(begins, ends, strict=True):
            for view in views(data[begin:end]):
                spans = self._within(view, cut_before=begin > 0, cut_after=end < len(data))
                found += ((begin + start, begin + stop, mark) for start, stop, mark in spans)
        return found

    def _within(self, view: View, cut_before: bool, cut_after: bool) -> Iterator[Span]:
        """Yield what is not shown of the text between two gaps."""
        size = len(view.data)
        for start, stop in self._forms.find(view.data):
            yield (*view.span(start, stop), HIDDEN)
        if cut_before and size:
            yield (*view.span(0, character_at(view.data, min(self.reach, size))), CUT)
        if cut_after and size:
            yield (*view.span(character_at(view.data, max(0, size - self.reach)), size), CUT)

    def last(self, data: bytes) -> int:
        """Return where the last ``longest`` bytes begin that are seen."""
        return min(view.last(max(self.longest, BEHIND)) for view in views(data))


def _recognised(data: bytes) -> Iterator[Span]:
    """Yield what looks like a secret that nobody has stored, whatever colours it has."""
    view = View(data, COLOURS)
    for each in find(view.data):
        yield (*view.span(each.start, each.end), HIDDEN)


def _without(text: str, data: bytes, spans: Iterable[Span]) -> str:
    shown: list[str] = []
    done = 0
    for start, end, mark in spans:
        shown += [decoded(data[done:start]), mark]
        done = end
    return "".join([*shown, decoded(data[done:])]) if done else text


def encoded(text: str) -> bytes:
    """Return ``text`` as bytes, whatever it holds."""
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    """Return what ``encoded`` took."""
    return data.decode("utf-8", "surrogatepass")


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

    Text is held back up to the last line break; lines that may be a private key's, until one is none. Of a
    line that looks broken off, and of one longer than ``most`` bytes, so much is held as a secret may take.
    A gap has to come in one piece with what stands around it.
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
        key = armour.open_at(data[:known])
        key = armour.headless_at(data[:known]) if key is None else key
        if len(data) - known > self._most:
            known = self._redact.last(data)
        elif WRAPPED.search(data, max(0, known - 50), known):
            known = min(known, self._redact.last(data))
        known = known if key is None else min(known, key)
        # Escapes and keys without end are not held without end.
        known = max(known, character_at(data, len(data) - 4 * self._most))
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
