"""Known secrets never leave: not as they are, not encoded, coloured or cut in two, and at no great cost."""

import base64
import gc
import random
import string
import weakref
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import asyncssh
import pytest
from fakes.shell import ScriptedShell
from hypothesis import assume, given
from hypothesis import strategies as st
from support.counting import calls, growth
from support.place import until
from support.store import Store, add_user

from agent.fleet.servers import Fleet
from agent.redaction.forms import SHORTEST
from agent.redaction.redact import HIDDEN, Redact, Span, StreamRedact
from agent.redaction.redactions import Redactions

PASSWORD = b"S3cr3t/with+odd=chars&\xc3\xa4"
KEY = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh")
LINES = [line for line in KEY.decode().splitlines() if not line.startswith("-----")]
REDACT = Redact([PASSWORD, KEY])
TEXT = PASSWORD.decode()

SHAPES = {
    "as it is": TEXT,
    "in an assignment": f"PASSWORD={TEXT};",
    "twice": f"{TEXT}{TEXT} {TEXT}",
    "base64": base64.b64encode(PASSWORD).decode(),
    "base64 without padding": base64.b64encode(PASSWORD).decode().rstrip("="),
    "base64 of a line": base64.b64encode(PASSWORD + b"\n").decode(),
    "url-safe base64": base64.urlsafe_b64encode(PASSWORD).decode(),
    "url-safe base64 without padding": base64.urlsafe_b64encode(PASSWORD).decode().rstrip("="),
    "in a URL": quote(TEXT, safe=""),
    "in a URL, lower case": "S3cr3t%2fwith%2bodd%3dchars%26%c3%a4",
    "in a form": quote_plus(TEXT),
    "hexadecimal": PASSWORD.hex(),
    "upper-case hexadecimal": PASSWORD.hex().upper(),
}


@pytest.mark.parametrize("shown", SHAPES.values(), ids=SHAPES)
def test_password_is_hidden_in_every_form(shown: str) -> None:
    found = REDACT(f"before {shown} after")
    assert shown not in found
    assert TEXT[:8] not in found
    assert found.startswith("before ")
    assert found.endswith(" after")
    assert HIDDEN in found


KEY_SHAPES = {
    "as it is": KEY.decode(),
    "with CRLF": KEY.decode().replace("\n", "\r\n"),
    "indented": KEY.decode().replace("\n", "\n    "),
    "one line of it": LINES[1],
    "escaped as JSON": KEY.decode().replace("\n", "\\n"),
    "base64 -w0": base64.b64encode(KEY).decode(),
    "base64": base64.encodebytes(KEY).decode(),
    "openssl base64": "\n".join(
        base64.b64encode(KEY).decode()[at : at + 64] for at in range(0, len(KEY) * 4 // 3 + 4, 64)
    ),
}


def longest_common(one: str, other: str) -> int:
    """Return how many characters of ``one`` in a row stand in ``other``."""
    best = 0
    for start in range(len(one)):
        while one[start : start + best + 1] in other and start + best < len(one):
            best += 1
    return best


@pytest.mark.parametrize("shown", KEY_SHAPES.values(), ids=KEY_SHAPES)
def test_private_key_is_hidden_in_every_form(shown: str) -> None:
    found = REDACT(f"$ cat id\n{shown}\n$ ")
    body = shown.replace("-----BEGIN OPENSSH PRIVATE KEY-----", "").replace(
        "-----END OPENSSH PRIVATE KEY-----", ""
    )
    assert longest_common(body.strip(), found) < 12
    assert found.startswith("$ cat id\n")


def test_text_without_secrets_stays_as_it_is() -> None:
    text = "nginx is running, pid 1234\n" * 100
    assert REDACT(text) == text
    assert Redact([])(text) == text
    assert REDACT("") == ""


@pytest.mark.parametrize("secret", [b"", b"a", b"\n\n", b"abcde", b"  abc  "])
def test_secret_too_short_to_be_told_from_other_words_hides_nothing(secret: bytes) -> None:
    text = "a abc abcde \n\n and so on"
    assert Redact([secret])(text) == text


def test_secrets_that_overlap_or_contain_each_other_leave_no_rest() -> None:
    redact = Redact([b"password123", b"password123456", b"123456789"])
    for shown in ("password123", "password123456", "password123456789", "password1password123"):
        rest = redact(f"<{shown}>").replace(HIDDEN, "")
        assert rest in ("<>", "<password1>")
    assert redact("password123456789") == HIDDEN


def wrapped(text: str, width: int, newline: str = "\n") -> str:
    """Return ``text`` in lines of ``width`` characters."""
    return newline.join(text[at : at + width] for at in range(0, len(text), width))


def hidden(shown: str, found: str) -> int:
    """Return how many characters that are not white space were taken out."""
    return len("".join(shown.split())) - len("".join(found.replace(HIDDEN, "").split()))


@given(
    st.binary(max_size=80),
    st.binary(max_size=80),
    st.binary(min_size=SHORTEST, max_size=40),
    st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
    st.sampled_from([wrapped, lambda text, _: text, lambda text, width: wrapped(text, width, "\r\n    ")]),
    st.sampled_from([64, 76]),
)
def test_secret_within_a_text_in_base64_is_hidden_at_every_alignment_and_across_lines(
    before: bytes,
    after: bytes,
    secret: bytes,
    encode: Callable[[bytes], bytes],
    layout: Callable[[str, int], str],
    width: int,
) -> None:
    assume(len(secret.decode("utf-8", "replace").strip()) >= SHORTEST)
    shown = layout(encode(before + secret + after).decode(), width)
    bits = 8 * len(secret)
    # Of the first and the last character some bits may be another's.
    assert hidden(shown, Redact([secret])(shown)) >= bits // 6 - 1


@pytest.mark.parametrize("width", [60, 64, 76])
def test_secret_within_a_text_in_hexadecimal_is_hidden_across_lines(width: int) -> None:
    for before in range(width):
        shown = wrapped((b"x" * before + PASSWORD + b"y" * 40).hex(), width)
        assert hidden(shown, REDACT(shown)) == 2 * len(PASSWORD)


def test_short_secret_hides_nothing_in_base64_of_something_else() -> None:
    text = base64.b64encode(random.Random(3).randbytes(300_000)).decode()
    assert Redact([b"secret", b"123456", b"abcde"])(text) == text


COLOURS = ["\x1b[0m", "\x1b[1;31m", "\x1b[K", "\x1b(B", "\x1b]0;title\x07", "\x1b]8;;u\x1b\\"]
UNSEEN = [*COLOURS, "\b", "\a", "\ufffd"]


@given(st.lists(st.tuples(st.integers(1, len(TEXT) - 1), st.sampled_from(UNSEEN)), max_size=8))
def test_secret_with_what_a_terminal_does_not_show_inside_is_hidden(noise: list[tuple[int, str]]) -> None:
    shown = TEXT
    for at, unseen in sorted(noise, reverse=True):
        shown = shown[:at] + unseen + shown[at:]
    assert REDACT(f"<{shown}>") == f"<{HIDDEN}>"


def test_overstruck_secret_is_hidden() -> None:
    bold = "".join(f"{letter}\b{letter}" for letter in TEXT)
    underlined = "".join(f"_\b{letter}" for letter in TEXT)
    corrected = f"{TEXT[:5]}x\b{TEXT[5:]}"
    for shown in (bold, underlined, corrected):
        assert longest_common(TEXT, REDACT(f"<{shown}>").replace("\b", "")) <= 1


@pytest.mark.parametrize("around", ["\x1b]0;{}\x07", "\x1b[{}m", "\x1b({}", "\x1b{}", "\x1b]{}"])
def test_secret_within_an_escape_is_hidden(around: str) -> None:
    for secret in ("123456789", "hunter2secret"):
        assert secret not in Redact([secret.encode()])(f"a{around.format(secret)}b")


ALPHABET = string.ascii_letters + string.digits + "/+=&%. äü密"
SECRETS = st.lists(
    st.text(ALPHABET, min_size=SHORTEST + 2, max_size=30).map(str.strip), min_size=1, max_size=5
)
NOISE = st.text(ALPHABET + "\n", max_size=40)


def usable(secrets: list[str]) -> bool:
    """Leave out what is too short, and what hides as part of our own mark."""
    return all(len(secret) >= SHORTEST and secret not in HIDDEN for secret in secrets)


@given(SECRETS, st.lists(NOISE, min_size=6, max_size=6))
def test_no_known_secret_is_left_in_any_text(secrets: list[str], noise: list[str]) -> None:
    assume(usable(secrets))
    text = noise[0] + "".join(secret + between for secret, between in zip(secrets, noise[1:], strict=False))
    found = Redact([secret.encode() for secret in secrets])(text)
    for secret in secrets:
        assert all(secret not in piece for piece in found.split(HIDDEN))


def chunks(text: str, cuts: list[int]) -> list[str]:
    """Return ``text`` cut at ``cuts``."""
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(places)]


def streamed(redact: Redact, pieces: list[str], most: int = 8192) -> str:
    """Return all that a stream lets through."""
    stream = StreamRedact(redact, most)
    return "".join(stream.feed(piece) for piece in pieces) + stream.end()


@given(SECRETS, st.lists(NOISE, min_size=6, max_size=6), st.lists(st.integers(0, 10_000), max_size=30))
def test_secret_cut_by_a_chunks_border_is_hidden_as_in_one_piece(
    secrets: list[str], noise: list[str], cuts: list[int]
) -> None:
    assume(usable(secrets))
    redact = Redact([secret.encode() for secret in secrets])
    text = noise[0] + "".join(secret + between for secret, between in zip(secrets, noise[1:], strict=False))
    found = streamed(redact, chunks(text, cuts))
    if "\n" in text:  # a secret may go on in a line of its own, which is found in one piece only
        assert all(secret not in piece for secret in secrets for piece in found.split(HIDDEN))
    else:
        assert found == redact(text)


@given(st.integers(0, 200), st.lists(st.integers(0, 10_000), max_size=30), st.sampled_from([64, 76]))
def test_secret_in_lines_of_base64_is_hidden_in_whatever_pieces_they_come(
    before: int, cuts: list[int], width: int
) -> None:
    encoded = base64.b64encode(b"x" * before + PASSWORD + b"y" * 200).decode()
    text = f"$ base64 file\n{wrapped(encoded, width)}\n$ "
    assert streamed(REDACT, chunks(text, cuts)) == REDACT(text)


@given(st.lists(st.sampled_from(["a", "aaaaaa", "bbbbbb", "\x1b[0m"]), max_size=60), st.integers(1, 9))
def test_secrets_that_run_into_one_another_are_one_in_a_stream_as_well(parts: list[str], size: int) -> None:
    redact, text = Redact([b"aaaaaaaa", b"aaaaaabbbbbb", b"aabbbb"]), "".join(parts)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert streamed(redact, pieces, most=0) == redact(text)


@given(st.integers(0, 400), st.lists(st.integers(0, 2000), max_size=40))
def test_secret_in_a_line_too_long_to_hold_back_is_hidden_wherever_it_is_cut(
    at: int, cuts: list[int]
) -> None:
    text = "x" * at + TEXT + "y" * (400 - at) + TEXT + "z" * 500
    found = streamed(REDACT, chunks(text, cuts), most=200)
    assert TEXT not in found
    assert TEXT[:10] not in found
    assert TEXT[-10:] not in found
    assert found.count("x") + found.count("y") + found.count("z") == 900


def test_key_fed_character_by_character_is_hidden() -> None:
    found = streamed(REDACT, list(f"$ cat id\n{KEY.decode()}$ "))
    assert not any(line in found for line in LINES)


def test_stream_shows_whole_lines_at_once_and_holds_back_the_rest() -> None:
    stream = StreamRedact(REDACT)
    assert stream.feed("one\ntwo\nthr") == "one\ntwo\n"
    assert stream.feed("ee") == ""
    assert stream.feed("\n") == "three\n"
    assert stream.end() == ""


@pytest.mark.parametrize(
    "guess", ["S3cr3t/wi", "S", "another", pytest.param(LINES[1][:30], id="half a line"), "äääää"]
)
def test_part_of_a_secret_is_treated_as_any_other_text(guess: str) -> None:
    """Else whoever can print would guess a secret piece by piece."""
    other = "".join("x" if letter.isascii() else letter for letter in guess)
    cut = f"{'.' * 300}{{}}\n[… 5 B …]\n{{}}{'.' * 300}"
    for shown in (cut.format(guess, ""), cut.format("", guess), guess):
        assert REDACT(shown).replace(guess, other) == REDACT(shown.replace(guess, other))
    for end in ("", "\n"):
        first, second = StreamRedact(REDACT), StreamRedact(REDACT)
        assert first.feed(guess + end) == second.feed(other + end).replace(other, guess)


def test_escapes_without_end_are_not_held_without_end() -> None:
    stream, shown = StreamRedact(REDACT), 0
    for _ in range(100):
        shown += len(stream.feed("\x1b[0m" * 1000))
    assert shown > 100_000


def many_keys(count: int) -> list[bytes]:
    """Return secrets of the size of private keys."""
    dice = random.Random(1)
    lines = [[base64.b64encode(dice.randbytes(52)) for _ in range(38)] for _ in range(count)]
    return [b"-----BEGIN X-----\n" + b"\n".join(each) + b"\n-----END X-----\n" for each in lines]


MANY = Redact([PASSWORD, KEY, *many_keys(60)])
NASTY = {
    "letters": "a",
    "backslashes": "\\",
    "start of a key": "b3BlbnNzaC1rZXktdjEAAAAA",
    "start of a password": TEXT[:-1],
    "base64": "".join(random.Random(2).choices(string.ascii_letters, k=997)),
}


@pytest.mark.parametrize("unit", NASTY.values(), ids=NASTY)
def test_work_grows_with_the_text_and_not_with_the_number_of_secrets(unit: str) -> None:
    short, long = (unit * 50_000)[:50_000], (unit * 200_000)[:200_000]
    few, many = calls(lambda: REDACT(short)), calls(lambda: MANY(short))
    assert many < 5 * few + 1_000
    assert calls(lambda: MANY(long)) < 5 * many + 1_000


HOSTILE = [
    *("key-", "password ", "sk-", "eyJaaaaaaaaaa.", "a://", "mysql ", "curl -u ", "$2", ":aa", "aws secret "),
    *(
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "-----END RSA PRIVATE KEY-----\n",
        "machine a login b ",
        "a\b",
        "\x1b]",
    ),
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_no_signs_of_secrets_make_the_time_grow_faster_than_the_text(unit: str) -> None:
    assert growth(REDACT, (unit * 40_000)[:40_000], (unit * 160_000)[:160_000]) < 10


class Counted(Redact):
    """Counts the bytes that it has searched."""

    searched = 0

    def spans(self, data: bytes) -> list[Span]:
        self.searched += len(data)
        return super().spans(data)


@pytest.mark.parametrize("size", [1000, 16_384])
@pytest.mark.parametrize("unit", NASTY.values(), ids=NASTY)
def test_stream_without_line_breaks_is_searched_but_few_times(unit: str, size: int) -> None:
    redact, text = Counted([PASSWORD, KEY]), (unit * 300_000)[:300_000]
    streamed(redact, [text[at : at + size] for at in range(0, len(text), size)])
    assert len(text) <= redact.searched < 10 * len(text)


async def test_tenants_secrets_are_hidden_and_no_others(store: Store) -> None:
    first, second = await store.first(), await store.second()
    hands = Fleet(ScriptedShell(), store.clock)
    for tenant, secret in ((first, b"first-secret"), (second, b"second-secret")):
        admin = await add_user(tenant, store.clock, "root")
        await hands.credentials.add(tenant, admin, "c", "ssh_password", secret)
    redactions = Redactions(hands.credentials)
    text = "first-secret second-secret"
    assert (await redactions.of(first))(text) == f"{HIDDEN} second-secret"
    assert (await redactions.of(second))(text) == f"first-secret {HIDDEN}"


async def test_new_secret_is_hidden_at_once_and_a_destroyed_one_no_longer(store: Store) -> None:
    tenant, hands = await store.first(), Fleet(ScriptedShell(), store.clock)
    admin, redactions = await add_user(tenant, store.clock, "root"), Redactions(hands.credentials)
    assert (await redactions.of(tenant))("new-secret") == "new-secret"
    await hands.credentials.add(tenant, admin, "c", "token", b"new-secret")
    assert (await redactions.of(tenant))("new-secret") == HIDDEN
    store.clock.forward(minutes=1)
    await hands.credentials.revoke(tenant, admin, "c")
    assert (await redactions.of(tenant))("new-secret") == "new-secret"


async def test_secrets_are_let_go_of_when_nobody_asks_for_them_any_more(store: Store) -> None:
    tenant, hands = await store.first(), Fleet(ScriptedShell(), store.clock)
    redactions = Redactions(hands.credentials, kept_s=0.01)
    made = weakref.ref(await redactions.of(tenant))

    async def is_gone() -> bool:
        gc.collect()
        return made() is None

    await until(is_gone)
