"""Identity as an argument: opaque, time-ordered ids, and the short codes that people type."""

import secrets
import time
from collections.abc import Callable

Ids = Callable[[], str]
"""Returns a new id that nobody can guess."""

CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ"
PAIRING_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def new_id() -> str:
    """Return 32 hex digits: 48 bits of milliseconds since the epoch, then 80 random bits."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def new_token() -> str:
    """Return a bearer token of 256 random bits, safe in a URL."""
    return secrets.token_urlsafe(32)


def key_token() -> tuple[str, str]:
    """Return (prefix, token) of an API key: the prefix is no secret, and names the key where it is found."""
    prefix = f"it0_{secrets.token_hex(4)}"
    return prefix, f"{prefix}_{secrets.token_urlsafe(32)}"


def approval_code() -> str:
    """Return a code such as ``A7-493``: short enough to type, no proof of identity."""
    return f"{secrets.choice(CODE_ALPHABET)}{secrets.randbelow(9) + 1}-{secrets.randbelow(900) + 100}"


def pairing_code() -> str:
    """Return 10 characters (50 bits) in two groups, without look-alikes."""
    letters = "".join(secrets.choice(PAIRING_ALPHABET) for _ in range(10))
    return f"{letters[:5]}-{letters[5:]}"
