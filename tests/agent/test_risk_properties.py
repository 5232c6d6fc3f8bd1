"""What holds for every command: parts, quotes and blanks never lower a level, and no attack slips by."""

import shlex
import tomllib
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.labelled import DATA, labelled

from agent.risk import classify
from agent.risk.lexer import Part, Stuck, parse
from agent.risk.loose import read
from core.work import Risk

ROWS = [*labelled("risk_corpus_dev"), *labelled("risk_corpus_ops")]
HARMLESS = [row.command for row in ROWS if not row.high]
FORBIDDEN = [row.command for row in ROWS if row.low == Risk.L3 and classify(row.command).level == Risk.L3]
CASES = tomllib.loads((DATA / "risk_cases.toml").read_text("utf-8"))
ATTACKS = [("", attack) for attack in CASES["appended"]] + [(attack, "") for attack in CASES["prepended"]]
EVERY = 20
"""Of this many harmless rows each attack tries one, always the same; all are tried in the long run."""

# What stands behind a comment is none of the line's parts; that it is looked at is another test's matter.
rows = st.sampled_from([row.command for row in ROWS if " #" not in row.command])
joints = st.sampled_from([" ; ", " && ", " || ", " | ", "\n", " & ", " |& "])


def understood(command: str) -> tuple[Part, ...]:
    """Return the command's parts; leaves the example out where it has none."""
    parts = parse(command.strip(" \t\n"))
    assume(not isinstance(parts, Stuck))
    assert not isinstance(parts, Stuck)
    return parts


@given(rows, rows, joints)
def test_adding_a_part_before_or_behind_never_lowers_the_level(first: str, second: str, joint: str) -> None:
    understood(first)
    assert classify(first + joint + second).level >= classify(first).level
    understood(second)
    assert classify(second + joint + first).level >= classify(first).level


@given(rows, st.data())
def test_quoting_an_argument_never_lowers_the_level(command: str, data: st.DataObject) -> None:
    parts = understood(command)
    part = data.draw(st.sampled_from(parts))
    # A glob in quotes is another argument, not the same in quotes.
    assume(not any(word.glob for word in part.words) and not part.inputs)
    for mark in ("'{}'", '"{}"'):
        words = [word.text for word in part.words]
        at = data.draw(st.integers(0, len(words) - 1))
        assume("'" not in words[at] and not set(words[at]) & set('"$`\\!'))
        quoted = [shlex.quote(word) if word != "" else "''" for word in words]
        quoted[at] = mark.format(words[at])
        assert classify(" ".join(quoted)).level >= classify(part.text).level, quoted


@given(rows, st.text(" \n", max_size=3), st.text(" \n", max_size=3), st.integers(1, 4))
def test_blanks_around_and_between_words_do_not_matter(
    command: str, before: str, after: str, wide: int
) -> None:
    assert classify(before + command + after) == classify(command)
    words = understood(command)[0].words
    assume(not any(word.glob for word in words))
    line = [shlex.quote(word.text) for word in words]
    assert classify((" " * wide).join(line)).level == classify(" ".join(line)).level


@given(rows)
def test_both_readers_see_the_same_words(command: str) -> None:
    strict = [[word.text for word in part.words] for part in understood(command)]
    assert [loose.words for loose in read(command) if loose.words] == strict


def attacked(commands: Sequence[str], before: str, after: str) -> list[str]:
    """Return the commands with an attack around each; what echo or printf is given last, it prints."""
    kept = [command for command in commands if not (after.startswith(" --") and prints(command))]
    return [before + command + after for command in kept]


def prints(command: str) -> bool:
    """Return whether what is put behind a command is only printed."""
    parts = parse(command)
    return not isinstance(parts, Stuck) and parts[-1].words[0].text in ("echo", "printf")


@pytest.mark.parametrize("number", range(len(ATTACKS)), ids=[ascii("…".join(pair)) for pair in ATTACKS])
def test_no_attack_around_a_harmless_row_runs_unasked(number: int) -> None:
    before, after = ATTACKS[number]
    tried = attacked(HARMLESS[number % EVERY :: EVERY], before, after)
    assert [command for command in tried if classify(command).level < Risk.L1] == []


@pytest.mark.long
@pytest.mark.parametrize(("before", "after"), ATTACKS, ids=ascii)
def test_no_attack_around_any_harmless_row_runs_unasked(before: str, after: str) -> None:
    tried = attacked(HARMLESS, before, after)
    assert [command for command in tried if classify(command).level < Risk.L1] == []


@given(st.sampled_from(HARMLESS), st.sampled_from(FORBIDDEN), st.sampled_from([" ; ", "\n", " && ", " || "]))
def test_what_is_forbidden_is_refused_wherever_it_stands_in_a_line(
    harmless: str, forbidden: str, joint: str
) -> None:
    understood(harmless)
    assert classify(harmless + joint + forbidden).level == Risk.L3
    assert classify(forbidden + joint + harmless).level == Risk.L3


@pytest.mark.parametrize(
    "group", ["gtfo-readonly", "gtfo-env", "path-program", "obf-quote", "obf-expand", "wrap-subst"]
)
def test_no_escape_of_the_labelled_ones_runs_unasked(group: str) -> None:
    escapes = [row.command for row in ROWS if row.group == group and row.low]
    assert escapes
    assert [command for command in escapes if classify(command).level == Risk.L0] == []
