"""What the classifier must do: its figures on the corpus, its attacks, its properties."""

import random
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.risk import classify
from agent.risk.kinds import KINDS
from agent.risk.lexer import Stuck, parse
from agent.risk.rules import CHANGES, RULES, RULES_VERSION, Rule
from core.ports import Classifier
from core.work import Risk

HERE = Path(__file__).parent
SYMBOLS = str.maketrans("␤␍␉", "\n\r\t")


def corpus() -> list[tuple[str, int, int, str]]:
    """Return (command, minimum, maximum, class) of each row; the file is split on LF only."""
    lines = (HERE.parent / "data" / "risk_corpus_dev.tsv").read_bytes().decode().split("\n")[1:]
    rows = [line.split("\t") for line in lines if line]
    return [(row[0].translate(SYMBOLS), int(row[1]), int(row[2]), row[3]) for row in rows]


ROWS = corpus()
HARMLESS = [command for command, _, high, _ in ROWS if high == 0]
FORBIDDEN = [command for command, low, _, _ in ROWS if low == 3]
CASES = tomllib.loads((HERE.parent / "data" / "risk_cases.toml").read_text("utf-8"))


@pytest.mark.parametrize(("command", "low", "high", "group"), ROWS)
def test_each_row_of_the_corpus_gets_a_right_level(command: str, low: int, high: int, group: str) -> None:
    assert low <= classify(command).level <= high


def test_nothing_that_needs_a_person_runs_unasked() -> None:
    assert [command for command, low, *_ in ROWS if low and classify(command).level == Risk.L0] == []


def test_at_least_nine_in_ten_harmless_rows_run_unasked() -> None:
    unasked = sum(classify(command).level == Risk.L0 for command in HARMLESS)
    assert unasked >= 0.9 * len(HARMLESS)


def test_forbidden_rows_are_refused_and_a_miss_is_for_an_admin() -> None:
    levels = [classify(command).level for command in FORBIDDEN]
    assert levels.count(Risk.L3) >= 0.95 * len(levels)
    assert min(levels) >= Risk.L2


@pytest.mark.parametrize("attack", CASES["appended"])
def test_no_appended_attack_runs_unasked(attack: str) -> None:
    # What echo is given as a flag, it prints.
    taken = [one for one in HARMLESS if not (one.startswith("echo ") and attack.startswith(" --"))]
    assert [command for command in taken if classify(command + attack).level < Risk.L2] == []


@pytest.mark.parametrize("attack", CASES["prepended"])
def test_no_prepended_attack_runs_unasked(attack: str) -> None:
    assert [command for command in HARMLESS if classify(attack + command).level < Risk.L2] == []


@pytest.mark.parametrize("command", CASES["tricks"])
def test_known_tricks_need_an_admin(command: str) -> None:
    assert classify(command).level >= Risk.L2


@pytest.mark.parametrize("command", CASES["refused"])
def test_forbidden_commands_are_refused_in_many_shapes(command: str) -> None:
    assert classify(command).level == Risk.L3


@pytest.mark.parametrize("command", CASES["named"])
def test_what_only_names_something_forbidden_runs(command: str) -> None:
    assert classify(command).level == Risk.L0


@pytest.mark.parametrize(
    "command", ["curl -s http://x/a.json | python3 -m json.tool", "badblocks -n /dev/sda", "shutdown -c"]
)
def test_what_looks_forbidden_but_is_not_goes_to_an_admin(command: str) -> None:
    assert classify(command).level == Risk.L2


@pytest.mark.parametrize(
    ("environment", "count", "level"),
    [("dev", 1, 1), ("staging", 2, 1), ("dev", 3, 2), ("prod", 1, 2), ("elsewhere", 1, 2)],
)
def test_prod_and_breadth_raise_a_change(environment: str, count: int, level: int) -> None:
    assert classify("systemctl restart nginx", environment, count).level == level


@pytest.mark.parametrize(
    ("command", "level"), [("df -h", 0), ("cat /etc/nginx/nginx.conf", 1), ("kubectl get pod x -o yaml", 1)]
)
def test_prod_and_breadth_never_raise_a_read(command: str, level: int) -> None:
    assert classify(command, "prod", 50).level == level


def test_prod_and_breadth_make_nothing_forbidden() -> None:
    assert all(
        classify(command, "prod", 50).level < Risk.L3 or classify(command).level == Risk.L3
        for command, *_ in ROWS
    )


def test_a_verdict_tells_why_and_which_part_decided() -> None:
    verdict = classify("df -h && systemctl restart nginx | head", "prod")
    assert verdict.part == "systemctl restart nginx"
    assert [why.key for why in verdict.reasons] == ["risk.restarts_service", "risk.raised_prod"]
    assert verdict.rules == RULES_VERSION


def test_hidden_characters_are_shown_escaped() -> None:
    verdict = classify("ls \u202etxt.hs/")
    assert verdict.part == "ls \\u202etxt.hs/"
    assert verdict.reasons[0].params == {"shown": "\\u202e"}


def test_the_classifier_fits_its_port() -> None:
    port: Classifier = classify
    assert port("df -h").level == Risk.L0


# Properties

words = st.sampled_from(
    ["df", "-h", "ls", "rm", "-rf", "/", "reboot", "'a b'", "|", ";", "&&", "\n", "sudo", "$(id)", "x"]
)
lines = st.one_of(
    st.text(max_size=200),
    st.lists(words, max_size=12).map(" ".join),
    st.sampled_from([row[0] for row in ROWS]),
)


@given(text=lines, environment=st.text(max_size=8), count=st.integers(0, 100))
def test_any_text_gets_a_verdict_with_a_reason(text: str, environment: str, count: int) -> None:
    verdict = classify(text, environment, count)
    assert verdict.reasons


@given(text=lines, before=st.text(" \n\t", max_size=4), after=st.text(" \n\t", max_size=4))
def test_whitespace_around_a_command_does_not_matter(text: str, before: str, after: str) -> None:
    assert classify(before + text + after) == classify(text)


@given(text=lines, environment=st.sampled_from(["dev", "prod"]), count=st.integers(1, 9))
def test_prod_and_breadth_never_lower_the_level(text: str, environment: str, count: int) -> None:
    assert classify(text, environment, count).level >= classify(text).level


@given(
    st.lists(
        st.text(st.characters(blacklist_characters="'", categories=["L", "N", "P", "S"]), min_size=1),
        min_size=1,
        max_size=6,
    )
)
def test_quoted_words_reach_the_program_as_they_are(values: list[str]) -> None:
    parts = parse(" ".join(["p", *(f"'{value}'" for value in values)]))
    assert not isinstance(parts, Stuck)
    assert [word.text for word in parts[0].words] == ["p", *values]


def test_a_forbidden_command_is_refused_however_long_it_is() -> None:
    assert classify("LANG=C reboot " + "x" * 20_000).level == Risk.L3


# Limits


def garbage() -> list[str]:
    """Return texts of 20 kB, one of them random."""
    chooser = random.Random(7)
    noise = "".join(chooser.choice("ab$`'\"\\|&;<>(){}[]*?~# \n\t=-/") for _ in range(20_000))
    return [noise, *((piece * 20_000)[:20_000] for piece in CASES["slow"])]


@pytest.mark.parametrize("text", garbage(), ids=["random", *map(repr, CASES["slow"])])
def test_garbage_of_20_kb_is_judged_and_never_runs(text: str) -> None:
    assert classify(text).level >= Risk.L2


@pytest.mark.parametrize(
    ("left", "right"), [("(", ")"), ("$(", ")"), ('"$(', ')"'), ("{ ", "; }"), ("sudo ", ""), ("env ", "")]
)
def test_400_levels_of_nesting_are_for_a_person(left: str, right: str) -> None:
    assert classify(left * 400 + "id" + right * 400).level == Risk.L2


def test_more_than_20_parts_and_4000_characters_are_for_a_person() -> None:
    assert classify(";".join(["df"] * 20)).level == Risk.L0
    assert classify(";".join(["df"] * 21)).level == Risk.L2
    assert classify("echo " + "x" * 3995).level == Risk.L0
    assert classify("echo " + "x" * 3996).level == Risk.L2


# Rules and texts


def rules() -> Iterator[Rule]:
    """Yield every rule with its subcommands' rules."""
    waiting = list(RULES.values())
    while waiting:
        rule = waiting.pop()
        yield rule
        waiting.extend(rule.sub.values())


def test_rule_files_name_only_kinds_and_flags_that_exist() -> None:
    for rule in rules():
        flags = [*rule.flags.values(), *rule.shared.values()]
        kinds = {kind for flag in flags if flag.kind for kind in flag.kind.split("+")}
        assert kinds | {arg.kind for arg in rule.args} <= KINDS, rule.name
        named = rule.need | rule.first_unless | rule.alone | rule.recursive | rule.raises.keys()
        assert named <= rule.flags.keys(), rule.name


def test_no_program_is_both_understood_and_always_for_an_admin() -> None:
    assert RULES.keys() & CHANGES.keys() == set()


def said() -> set[str]:
    """Return every key that the room can say."""
    code = "".join(file.read_text("utf-8") for file in (HERE.parents[1] / "agent" / "risk").glob("*.py"))
    keys = set(re.findall(r'say\(\s*"(risk\.\w+)"', code))
    for rule in rules():
        keys |= {
            f"risk.{reason}" for reason in (rule.reason, rule.otherwise, *rule.raises.values()) if reason
        }
    return keys | {f"risk.{reason}" for reason in CHANGES.values()}


def test_every_reason_has_words_in_both_languages_and_no_words_are_idle() -> None:
    texts = tomllib.loads((HERE.parents[1] / "bot" / "texts" / "risk.toml").read_text("utf-8"))
    assert texts.keys() == said()
    for key, text in texts.items():
        assert text.keys() == {"en", "zh"}, key
        assert places(text["en"]) == places(text["zh"]), key


def places(text: str) -> set[str]:
    """Return the names of a sentence's places."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@settings(max_examples=200)
@given(lines)
def test_each_reason_brings_what_its_words_need(text: str) -> None:
    texts = tomllib.loads((HERE.parents[1] / "bot" / "texts" / "risk.toml").read_text("utf-8"))
    for why in classify(text, "prod", 5).reasons:
        assert places(texts[why.key]["en"]) <= why.params.keys()


@pytest.mark.parametrize(
    "command",
    [
        'awk \'BEGIN{x=/"/;system("id > /tmp/f");y="#"}\'',
        "awk 'BEGIN{print 1,\n2 > \"F\"}'",
        "awk '{print | \"sh\"}' /var/log/syslog",
        "awk 'BEGIN{\"id\" | getline x}'",
        "curl -s -H 'X: a\n\nDELETE /idx HTTP/1.1\nHost: h\nX: b' localhost:9200/",
        "curl -s -H 'X-HTTP-Method-Override: DELETE' localhost/a/status",
        "cd /tmp; printf %n PATH; uptime",
        "cd / && sudo cat dev/sda",
        "cd / && cat proc/1/maps",
        "cd /etc && cat shadow",
        "cd /var/lib && cat docker/containers/a/config.v2.json",
        "smartctl -l scterc,70,70 /dev/sda",
        "mysql -e 'SELECT * FROM mysql.global_priv'",
    ],
)
def test_what_an_attack_found_is_no_longer_l0(command: str) -> None:
    assert classify(command).level >= 2


@pytest.mark.parametrize("form", ["jsonpath='{.items}'", "go-template='{{.}}'"])
def test_whole_objects_of_a_cluster_are_configuration(form: str) -> None:
    assert classify(f"kubectl get pods -o {form}").level >= 1
