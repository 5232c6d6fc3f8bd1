"""Output that a cap cuts: no half of a secret is shown, neither stored nor live, and no half character."""

import asyncio
import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.redaction.redact import CUT, Redact, StreamRedact
from agent.shell.output import GAP, PIECE_BYTES, Kept, Output

PASSWORD = "S3cr3t-Häns&Grätel/42"
KEY = "\n".join(base64.b64encode(bytes(range(at, at + 52))).decode() for at in (0, 60, 120, 180))
PEM = f"-----BEGIN X-----\n{KEY}\n-----END X-----"
REDACT = Redact([PASSWORD.encode(), PEM.encode()])
SHOWN: dict[str, Callable[[], str]] = {
    "a password": lambda: PASSWORD,
    "a key": lambda: KEY,
    "a password in hexadecimal": lambda: PASSWORD.encode().hex(),
    "a password in base64": lambda: base64.b64encode(f"xx{PASSWORD}yy".encode()).decode(),
    "a coloured password": lambda: "\x1b[31;1m".join(PASSWORD),
    "a password over lines": lambda: "\n   ".join(PASSWORD),
}
CAP = 4096
FILLS = st.sampled_from([".", "ab \n", "世", "\x1b[0m.", "x" * 99 + "\n"])


def is_shown(secret: str, found: str) -> bool:
    """Return whether any six characters in a row of a secret stand in ``found``."""
    return any(secret[at : at + 6] in found for at in range(len(secret) - 5))


def filled(fill: str, size: int) -> bytes:
    """Return ``size`` bytes."""
    return (fill.encode() * size)[:size]


@pytest.mark.parametrize("kind", SHOWN)
@given(where=st.integers(-500, 500), edge=st.sampled_from(["head", "tail"]), fill=FILLS)
def test_nothing_of_a_secret_that_the_cap_cuts_is_stored(kind: str, where: int, edge: str, fill: str) -> None:
    secret = SHOWN[kind]()
    kept, most = Kept(CAP), CAP // 4 if edge == "head" else CAP * 3 // 4
    outer, inner = filled(fill, most + where), filled(fill, 3 * CAP)
    first, last = (outer, inner) if edge == "head" else (inner, outer)
    kept.add(first + secret.encode() + last)
    assert GAP.search(kept.text().encode())
    assert not is_shown(secret, REDACT(kept.text()))


@pytest.mark.parametrize("kind", SHOWN)
@given(where=st.integers(-500, 500), edge=st.sampled_from(["head", "tail"]), fill=FILLS)
async def test_nothing_of_a_secret_that_a_piece_cuts_is_shown_live(
    kind: str, where: int, edge: str, fill: str
) -> None:
    secret, shown = SHOWN[kind](), list[str]()
    stream = StreamRedact(REDACT)
    output = Output(CAP, lambda _, text: shown.append(stream.feed(text)))
    most = PIECE_BYTES // 4 if edge == "head" else PIECE_BYTES * 3 // 4
    outer, inner = filled(fill, most + where), filled(fill, 2 * PIECE_BYTES)
    first, last = (outer, inner) if edge == "head" else (inner, outer)
    output.add("stdout", first + secret.encode() + last)
    output.close()
    found = "".join([*shown, stream.end()])
    assert CUT in found
    assert not is_shown(secret, found)


async def test_secret_across_two_pieces_one_of_which_is_cut_is_hidden() -> None:
    for where in range(0, len(PASSWORD), 5):
        shown: list[str] = []
        stream = StreamRedact(REDACT)
        output = Output(CAP, lambda _, text, stream=stream, shown=shown: shown.append(stream.feed(text)))
        output.add("stdout", ("." * 40_000 + PASSWORD[:where]).encode())
        await asyncio.sleep(0.01)
        output.add("stdout", (PASSWORD[where:] + "." * 40_000).encode())
        output.close()
        assert len(shown) == 2
        assert not is_shown(PASSWORD, "".join([*shown, stream.end()]))


def test_what_follows_a_gap_looks_cut_even_if_its_line_ends_in_a_later_piece() -> None:
    stream = StreamRedact(REDACT, most=20_000)
    shown = stream.feed(f"{'.' * 300}\n[… 9 B …]\n{PASSWORD[3:]}{'.' * 300}")
    shown += stream.feed("more\n") + stream.end()
    assert shown.endswith("more\n")
    assert not is_shown(PASSWORD, shown)


def test_all_but_what_stands_next_to_the_gap_is_shown() -> None:
    kept = Kept(CAP)
    kept.add(("".join(f"{number}\n" for number in range(10_000))).encode())
    found = REDACT(kept.text())
    whole = kept.text()
    head, gap, tail = found.partition(f"{CUT}\n[{CUT} {kept.dropped} B {CUT}]\n{CUT}")
    assert gap
    assert whole.startswith(head)
    assert whole.endswith(tail)
    left_out = whole[len(head) : -len(tail)].split()
    assert sum(map(len, left_out)) < 2 * REDACT.reach + 50


def test_without_secrets_nothing_is_left_out_next_to_the_gap() -> None:
    kept = Kept(CAP)
    kept.add(b"x" * 10_000)
    assert Redact([])(kept.text()) == kept.text()


@given(st.text("aß世🎉", min_size=20, max_size=40), st.lists(st.integers(0, 40_000), max_size=5))
async def test_no_character_is_cut_in_two_in_live_pieces(unit: str, cuts: list[int]) -> None:
    data, shown = (unit * 1000).encode(), list[str]()
    output = Output(CAP, lambda _, piece: shown.append(piece))
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        output.add("stdout", data[start:end])
        await asyncio.sleep(0)
    output.close()
    assert "\ufffd" not in "".join(shown)
