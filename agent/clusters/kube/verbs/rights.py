"""``kubectl auth can-i``: whether something is allowed, or all that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from agent.clusters.kube.session import Session

REVIEWS = "/apis/authorization.k8s.io/v1"


async def can_i(session: Session) -> None:
    """Print whether something is allowed, or all that is."""
    if session.ask.on("--list"):
        await _rights(session)
        return
    verb, thing = session.ask.words[0], session.ask.things[0]
    attributes = {"verb": verb, "resource": "*", "group": "*"}
    if thing.type != "*":
        resource = await session.resources.named(thing.type)
        attributes = {"verb": verb, "resource": resource.plural, "group": resource.group}
    if session.scope:
        attributes["namespace"] = session.scope
    name = session.ask.words[2] if len(session.ask.words) == 3 else "".join(thing.names)
    review = _review("SelfSubjectAccessReview", {"resourceAttributes": {**attributes, "name": name}})
    allowed = (await session.api.ask(f"{REVIEWS}/selfsubjectaccessreviews", review))["status"]
    if not session.ask.on("--quiet"):
        reason = f" - {allowed['reason']}" if allowed.get("reason") and not allowed["allowed"] else ""
        session.print(f"{'yes' if allowed['allowed'] else 'no'}{reason}")
    session.failed = not allowed["allowed"]


def _review(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": dict(spec)}


async def _rights(session: Session) -> None:
    review = _review("SelfSubjectRulesReview", {"namespace": session.namespace})
    told = (await session.api.ask(f"{REVIEWS}/selfsubjectrulesreviews", review))["status"]
    rules = [*_compact(told.get("resourceRules") or ()), *_urls(told.get("nonResourceRules") or ())]
    rows = [
        [
            f"{rule.type}.{rule.group}" if rule.group else rule.type,
            *map(_bracketed, (rule.url, rule.name)),
            verbs,
        ]
        for rule, verbs in sorted(((rule, _bracketed(*verbs)) for rule, verbs in rules), key=_order)
    ]
    session.table(rows, ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"])


@dataclass(frozen=True, slots=True)
class Rule:
    """What a right is about: a resource type, perhaps one object, or a path of the API."""

    group: str = ""
    type: str = ""
    name: str = ""
    url: str = ""


def _compact(rules: Sequence[Mapping[str, Any]]) -> Sequence[tuple[Rule, Sequence[str]]]:
    """Return a rule for each type and object, with all of its verbs."""
    found: dict[Rule, dict[str, None]] = {}
    for rule in rules:
        parts = (
            rule.get("apiGroups") or [""],
            rule.get("resources") or [""],
            rule.get("resourceNames") or [""],
        )
        for group, type_, name in product(*parts):
            found.setdefault(Rule(group, type_, name), {}).update(dict.fromkeys(rule["verbs"]))
    return [(rule, list(verbs)) for rule, verbs in found.items()]


def _urls(rules: Sequence[Mapping[str, Any]]) -> Sequence[tuple[Rule, Sequence[str]]]:
    return [
        (Rule(url=url), [verb])
        for rule in rules
        for url, verb in product(rule.get("nonResourceURLs") or (), rule["verbs"])
    ]


def _order(rule: tuple[Rule, str]) -> tuple[str, ...]:
    about, verbs = rule
    return (verbs, f"[{about.group}]", f"[{about.type}]", _bracketed(about.name), _bracketed(about.url))


def _bracketed(*words: str) -> str:
    return f"[{' '.join(filter(None, words))}]"
