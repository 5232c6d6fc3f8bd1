"""The forms in which a secret is found."""

import base64
import re
from urllib.parse import quote, quote_plus

from agent.redaction.views import UNSEEN

SHORTEST = 6
"""Characters. What is shorter cannot be told from other words."""

ESCAPE = re.compile("%[0-9A-F]{2}")
URL_SAFE = bytes.maketrans(b"+/", b"-_")


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
