"""The second parser: it agrees on what the lexer reads, and would have found faults in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.labelled import labelled

from agent.risk import classify
from agent.risk.crosscheck import agrees
from agent.risk.lexer import Part, Stuck, Word, parse

ROWS = [row for name in ("risk_corpus_dev", "risk_corpus_ops") for row in labelled(name)]


def read(text: str, *parts: str) -> bool:
    """Return whether the parser sees the words that ``parts`` have between their blanks."""
    return agrees(text, [Part(tuple(map(Word, part.split(" "))), part) for part in parts])


def test_it_asks_about_no_harmless_row_that_the_lexer_reads() -> None:
    harmless = [row.command for row in ROWS if row.high == 0]
    assert [text for text in harmless if parsers_differ(text)] == []


def parsers_differ(text: str) -> bool:
    return "risk.parsers_differ" in {why.key for why in classify(text).reasons}


@pytest.mark.parametrize(
    "text",
    [
        "LC_ALL=C sudo -n df -h 2>/dev/null | grep 'a b' \"c\\\"d$\" x'y'z",
        "ls \\( -n {} ! -b \\; a~1 b#c ^d x!=y = 2>&1",
        "wc -l < /var/log/syslog && [ -d /srv -a -f /etc/motd ] || true",
        "df\nls; cat 'é' > /dev/null;",
        'echo "x != y" "a\\.b" ""',
        "echo '中文' \"\U0001f600 -\U000323af\"",
    ],
)
def test_it_sees_the_same_words_as_the_lexer(text: str) -> None:
    parts = parse(text)
    assert not isinstance(parts, Stuck)
    assert agrees(text, parts)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("p $x", ["p $x"]),
        ("p `q`", ["p `q`"]),
        ("p $(q)", ["p $(q)"]),
        ('p "$x"', ["p $x"]),
        ('p "`q`"', ["p `q`"]),
        ("p <(q)", ["p <(q)"]),
        ("p & q", ["p & q"]),
        ("p&q", ["p&q"]),
        ("p;q", ["p;q"]),
        ("p (q)", ["p (q)"]),
        ("p >f", ["p"]),
        ("p 2>f", ["p"]),
        ("p < f", ["p"]),
        ("p # c", ["p # c"]),
        ("p a\\\nb", ["p a b"]),
        ("p\n\\\nq", ["p", "q"]),
        ("p | q", ["p"]),
        ("p 'a", ["p 'a"]),
        ("(p)", ["p"]),
        ("{ p; }", ["p"]),
        ("if p; then q; fi", ["p", "q"]),
        ("p <<E\nq\nE", ["p"]),
        ("p <<< q", ["p"]),
        ("p |& q", ["p", "q"]),
        ("! p", ["p"]),
        ("[[ -d x ]]", ["[[ -d x ]]"]),
        ("p() { q; }", ["p"]),
        ("p $'a'", ["p a"]),
        ("p $((1))", ["p 1"]),
    ],
)
def test_a_lexer_that_read_this_would_be_contradicted(text: str, wrong: list[str]) -> None:
    assert not read(text, *wrong)


@given(st.text(max_size=60))
def test_any_text_gets_an_answer(text: str) -> None:
    assert (
        agrees(text.encode(errors="ignore").decode(), [Part((Word("nothing that is there"),), "")]) is False
    )


def test_no_character_ends_the_process() -> None:
    letters = "".join(map(chr, range(0xE000, 0x110000, 509)))
    for form in ("4{%s", "{%s..3}", "a <<E\na$%s\nE"):
        assert not any(agrees(form % letter, ()) for letter in letters)
