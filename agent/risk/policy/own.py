"""Programs that only a tenant's policy knows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from agent.risk.forbidden import scan
from agent.risk.lexer import Word
from agent.risk.options import judge_use
from agent.risk.policy import Own, Policy
from agent.risk.rules import Finding, Rule, rule_of
from core.texts import say
from core.work import Risk

_MOST_WORDS = 40
_OWN = "own"
"""The reason of such a rule, in whose place the tenant's own words are put."""


@lru_cache(maxsize=512)
def _rule(own: Own) -> Rule:
    return rule_of(own.program, _filled(json.loads(own.table), own.reason))


def _filled(table: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    """Return a table with what a rule file's has besides."""
    sub = {name: _filled(inner, what) for name, inner in table.get("sub", {}).items()}
    return {**table, "what": what, "reason": _OWN, "sub": sub}


def own_rules(policy: Policy) -> dict[str, Rule]:
    """Return the rules that the policy's entries are, by program."""
    return {own.program: _rule(own) for own in policy.own}


def own_rule(policy: Policy, name: str) -> tuple[Own, Rule] | None:
    """Return the policy's entry for a program, and the rule that it is, or None."""
    own = next((each for each in policy.own if each.program == name), None)
    return (own, _rule(own)) if own else None


def judge_own(policy: Policy, name: str, words: Sequence[Word]) -> list[Finding]:
    """Return what the policy's entry for a program says of its use, nothing where it has none."""
    found = own_rule(policy, name)
    if found is None:
        return []
    own, rule = found
    why = say("policy.own_use", program=name, words=own.reason)
    findings = [
        replace(each, why=why) if each.why.key == f"risk.{_OWN}" else each
        for each in judge_use(rule, words)[0]
    ]
    return [*findings, *_hidden(name, words)]


def _hidden(name: str, words: Sequence[Word]) -> Iterator[Finding]:
    """Yield that a person has to look: nobody knows whether such a program runs the words behind it."""
    texts = [word.text for word in words]
    if len(texts) > _MOST_WORDS or any(scan(" ".join(texts[at:])) for at in range(len(texts))):
        yield Finding(Risk.L2, say("policy.own_runs", program=name))
