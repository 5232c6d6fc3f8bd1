"""What a policy adds to the verdict of the rules: it may rise, and never fall."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.risk.lexer import Part, Stuck, Word, parse
from agent.risk.options import subcommand_of
from agent.risk.policy import ANY, Policy, Tightening
from agent.risk.policy.own import own_rules
from agent.risk.rules import RULES, Rule
from agent.risk.unwrap import program
from agent.risk.uses import Use, loosely, uses_in, wrapped_in
from core.texts import say
from core.work import ENVIRONMENTS, Verdict


def tightened(verdict: Verdict, text: str, policy: Policy, environment: str, count: int) -> Verdict:
    """Return ``verdict`` as the policy's tightenings leave it."""
    verdict = replace(verdict, policy=policy.version)
    held = _held(verdict, policy, environment, count)
    if not held:
        return verdict
    parsed = parse(text)
    parts = () if isinstance(parsed, Stuck) else parsed
    uses = _uses(text, parts)
    rules = {**own_rules(policy), **RULES}
    found = [(each, part) for each in held if (part := _hit(each, text, parts, uses, rules)) is not None]
    return _raised(verdict, found)


def tightened_act(verdict: Verdict, act: str, path: str, policy: Policy, environment: str) -> Verdict:
    """Return the verdict on a file act as the policy's tightenings leave it."""
    verdict = replace(verdict, policy=policy.version)
    held = _held(verdict, policy, environment, 1)
    return _raised(verdict, [(each, path) for each in held if _is_meant(each, act, path)])


def _is_meant(entry: Tightening, act: str, path: str) -> bool:
    """Return whether an entry speaks of an act on a file."""
    if entry.program == ANY:
        return True
    return entry.program == act and (entry.path in ("", "/", path) or path.startswith(f"{entry.path}/"))


def _held(verdict: Verdict, policy: Policy, environment: str, count: int) -> list[Tightening]:
    return [
        each
        for each in policy.tightenings
        if each.level > verdict.level and _holds(each, environment) and count >= each.servers
    ]


def _raised(verdict: Verdict, found: Sequence[tuple[Tightening, str]]) -> Verdict:
    """Return ``verdict`` raised by entries, each with the piece that it speaks of."""
    if not found:
        return verdict
    level = max(each.level for each, _ in found)
    deciding = [(each, part) for each, part in found if each.level == level]
    reasons = [
        say("policy.raised", entry=each.name, level=int(level), words=each.reason) for each, _ in deciding
    ]
    first, part = deciding[0]
    return replace(verdict, level=level, reasons=(*reasons, *verdict.reasons), part=part, entry=first.name)


def _holds(entry: Tightening, environment: str) -> bool:
    """Return whether an entry holds in an environment; one that nobody knows counts as prod."""
    known = environment if environment in ENVIRONMENTS else "prod"
    return not entry.environments or known in entry.environments


def _uses(text: str, parts: Sequence[Part]) -> list[Use]:
    """Return every program that ``text`` may run, with its arguments."""
    found = [use for loose in loosely(text) for use in uses_in(loose)]
    return [*found, *(use for part in parts for use in wrapped_in(part))]


def _hit(
    entry: Tightening, text: str, parts: Sequence[Part], uses: Sequence[Use], rules: Mapping[str, Rule]
) -> str | None:
    """Return the piece that an entry speaks of, None where it speaks of nothing in ``text``."""
    if entry.command:
        return _exact(entry.command, text, parts, uses)
    for name, args in uses:
        if entry.program in (ANY, name) and (not entry.subcommand or _is_sub(entry, rules.get(name), args)):
            return " ".join((name, *args))
    return None


def _exact(command: str, text: str, parts: Sequence[Part], uses: Sequence[Use]) -> str | None:
    wanted = parse(command)
    if isinstance(wanted, Stuck):
        return command if command.strip() == text.strip() else None
    asked = [_argv(part) for part in wanted]
    if len(asked) == 1:
        return next((" ".join((name, *args)) for name, args in uses if (name, args) == asked[0]), None)
    return text.strip() if [part.text for part in parts] == [part.text for part in wanted] else None


def _argv(part: Part) -> Use:
    return program(part.words[0].text), tuple(word.text for word in part.words[1:])


def _is_sub(entry: Tightening, rule: Rule | None, args: Sequence[str]) -> bool:
    """Return whether the arguments use the subcommand, or may: where they are not understood, loosely."""
    path = subcommand_of(rule, [Word(arg) for arg in args]) if rule is not None else None
    known = (path or ())[: len(entry.subcommand)]
    if known != entry.subcommand[: len(known)]:
        return False
    left = iter(arg for arg in args if not arg.startswith("-"))
    return all(word in left for word in entry.subcommand)
