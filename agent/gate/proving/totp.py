"""Codes of authenticator apps (TOTP, RFC 6238): how they are typed, made, compared and enrolled."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module

import pyotp

DIGITS = 6
STEP_S = 30
SKEW = 1
"""So many steps a clock may be off, either way (RFC 6238, section 5.2: at most one)."""

_TYPED = re.compile(r"[/／、]totp(?:@\w+)?(?:[\s:：]+(?P<rest>.*))?", re.IGNORECASE | re.DOTALL)
_ALONE = re.compile(r"\d{3} ?\d{3}", re.ASCII)
_CODE = re.compile(rf"\d{{{DIGITS}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app takes, shown once.

    secret: in base32; qr: the rows of the URI's QR code, 1 is dark.
    """

    secret: str
    uri: str
    qr: tuple[str, ...]


def typed_code(text: str) -> str | None:
    """Return what stands behind ``/totp``, "" for nothing, or None where that is not what is typed."""
    found = _TYPED.fullmatch(text.strip())
    return None if found is None else "".join((found["rest"] or "").split())


def may_be_code(text: str) -> bool:
    """Return whether ``text`` is six digits and nothing else: a code, where one was asked for."""
    return _ALONE.fullmatch(text.strip()) is not None


def is_code(text: str) -> bool:
    """Return whether ``text`` has a code's form."""
    return _CODE.fullmatch(text) is not None


def new_secret() -> str:
    """Return 160 random bits in base32."""
    return pyotp.random_base32()


def enrolment(secret: str, name: str, issuer: str) -> Enrolment:
    """Return what an app takes for ``secret``. It draws for some milliseconds."""
    uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)
    # Only who enrols pays for what draws: a start is not slowed by it.
    matrix: Sequence[bytes] = import_module("segno").make(uri, error="m", micro=False).matrix
    return Enrolment(secret, uri, tuple("".join(map(str, row)) for row in matrix))


def step_of(secret: str, code: str, at: datetime) -> int | None:
    """Return the step whose code this is, None if none: every one is compared, each in constant time."""
    now = int(at.timestamp()) // STEP_S
    made, found = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_S), None
    for step in range(now - SKEW, now + SKEW + 1):
        if hmac.compare_digest(made.generate_otp(step), code):
            found = step
    return found
