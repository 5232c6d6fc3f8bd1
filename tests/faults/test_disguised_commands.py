"""Forbidden commands in disguise, and what no shell can parse: nothing of it is taken for harmless (F19)."""

import random
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from support.disguises import DISGUISES, disguised
from support.labelled import labelled
from support.shells import SHELLS, WATCHDOG_S, Stubs

from agent.risk import classify
from core.work import Risk

ROWS = [*labelled("risk_corpus_dev"), *labelled("risk_corpus_ops")]
FORBIDDEN = sorted({row.command for row in ROWS if row.low == Risk.L3})
UNASKED = sorted({row.command for row in ROWS if row.high == 0})

SIGNS = " \t\r\n;|&'\"\\$`!{}[]()<>*?~#=^-a0"
UNSEEN = "\u200b\u200d\u2060\ufeff\u202e\u2066\u00ad\u00a0\u2028\u3000\u0085\0\x1b\r"
ALIKE = {"a": "а", "c": "с", "e": "е", "o": "о", "p": "р", "x": "х", "-": "‐", "/": "∕", " ": "\u2003"}
"""Letters of other alphabets, and signs, that look like these."""

REAL = ("sh", "bash", "cat", "base64", "openssl", "env", "nohup", "nice", "timeout", "setsid")
long = (pytest.mark.long, pytest.mark.timeout(3_600))


@pytest.mark.parametrize("family", sorted(DISGUISES.keys() - {"sudo"}))
def test_a_disguise_runs_what_it_disguises(family: str, tmp_path: Path) -> None:
    """What sudo and ssh run is in their manuals; no shell knows of it."""
    stubs, dice = Stubs(tmp_path, REAL), random.Random(19)
    for name in ("p", "df"):
        stubs.add(name)
    for disguise in DISGUISES[family] * (20 if len(DISGUISES[family]) == 1 else 1):
        text = disguise("p -a 'b c' /d", dice)
        assert text is not None
        assert ("p", "-a", "b c", "/d") in stubs.called("bash", text, builtins=True), text


@pytest.mark.parametrize("count", [1_500, pytest.param(100_000, marks=long)])
def test_what_is_forbidden_is_refused_in_disguise_and_never_less_than_asked_about(count: int) -> None:
    seed = 19 if count < 10_000 else random.randrange(2**32)
    dice = random.Random(seed)
    levels: dict[str, Counter[Risk]] = {family: Counter() for family in DISGUISES}
    for _ in range(count):
        text, family = disguised(dice.choice(FORBIDDEN), dice)
        level = classify(text).level
        assert level >= Risk.L2, (seed, text)
        levels[family][level] += 1
    print(f"seed {seed}, {count} disguised, not refused:", {name: n[Risk.L2] for name, n in levels.items()})
    assert all(found[Risk.L3] >= 0.95 * found.total() for found in levels.values()), (seed, levels)


@pytest.mark.parametrize("count", [1_500, pytest.param(100_000, marks=long)])
def test_what_looks_like_something_forbidden_is_asked_about(count: int) -> None:
    seed = 19 if count < 10_000 else random.randrange(2**32)
    dice = random.Random(seed)
    for _ in range(count):
        text = dice.choice(FORBIDDEN)
        at = dice.randrange(len(text))
        sign = dice.choice(
            (dice.choice(UNSEEN) + text[at], ALIKE.get(text[at], chr(0xFF00 + ord(text[at]) - 32)))
        )
        looks = text[:at] + sign + text[at + 1 :]
        assert classify(looks).level >= Risk.L2, (seed, looks)


def damaged(text: str, dice: random.Random) -> str:
    """Return ``text`` with up to four signs put in, taken out, or put in the place of others."""
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(text) + 1)
        text = text[:at] + dice.choice(("", *SIGNS)) + text[at + dice.randint(0, 1) :]
    return text


@pytest.mark.parametrize("count", [4_000, pytest.param(200_000, marks=long)])
def test_what_bash_and_dash_cannot_parse_is_asked_about(count: int) -> None:
    seed = 19 if count < 10_000 else random.randrange(2**32)
    dice = random.Random(seed)
    damages = {damaged(dice.choice(UNASKED), dice) for _ in range(count)}
    unasked = [text for text in sorted(damages) if classify(text).level < Risk.L2]
    assert len(unasked) > count / 20
    for text in unasked[:: 1 if count > 10_000 else 20]:
        for shell in SHELLS.values():
            told = subprocess.run([*shell, "-n", "-c", text], capture_output=True, timeout=WATCHDOG_S)
            assert told.returncode == 0, (seed, text, told.stderr)
