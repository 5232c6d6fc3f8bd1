"""A tenant's policy, judged: it raises, it knows what the rules do not, and it never lowers anything."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.policy.documents import as_toml, draft_of
from agent.risk import check_policy, classify
from agent.risk.policy import Policy, policy_of
from agent.risk.policy.checking import KINDS_OF_OWN
from agent.risk.rules import CHANGES, FORBIDDEN, RULES, Rule
from bot.texts.catalogue import load_catalogue
from core.errors import BadInput
from core.store.policies import Stored
from core.texts import LANGUAGES
from core.work import Risk

ACME = {
    "level": 0,
    "reason": "Acme's control tool.",
    "shared": "--json",
    "sub": {
        "status": {"level": 0, "args": "name?", "flags": "--limit=int"},
        "purge": {"level": 1},
        "deploy": {"level": 2, "args": "name"},
    },
}


def policy(tighten: dict[str, Any] | None = None, program: dict[str, Any] | None = None) -> Policy:
    """Return a checked policy."""
    return policy_of(7, check_policy({"tighten": tighten or {}, "program": program or {}}))


def tightening(level: int = 2, **fields: Any) -> Policy:
    """Return a policy with one tightening."""
    return policy({"one": {"level": level, "reason": "We say so.", **fields}})


RESTART = {"program": "systemctl", "subcommand": "restart"}


@pytest.mark.parametrize(
    ("fields", "command", "level"),
    [
        ({"program": "df"}, "df -h", 2),
        ({"program": "df"}, "free -m", 0),
        ({"program": "df"}, "/usr/bin/df -h", 2),
        ({"program": "df"}, "uptime; df -h | head", 2),
        ({"program": "df"}, "sudo timeout 5 df -h", 2),
        ({"program": "df", "level": 3}, "bash -c 'df -h'", 3),
        ({"program": "df", "level": 3}, "echo $(df -h)", 3),
        ({"program": "df"}, "grep df /var/log/syslog", 0),
        (RESTART, "systemctl restart nginx", 2),
        (RESTART, "systemctl --no-pager restart nginx", 2),
        (RESTART, "systemctl status restart", 0),
        ({**RESTART, "level": 3}, "systemctl -H x restart nginx", 3),
        ({"program": "docker", "subcommand": "compose ps"}, "docker compose ps", 2),
        ({"program": "docker", "subcommand": "compose ps"}, "docker ps", 0),
        ({"program": "kubectl", "subcommand": "get nodes"}, "kubectl get nodes", 2),
        ({"program": "kubectl", "subcommand": "get nodes"}, "kubectl get pods", 0),
        ({"program": "kubectl", "subcommand": "delete", "level": 3}, "kubectl -n shop delete pod x", 3),
        ({"program": "kubectl", "subcommand": "delete", "level": 3}, "kubectl get pods delete", 0),
        ({"program": "git", "subcommand": "push", "level": 3}, "git -C /srv/app push --force", 3),
        ({"command": "systemctl restart nginx", "level": 3}, "systemctl  restart 'nginx'", 3),
        ({"command": "systemctl restart nginx", "level": 3}, "systemctl restart nginx.service", 1),
        ({"command": "df -h | head", "level": 1}, "df -h  |  head", 1),
        ({"command": "df -h", "level": 1}, "sudo df -h", 1),
        ({"command": "df -h", "level": 1}, "COLUMNS=80 df -h # disk", 1),
        ({"command": "df -h | head", "level": 1}, "df -h | head # disk", 1),
        ({"program": "*", "level": 1}, "uptime", 1),
        ({"program": "*", "level": 1}, "frobnicate", 2),
    ],
)
def test_entry_raises_what_it_names_and_nothing_else(
    fields: dict[str, Any], command: str, level: int
) -> None:
    assert classify(command, policy=tightening(**fields)).level == level


@pytest.mark.parametrize(
    ("where", "environment", "count", "level"),
    [
        ({"environments": ["prod"]}, "prod", 1, 2),
        ({"environments": ["prod"]}, "staging", 1, 0),
        ({"environments": ["prod"]}, "moon", 1, 2),
        ({"environments": ["dev", "staging"]}, "staging", 1, 2),
        ({"servers": 2}, "dev", 1, 0),
        ({"servers": 2}, "dev", 2, 2),
        ({"servers": 2, "environments": ["prod"]}, "dev", 2, 0),
    ],
)
def test_entry_holds_where_it_says(where: dict[str, Any], environment: str, count: int, level: int) -> None:
    assert classify("df -h", environment, count, tightening(program="df", **where)).level == level


def test_verdict_names_the_entry_its_words_the_piece_and_both_versions() -> None:
    verdict = classify("uptime; sudo df -h", policy=tightening(program="df"))
    assert (verdict.entry, verdict.part, verdict.policy) == ("one", "df -h", 7)
    assert verdict.rules
    words = load_catalogue()(verdict.reasons[0], "en")
    assert "one" in words
    assert "We say so." in words


@pytest.mark.parametrize(
    ("command", "level"),
    [
        ("acmectl status", 0),
        ("acmectl --json status web --limit=3", 0),
        ("acmectl purge", 1),
        ("acmectl deploy web", 2),
        ("acmectl status web more", 2),
        ("acmectl status --limit=x", 2),
        ("acmectl status --force", 2),
        ("acmectl erase", 2),
        ("acmectl status > /tmp/x", 2),
        ("acmectl status reboot", 2),
        ("sudo acmectl status", 0),
        ("./acmectl status", 2),
    ],
)
def test_program_of_the_tenants_own_is_judged_by_its_entry(command: str, level: int) -> None:
    assert classify(command, policy=policy(program={"acmectl": ACME})).level == level
    assert classify(command).level >= Risk.L2


def test_low_risk_use_of_an_own_program_needs_an_admin_in_prod() -> None:
    assert classify("acmectl purge", "prod", 1, policy(program={"acmectl": ACME})).level == Risk.L2


def flags_of(rule: Rule) -> list[str]:
    """Return words that a rule, or one of its subcommands, understands."""
    subs = [word for name, sub in rule.sub.items() for word in (name, *flags_of(sub))]
    return [*rule.flags, *rule.shared, *subs]


@st.composite
def commands(draw: st.DrawFn) -> str:
    """A command of programs that the rules know, with their own words and some others."""
    parts = []
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted({*RULES, *CHANGES, "rm", "mkfs.ext4", "reboot"})))
        known = flags_of(RULES[name]) if name in RULES else []
        words = st.sampled_from([*known, "/", "/etc/hosts", "-rf", "nginx", "5", "--", "status"])
        parts.append(" ".join([name, *draw(st.lists(words, max_size=4))]))
    return draw(st.sampled_from(["; ", " | ", " && "])).join(parts)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """A policy of any entries; its own programs bear names that the rules know, as after an upgrade."""
    tighten, program = {}, {}
    for number in range(draw(st.integers(0, 3))):
        tighten[f"t{number}"] = {
            "level": draw(st.integers(1, 3)),
            "reason": "x",
            "program": draw(st.sampled_from(["*", *sorted(RULES)])),
            "environments": draw(st.lists(st.sampled_from(["dev", "staging", "prod"]), unique=True)),
            "servers": draw(st.integers(1, 4)),
        }
    for name in draw(st.lists(st.sampled_from(sorted({*RULES, *CHANGES, "rm", "sh"})), max_size=3)):
        kinds = draw(st.sampled_from(["", "text*", "name*", "path*"]))
        program[name] = {"level": draw(st.integers(0, 2)), "reason": "x", "args": kinds}
    return policy_of(1, {"tighten": tighten, "program": program})


@settings(max_examples=400, deadline=None)
@given(commands(), policies(), st.sampled_from(["dev", "staging", "prod"]), st.integers(1, 5))
def test_policy_lowers_nothing_of_what_the_rules_know(
    command: str, its: Policy, environment: str, count: int
) -> None:
    assert classify(command, environment, count, its).level >= classify(command, environment, count).level


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FORBIDDEN["power"].split())), st.sampled_from(["acmectl", "acmectl status"]))
def test_what_is_forbidden_behind_an_own_program_is_never_run_unasked(danger: str, before: str) -> None:
    loose = policy(program={"acmectl": {"level": 0, "reason": "x", "args": "name*"}})
    assert classify(f"{before} {danger}", policy=loose).level >= Risk.L2
    assert classify(f"{before}; {danger}", policy=loose).level == Risk.L3


def wrong(document: Any) -> BadInput:
    """Return what is said of a document that is not taken."""
    with pytest.raises(BadInput) as refused:
        check_policy(document)
    return refused.value


GOOD = {"level": 2, "reason": "x", "program": "df"}
OWN = {"level": 0, "reason": "x"}


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "policy"),
        ({"grant": {}}, "policy"),
        ({"tighten": {"Bad Name": GOOD}}, "tighten.Bad Name"),
        ({"tighten": {"a": {**GOOD, "level": 0}}}, "tighten.a"),
        ({"tighten": {"a": {**GOOD, "level": True}}}, "tighten.a"),
        ({"tighten": {"a": {**GOOD, "reason": ""}}}, "tighten.a"),
        ({"tighten": {"a": {**GOOD, "reason": "a\u202eb"}}}, "tighten.a"),
        ({"tighten": {"a": {**GOOD, "command": "df"}}}, "tighten.a"),
        ({"tighten": {"a": {"level": 2, "reason": "x"}}}, "tighten.a"),
        ({"tighten": {"a": {**GOOD, "program": "/bin/df"}}}, "tighten.a"),
        ({"tighten": {"a": {**GOOD, "subcommand": "-h"}}}, "tighten.a"),
        ({"tighten": {"a": {**GOOD, "environments": ["moon"]}}}, "tighten.a"),
        ({"tighten": {"a": {**GOOD, "servers": 0}}}, "tighten.a"),
        ({"tighten": {"a": {**GOOD, "until": 3}}}, "tighten.a"),
        ({"program": {"acmectl": {**OWN, "level": 3}}}, "program.acmectl"),
        ({"program": {"acmectl": {**OWN, "args": "text*"}}}, "program.acmectl"),
        ({"program": {"acmectl": {**OWN, "args": "shell"}}}, "program.acmectl"),
        ({"program": {"acmectl": {**OWN, "flags": "json"}}}, "program.acmectl"),
        ({"program": {"acmectl": {**OWN, "wraps": True}}}, "program.acmectl"),
        ({"program": {"acmectl": {**OWN, "sub": {"x": {"args": "name"}}}}}, "program.acmectl.sub.x"),
        ({"program": {f"p{n}": OWN for n in range(201)}}, "policy"),
        ({"program": {"same": OWN}, "tighten": {"same": GOOD}}, "tighten.same"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_in_both_languages(document: Any, where: str) -> None:
    refusal = wrong(document)
    assert refusal.say.params["where"] == where
    for language in LANGUAGES:
        words = load_catalogue()(refusal.say, language)
        assert where in words
        assert "{" not in words


@pytest.mark.parametrize(
    "name",
    ["df", "rm", "bash", "sudo", "ssh", "eval", "xargs", "psql", "mkfs.xfs", "python3", "if", "make",
     "python3.12", "node18", "lua5.4", "php8.4", "faketime", "setpriv", "tini", "gtimeout"],
)  # fmt: skip
def test_program_that_is_known_or_runs_others_gets_no_entry(name: str) -> None:
    assert wrong({"program": {name: OWN}}).say.params["why"]["say"] == "policy.why_known"


def test_kinds_of_own_programs_are_all_told_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
    assert [kind for kind in sorted(KINDS_OF_OWN) if f"`{kind}`" not in page] == []


def test_document_survives_toml_and_comes_back_as_it_was() -> None:
    odd = {"a-1": {**GOOD, "reason": 'quote " backslash \\ 中文 #', "environments": ["prod"]}}
    document = check_policy({"tighten": odd, "program": {"acmectl": ACME, "x.y": OWN}})
    back = draft_of(as_toml(Stored(4, document)))
    assert (back.document, back.made_from) == (document, 4)


@pytest.mark.parametrize(
    ("text", "form", "line"),
    [
        ("[tighten.a]\nlevel = ", "TOML", 2),
        ('{"tighten":\n {"a": }}', "JSON", 2),
        ("{" * 200_000, "JSON", 1),
        ("version = " + "9" * 5000, "JSON/TOML", 1),
    ],
)
def test_text_that_is_no_document_is_refused_with_its_line(text: str, form: str, line: int) -> None:
    with pytest.raises(BadInput) as refused:
        draft_of(text)
    assert refused.value.say.params == {"form": form, "line": line}


def test_garbage_raises_nothing_under_a_policy() -> None:
    rng = random.Random(4)
    signs = "df systemctl restart acmectl \"'`$(){}|;&<>\\\n\0\u202e*"
    its = policy({"one": {**GOOD, "program": "*", "level": 1}}, {"acmectl": ACME})
    for _ in range(300):
        text = "".join(rng.choice(signs) for _ in range(rng.randrange(200)))
        assert classify(text, "prod", 5, its).level >= classify(text, "prod", 5).level
