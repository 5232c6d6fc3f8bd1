"""``redaction``: what it takes to find secrets in 64 kB of output, beside one plain pass of a pattern."""

import asyncio
import base64
import random
import re
import time
from collections.abc import Callable

from agent.redaction.redact import HIDDEN, Redact
from benchmarks.measure import Figure, compared, table

SIZE = 65_536
PLAIN = re.compile(
    rb"(?i)(?:password|passwd|secret|token|api[_-]?key)\s{0,3}[=:]\s{0,3}[^\s'\"]{6,300}"
    rb"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----|\b(?:AKIA|ghp_|glpat-|xox[abp]-|sk-|eyJ)[\w.-]{16,300}"
)
"""What anybody would write first: one pattern for the best-known kinds, and no stored secrets."""


def texts() -> dict[str, str]:
    """Return 64 kB of what servers print, and of what was made to take long, by what it is."""
    dice = random.Random(7)
    access = (
        '10.0.0.{} - - [21/Nov/2026:12:30:{:02}] "GET /items/{} HTTP/1.1" 200 {} "-" "Mozilla/5.0 (X11)"\n'
    )
    environment = "APP_TOKEN_{0}=$VAR{0} PASSWORD_FILE=/run/secrets/a api_key: <yours> secret: changeme\n"
    units = {
        "hostile: token after token": "eyJaaaaaaaaaa.",
        "hostile: names of passwords": "password ",
        "hostile: beginnings of keys": "-----BEGIN RSA PRIVATE KEY-----\n",
        "hostile: commands with passwords": "curl -u ",
        "hostile: signs of hashes": "$2",
        "hostile: backspaces": "a\b",
    }
    made = {
        "access log": "".join(access.format(n % 250, n % 60, n, n * 7 % 9999) for n in range(1_000)),
        "base64": base64.encodebytes(dice.randbytes(SIZE)).decode(),
        "environment files": "".join(environment.format(n) for n in range(1_000)),
        **{name: unit * (SIZE // len(unit) + 1) for name, unit in units.items()},
    }
    return {name: text[:SIZE] for name, text in made.items()}


def redactor() -> Redact:
    """Return a redactor for a vault with a password and 20 private keys."""
    dice = random.Random(1)
    keys = [b"\n".join(base64.b64encode(dice.randbytes(52)) for _ in range(38)) for _ in range(20)]
    return Redact([b"S3cr3t/with+odd=chars", *keys])


def spent(act: Callable[[], object]) -> float:
    """Return the CPU milliseconds of one run."""
    before = time.process_time()
    act()
    return 1000 * (time.process_time() - before)


async def run(quick: bool) -> str:
    """Redact each text in turns with the plain pass; return a table."""
    redact, found = redactor(), list[Figure]()
    redact("")
    for name, text in texts().items():
        ours, plain = list[float](), list[float]()
        for _ in range(5 if quick else 15):
            ours.append(spent(lambda text=text: redact(text)))
            plain.append(spent(lambda text=text: PLAIN.sub(HIDDEN.encode(), text.encode()).decode()))
            await asyncio.sleep(0)
        found.append(compared(name, ours, plain, unit="ms"))
    return table("Secrets in 64 kB of output", [], found)
