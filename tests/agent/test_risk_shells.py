"""What the lexer reads is what the shells call: bash and dash are run with stubs in place of all programs."""

import re
from collections import Counter
from glob import glob
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.labelled import labelled
from support.shells import BUILTIN, RESERVED, SHELLS, Stubs

from agent.risk import classify
from agent.risk.lexer import Stuck, parse
from core.work import Risk

HARMLESS = [
    row.command for name in ("risk_corpus_dev", "risk_corpus_ops") for row in labelled(name) if not row.high
]
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=", re.ASCII)
OURS = ("PATH", "STATUS", "CALLS", "HOME")
"""By these the stubs are found and told what to do."""

HARMLESS_ONES = (
    "[",
    "cd",
    "command",
    "echo",
    "false",
    "printf",
    "pwd",
    "test",
    "true",
    "type",
    "ulimit",
    "umask",
)
"""Builtins that only print, or by a ``cd`` in sight: none of them changes how a line is read."""

Argv = tuple[str, ...]


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Stubs:
    return Stubs(tmp_path_factory.mktemp("shells"))


def judged(line: str) -> list[Argv] | None:
    """Return the argv of each part, as it is judged; None where none can be, or no stub would see it."""
    parts = parse(line.strip(" \t\n"))
    if isinstance(parts, Stuck):
        return None
    found = []
    for part in parts:
        words = list(part.words)
        while words and (name := ASSIGNMENT.match(words[0].text)) and not words[0].quoted:
            # Dash knows no "+=" and would call a program of that name: it is asked about in any case.
            if name[1] in OURS or name[0].endswith("+="):
                return None
            words.pop(0)
        argv = tuple(word.text for word in words)
        # What a glob finds on this machine is not what was typed.
        if any(word.glob and glob(word.text) for word in words):
            return None
        if any(fed.text != "/etc/passwd" for fed in part.inputs) or not argv or not has_stub(argv[0]):
            return None
        found.append(argv)
    return found


def has_stub(name: str) -> bool:
    """Return whether a stub can stand in for the program: not for a reserved word, or what has a path."""
    return name not in RESERVED | {"", ".", ".."} and "/" not in name and len(name.encode()) < 200


def check(stubs: Stubs, line: str) -> None:
    """Run ``line`` where every program succeeds and where every one fails: together each part is called."""
    expected = judged(line)
    assert expected is not None
    for argv in expected:
        stubs.add(argv[0])
    for shell in SHELLS:
        if shell == "dash" and any(argv[0] in BUILTIN for argv in expected):
            continue
        runs = [stubs.called(shell, line, status) for status in ((0, 1) if "||" in line else (0,))]
        assert all(run <= Counter(expected) for run in runs), (shell, line, runs)
        # To dash "&>" puts a command behind, and the next one is told that all went well.
        assert set().union(*runs) == set(expected) or (shell == "dash" and "&>" in line), (shell, line, runs)


# What is read, what expands to something else, and what looks alike: words are one or more of these.
PIECES = r"""
a -h x=1 --a=b 1 é 中 😀 %s @x +x a,b - -- /x a.b
'a' '*' "a" "\d" "\\" "\"" "\$x" '' "" '\' "'" '"' '#' "\`" "!" '!' "\!" "!=" '$x' '`p`' "*" "~" '~'
\; \( \) \! \~ \$x \\ \a \# \' \" \* \? \[ \{ \} \& \| \< \> \= \^ \% \, \é \` \ ' "
$'a' $'\n' $'\x70' $'' $"a" $x $1 $@ $* $$ $? $! $- ${x} ${x:-p} $(p) `p` $((1)) $[1] $ $= $/
"$x" "${x}" "$(p)" "`p`" "$'a'" "$!" "$a" "\$(p)" "$/" "$" "$|" "$)"
* ? [a] [!a] [^a] [a-c] /zz* /zz? /zz[a-c] /zz[[:alpha:]] /zz[]a] http://h/x?y http://h/* @(a) !(a)
{{.Names}} {{.A.b_1}}{{.C}},{{.D}} {{.a..b}} {{.a,.b}}
{ } {} {a,b} {1..3} {a} {a, ,b} ~ ~root ~+ ~- a~ a:~b x=~ x=a:~ :~ =~ ~/
# a#b #x ! !! !a !-1 !?a a! x!=y ^a^b ^ = == != < > & ( ) [ ] [[ ]] (( ))
"""
BLANKS = [
    *("'a b'", '"a  b"', '"a$ b"', '"! a"', '"a != b"', "'\r'", '"\f"', "'\t'", "'\x01'", "'\u00a0'"),
    *('"\u2028"', "'\n'", '"\n"', '"\\\n"', "\\ ", "\\\n", "\\\t", "\\\r", "\t", "\r", "\f", "\v", "\x01"),
    *("\x7f", "\u00a0", "\u2028", "\u200b", "\ufeff", "\x85", "\u3000"),
]
REDIRECTS = """
</etc/passwd 0</etc/passwd 2>&1 >/dev/null &>/dev/null 1>&2 >&2 2>/dev/null >>/dev/null >|/dev/null
<>/dev/null 3</etc/passwd <&- 2>&- <<<a <(p) >(p) {x}>/dev/null 12>/dev/null <\\ /etc/passwd
"""
SPACED = ("< /etc/passwd", "2> /dev/null", "> /dev/null", "<<E\np\nE\n", "<<'E'\np\nE\n", "<<-E\n\tp\n\tE\n")
PROGRAMS = r"""
p p q 'p' "q" p\-x \p é -p p.q 2p %p =p p= ^p [ [[ ] ! {} { } ( #p , @ + ~ p() p(){ x=1 x=
echo printf test true cd alias eval time if then do while case function coproc select in
"""
BEFORE = [
    *("LC_ALL=C ", "'LC_ALL=C' ", "L'C_ALL=C' ", "x=1 ", "x+=1 ", "x[0]=1 ", "x=~ ", "x='a b' ", "x=(a b) "),
    *("! ", "function ", "{ ", "( ", "if ", "1=2 ", "é=1 ", "time ", "\n", "#x\n"),
]
JOINTS = [
    *(" | ", "|", " && ", "&&", " || ", "||", "; ", ";", "\n", " ;\n", "\n\n", " \n ", " & ", "&", " |& "),
    *(";;", "; ;", "|\n", "&&\n", "|| \n", "\r\n", "\n#", " # ", "\n ", "|||", "&&&", ";&", "\f", "\\\n"),
]


def reading(texts: list[str], form: str) -> st.SearchStrategy[str]:
    """Return one of ``texts``, mostly of those that the lexer reads by themselves in ``form``."""
    read = [text for text in texts if not isinstance(parse(form.format(text)), Stuck)]
    return st.one_of(*[st.sampled_from(read)] * 5, st.sampled_from(texts))


piece = reading([*PIECES.split(), *BLANKS], "p a{}")
word = st.one_of(
    reading([*PIECES.split(), *BLANKS], "p {}"),
    st.lists(piece, min_size=2, max_size=3).map("".join),
    reading([*REDIRECTS.split(), *SPACED], "p {}"),
)
before = st.one_of(st.just(""), st.just(""), reading(BEFORE, "{}p"))
part = st.builds(
    lambda first, program, words: first + " ".join((program, *words)),
    before,
    reading(PROGRAMS.split(), "{}"),
    st.lists(word, max_size=4),
)
joint = reading(JOINTS, "p{}q")
ending = st.sampled_from(["", "", ";", "\n", " #x", " # p 'a\\", "#x", " #x\np", "; # !! $(p) `p`"])
lines = st.builds(
    lambda first, others, end: "".join((first, *others, end)),
    part,
    st.lists(st.builds("{}{}".format, joint, part), max_size=3),
    ending,
)
SIGNS = " \t\r\f\n;|&'\"\\$`!{}[]()<>*?~#=^-%,:@+a0é/."


def edited(line: str, edits: list[tuple[int, str, bool]]) -> str:
    """Return ``line`` with a sign put in, or put in the place of another, at each of ``edits``."""
    for at, sign, instead in edits:
        place = at % (len(line) + 1)
        line = line[:place] + sign + line[place + instead :]
    return line


edits = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from(["", *SIGNS]), st.booleans()), min_size=1, max_size=3
)
DRAWN = {
    "of pieces": lines,
    "of signs": st.text(SIGNS, max_size=8).map("p a".__add__),
    "changed": st.builds(edited, st.sampled_from(HARMLESS), edits),
}
at_length = [pytest.mark.long, pytest.mark.timeout(3_600)]


@pytest.mark.parametrize(("runs", "count"), [(1, 40), pytest.param(10, 400, marks=at_length)])
@pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN)
def test_the_shells_call_what_the_lexer_read(
    stubs: Stubs, drawn: st.SearchStrategy[str], runs: int, count: int
) -> None:
    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
    @given(drawn.filter(judged))
    def holds(line: str) -> None:
        check(stubs, line)

    for _ in range(runs):  # one run of all would keep gigabytes of what it has drawn
        holds()


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("form", ["p {}", "p a{}", "p {}a", "p '{}", 'p "{}', "{}p", "p /z{}*", "p {} q"])
def test_the_shells_call_what_the_lexer_read_with_any_three_signs_there(stubs: Stubs, form: str) -> None:
    for size in (1, 2, 3):
        for signs in product(SIGNS, repeat=size):
            line = form.format("".join(signs))
            if judged(line) is not None:
                check(stubs, line)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_the_shells_call_what_the_lexer_read_of_every_harmless_row(stubs: Stubs) -> None:
    for line in HARMLESS:
        if judged(line) is not None:
            check(stubs, line)


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ('p "a\\.b$" x~1', ("p", "a\\.b$", "x~1")),
        ("p \\( -name a \\) ! -b \\;", ("p", "(", "-name", "a", ")", "!", "-b", ";")),
        ("p {} < /etc/passwd", ("p", "{}")),
        ("p http://h/x?y", ("p", "http://h/x?y")),
        ('p "x != y" a#b $ = ^c', ("p", "x != y", "a#b", "$", "=", "^c")),
        ("p '' \"\" a''", ("p", "", "", "a")),
        ("printf %s a", ("printf", "%s", "a")),
        ("[ -d 'x y' ]", ("[", "-d", "x y", "]")),
    ],
)
def test_forms_that_are_harmless_are_read(stubs: Stubs, line: str, argv: tuple[str, ...]) -> None:
    assert judged(line) == [argv]
    check(stubs, line)


@pytest.mark.parametrize(
    "line", ["%1", "'%1'", "\\%p a", "LC_ALL=C %p", "p | %1", "p /.?", "p /z/.a*", "p '/.'*"]
)
def test_what_bash_takes_for_a_job_and_a_glob_that_climbs_in_dash_are_not_read(line: str) -> None:
    assert isinstance(parse(line), Stuck)


@pytest.mark.parametrize("name", sorted(RESERVED | BUILTIN))
def test_a_word_of_the_shells_own_runs_unasked_only_where_it_changes_nothing_of_what_follows(
    name: str,
) -> None:
    lines = (
        name,
        f"{name} a",
        f"{name} -p a",
        f"{name} -v a b",
        f"{name} a=b",
        f"{name} 1; df",
        f"df; {name}",
    )
    unasked = [line for line in lines if classify(line).level < Risk.L2]
    assert unasked == [] or name in HARMLESS_ONES
