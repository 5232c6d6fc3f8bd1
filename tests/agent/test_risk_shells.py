"""What the lexer reads is what the shells call: bash and dash are run with stubs in place of all programs."""

import os
import re
import shutil
import subprocess
from collections import Counter
from glob import glob
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.labelled import labelled

from agent.risk.lexer import Stuck, parse

SHELLS = {
    name: [path, *flags]
    for name, flags in (("bash", ["--noprofile", "--norc"]), ("dash", []))
    if (path := shutil.which(name))
}
HARMLESS = [
    row.command for name in ("risk_corpus_dev", "risk_corpus_ops") for row in labelled(name) if not row.high
]
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
IN_THE_SHELL = set(
    subprocess.run(["bash", "-c", "compgen -bk"], capture_output=True, text=True, check=True).stdout.split()
) | {"chdir"}
"""Builtins and reserved words: no stub sees them."""

STUB = """#!/bin/sh
printf '%s\\0' "${{0##*/}}" "$@" '' >> {calls}
exit "$STATUS"
"""


class Folder:
    """An empty folder to run in, and one with the stubs."""

    def __init__(self, folder: Path) -> None:
        self.calls, self.stubs, self.empty = folder / "calls", folder / "stubs", folder / "empty"
        self.stubs.mkdir()
        self.empty.mkdir()
        self.stub = folder / "stub"
        self.stub.write_text(STUB.format(calls=self.calls))
        self.stub.chmod(0o755)

    def called(self, shell: list[str], line: str, status: int) -> Counter[tuple[str, ...]]:
        """Return how often each argv was called when every program ends with ``status``."""
        self.calls.write_bytes(b"")
        environment = {
            "PATH": str(self.stubs),
            "STATUS": str(status),
            "HOME": "/nowhere",
            "LC_ALL": "C.UTF-8",
        }
        subprocess.run(
            [*shell, "-c", line],
            cwd=self.empty,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
        )
        calls = self.calls.read_bytes().decode(errors="surrogateescape").split("\0\0")[:-1]
        return Counter(tuple(call.split("\0")) for call in calls)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("shells"))


def judged(line: str) -> list[tuple[str, ...]] | None:
    """Return the argv of each part, as it is judged; None where none can be, or no stub would see it."""
    parts = parse(line.strip(" \t\n"))
    if isinstance(parts, Stuck):
        return None
    found = []
    for part in parts:
        words = list(part.words)
        while words and ASSIGNMENT.match(words[0].text) and not words[0].quoted:
            words.pop(0)
        argv = tuple(word.text for word in words)
        if not argv or argv[0] in IN_THE_SHELL or "/" in argv[0] or argv[0] in ("", "..", "{}", "]"):
            return None
        # An empty argument would look like the end of a call.
        if "" in argv or len(argv[0].encode()) > 200 or any(fed.text != "/etc/passwd" for fed in part.inputs):
            return None
        # "bash -c -x" takes it for a flag; what a glob finds on this machine is not what was typed.
        if argv[0][0] == "-" or any(word.glob and glob(word.text) for word in words):
            return None
        found.append(argv)
    return found


def check(folder: Folder, line: str) -> None:
    """Run ``line`` where every program succeeds and where every one fails: together each part is called."""
    expected = judged(line)
    assert expected is not None
    for argv in expected:
        if not os.path.lexists(folder.stubs / argv[0]):
            (folder.stubs / argv[0]).symlink_to(folder.stub)
    for name, shell in SHELLS.items():
        runs = [folder.called(shell, line, status) for status in (0, 1)]
        assert all(run <= Counter(expected) for run in runs), (name, line, runs)
        # To dash "&>" puts a command behind, and the next one is told that all went well.
        assert set().union(*runs) == set(expected) or (name == "dash" and "&>" in line), (name, line, runs)


words = st.sampled_from(
    [
        *(
            "a",
            "-h",
            "x=1",
            "--a=b",
            "'a b'",
            '"a  b"',
            "'*'",
            '"$"',
            '"a$ b"',
            '"\\d"',
            '"\\\\"',
            '"\\""',
            '"\\$x"',
        ),
        *(
            '"! a"',
            '"a != b"',
            "!",
            "{}",
            "[",
            "]",
            "=",
            "==",
            "a~1",
            "/~x",
            "a#b",
            "^a",
            "a^",
            "x!=y",
            "\\;",
            "\\(",
            "\\)",
        ),
        *(
            "\\!",
            "\\~",
            "\\$x",
            "\\\\",
            "a\\ b",
            "a$",
            "/zz*",
            "/zz?[a-c]",
            "http://h/x?y",
            "http://h/*",
            "'~'",
            "a:~b",
        ),
        *(
            "LC_ALL=C",
            "'LC_ALL=C'",
            "L'C_ALL=C'",
            "TZ=a:b",
            "é",
            "'é中'",
            "-",
            "--",
            "%s",
            "@x",
            "+x",
            "a,b",
            "a'b'\"c\"",
        ),
        *(
            "</etc/passwd",
            "< /etc/passwd",
            "2>&1",
            ">/dev/null",
            "2> /dev/null",
            "&>/dev/null",
            "1>&2",
            "0</etc/passwd",
        ),
        *(
            "$x",
            "~",
            "~root",
            "*",
            "a*",
            "{a,b}",
            "#x",
            "$(p)",
            "`p`",
            "$'a'",
            '$"a"',
            "a=~",
            "[a]",
            "!!",
            "a\\\nb",
            "\\\n",
        ),
    ]
)
programs = st.sampled_from(
    ["p", "q", "'p'", '"q"', "p\\-x", "LC_ALL=C p", "'LC_ALL=C' p", "x=1 q", "[", "!", "{}", "\\p"]
)
parts = st.tuples(programs, st.lists(words, max_size=5)).map(lambda found: " ".join((found[0], *found[1])))
joints = st.sampled_from(
    [" | ", "|", " && ", "&&", " || ", "; ", ";", "\n", " ;\n", "\n\n", " & ", " |& ", ";;"]
)
lines = st.lists(st.tuples(parts, joints), min_size=1, max_size=4).map(
    lambda found: "".join(part + joint for part, joint in found[:-1]) + found[-1][0]
)
SIGNS = " \n;|&'\"\\$`!{}[]()<>*?~#=^-a/."
mutated = st.tuples(
    st.one_of(lines, st.sampled_from(HARMLESS)),
    st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from(["", *SIGNS]), st.booleans()), min_size=1, max_size=3
    ),
).map(lambda found: edited(*found))


def edited(line: str, edits: list[tuple[int, str, bool]]) -> str:
    """Return ``line`` with a sign put in, or put in the place of another, at each of ``edits``."""
    for at, sign, instead in edits:
        place = at % (len(line) + 1)
        line = line[:place] + sign + line[place + instead :]
    return line


quickly = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
at_length = settings(max_examples=4_000, deadline=None, suppress_health_check=list(HealthCheck))


@quickly
@given(line=lines)
def test_the_shells_call_what_the_lexer_read(folder: Folder, line: str) -> None:
    assume(judged(line) is not None)
    check(folder, line)


@quickly
@given(line=mutated)
def test_the_shells_call_what_the_lexer_read_of_a_changed_line(folder: Folder, line: str) -> None:
    assume(judged(line) is not None)
    check(folder, line)


@pytest.mark.long
@at_length
@given(line=lines)
def test_the_shells_call_what_the_lexer_read_at_length(folder: Folder, line: str) -> None:
    assume(judged(line) is not None)
    check(folder, line)


@pytest.mark.long
@at_length
@given(line=mutated)
def test_the_shells_call_what_the_lexer_read_of_a_changed_line_at_length(folder: Folder, line: str) -> None:
    assume(judged(line) is not None)
    check(folder, line)


@pytest.mark.long
def test_the_shells_call_what_the_lexer_read_of_every_harmless_row(folder: Folder) -> None:
    for line in HARMLESS:
        if judged(line) is not None:
            check(folder, line)


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ('p "a\\.b$" x~1', ("p", "a\\.b$", "x~1")),
        ("p \\( -name a \\) ! -b \\;", ("p", "(", "-name", "a", ")", "!", "-b", ";")),
        ("p {} < /etc/passwd", ("p", "{}")),
        ("p http://h/x?y", ("p", "http://h/x?y")),
        ('p "x != y" a#b $ = ^c', ("p", "x != y", "a#b", "$", "=", "^c")),
    ],
)
def test_forms_that_are_harmless_are_read(folder: Folder, line: str, argv: tuple[str, ...]) -> None:
    assert judged(line) == [argv]
    check(folder, line)
