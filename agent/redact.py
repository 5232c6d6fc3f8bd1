"""Known secrets are taken out of whatever leaves: exactly, in base64, and URL-encoded (SECURITY S1)."""

import base64
import re
import time
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from agent.fleet import Fleet
from core.tenant import Tenant

HIDDEN = "‹redacted›"
SHORTEST = 6
ESCAPE = re.compile("%[0-9A-F]{2}")
KEPT_S = 60.0
"""How long a tenant's secrets stay in memory for this; SPEC 4 allows five minutes."""


def forms(secret: bytes) -> set[str]:
    """Return the texts in which ``secret`` could show up: itself, its lines, in base64, URL-encoded."""
    text = secret.decode("utf-8", "replace")
    lines = {line.strip() for line in text.splitlines()}
    plain = {line for line in lines if not line.startswith("-----")} | {text.strip()}
    found = set(plain)
    for each in plain:
        found |= _in_base64(each.encode()) | _in_urls(each)
    for raw in (secret, secret.strip()):
        found |= _in_base64(raw) | _wrapped(raw)
    return {each for each in found if len(each) >= SHORTEST}


def _in_base64(raw: bytes) -> set[str]:
    padded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return padded | {each.rstrip("=") for each in padded}


def _in_urls(text: str) -> set[str]:
    escaped = {quote(text, safe=""), quote_plus(text)}
    return escaped | {ESCAPE.sub(lambda found: found[0].lower(), each) for each in escaped}


def _wrapped(raw: bytes) -> set[str]:
    """Return the lines that ``base64`` and ``openssl base64`` break a long secret into."""
    whole = base64.b64encode(raw).decode()
    return {whole[at : at + width] for width in (64, 76) for at in range(0, len(whole), width)}


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
            redact = Redact(await self._fleet.secrets(tenant))
            self._kept[tenant.id] = (time.monotonic() + KEPT_S, state, redact)
        return redact


class Redact:
    """Replaces known secrets in text.

    Every form is found by its first characters, so that the time depends on the text alone: a pattern of
    all forms took 39 s for 1 MB with the keys of 50 servers, this takes 0.15 s.
    """

    def __init__(self, secrets: Iterable[bytes]) -> None:
        found = {form for secret in secrets for form in forms(secret)}
        self._by_start: dict[str, list[str]] = {}
        for form in sorted(found, key=len, reverse=True):
            self._by_start.setdefault(form[:SHORTEST], []).append(form)

    def __call__(self, text: str) -> str:
        """Return ``text`` without them."""
        shown: list[str] = []
        done = 0
        for start, end in self._spans(text):
            shown += [text[done:start], HIDDEN]
            done = end
        return "".join(shown) + text[done:] if shown else text

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Return where secrets stand, in order; those that overlap are one."""
        spans: list[tuple[int, int]] = []
        get = self._by_start.get
        for at in range(len(text) - SHORTEST + 1) if self._by_start else ():
            for form in get(text[at : at + SHORTEST], ()):
                if text.startswith(form, at):
                    end = at + len(form)
                    if spans and at < spans[-1][1]:
                        at, end = spans[-1][0], max(end, spans.pop()[1])
                    spans.append((at, end))
                    break
        return spans


class StreamRedact:
    """Redacts a stream: a secret that is cut by a chunk's border is still found.

    Text is held back up to the last line break, because a key's lines and passwords hold none; a line
    longer than ``most`` characters is let go but for an overlap.
    """

    def __init__(self, redact: Redact, most: int = 8192) -> None:
        self._redact = redact
        self._most = most
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take a piece in; return what can be shown by now."""
        self._held += piece
        cut = self._held.rfind("\n") + 1
        if cut == 0 and len(self._held) > self._most:
            self._held = self._redact(self._held)
            cut = len(self._held) - self._most // 2
        if cut == 0:
            return ""
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._redact(ready)

    def end(self) -> str:
        """Return what was held back."""
        ready, self._held = self._held, ""
        return self._redact(ready)
