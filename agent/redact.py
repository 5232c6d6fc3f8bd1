"""Known secrets are taken out of whatever leaves: exactly, in base64, and URL-encoded (SECURITY S1)."""

import base64
import re
import time
from urllib.parse import quote

from agent.fleet import Fleet
from core.tenant import Tenant

HIDDEN = "‹redacted›"
SHORTEST = 6
KEPT_S = 60.0
"""How long a tenant's secrets stay in memory for this; SPEC 4 allows five minutes."""


def forms(secret: bytes) -> set[str]:
    """Return the texts in which ``secret`` could show up: itself, its lines, in base64, URL-encoded."""
    text = secret.decode("utf-8", "replace")
    plain = {line.strip() for line in text.splitlines()} | {text.strip()}
    plain = {each for each in plain if len(each) >= SHORTEST and not each.startswith("-----")}
    found = set(plain)
    for each in plain:
        raw = each.encode()
        found |= {
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode(),
            quote(each, safe=""),
        }
        found.add(base64.b64encode(raw).decode().rstrip("="))
    return found


class Redactions:
    """Makes a tenant's redactor, from the secrets in its vault."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._kept: dict[str, tuple[float, tuple[object, ...], re.Pattern[str] | None]] = {}

    async def of(self, tenant: Tenant) -> "Redact":
        """Return the tenant's redactor."""
        state = await self._fleet.secrets_state(tenant)
        until, known, pattern = self._kept.get(tenant.id, (0.0, (), None))
        if until < time.monotonic() or known != state:
            found: set[str] = set()
            for secret in await self._fleet.secrets(tenant):
                found |= forms(secret)
            longest_first = sorted(found, key=len, reverse=True)
            pattern = re.compile("|".join(map(re.escape, longest_first))) if found else None
            self._kept[tenant.id] = (time.monotonic() + KEPT_S, state, pattern)
        return Redact(pattern)


class Redact:
    """Replaces known secrets in text."""

    def __init__(self, pattern: re.Pattern[str] | None) -> None:
        self._pattern = pattern

    def __call__(self, text: str) -> str:
        """Return ``text`` without them."""
        return self._pattern.sub(HIDDEN, text) if self._pattern and text else text


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
