"""Judges a command line: the most that any part of it can do; what is not understood is L2."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from agent.risk import MANY_SERVERS
from agent.risk.crosscheck import agrees
from agent.risk.filters import jq_is_harmless
from agent.risk.forbidden import scan
from agent.risk.hosts import hosts_in
from agent.risk.kinds import judge_value
from agent.risk.kinds_remote import WHOLE_OBJECTS
from agent.risk.lexer import LONGEST, MOST_PARTS, Part, Stuck, Word, parse, unreadable
from agent.risk.options import judge_use
from agent.risk.paths import judge_path
from agent.risk.policy import NONE, Policy
from agent.risk.policy.own import judge_own
from agent.risk.policy.tightening import tightened
from agent.risk.rules import ASSIGNED, CHANGES, RULES, RULES_VERSION, Finding, listed
from core.texts import Say, say
from core.work import Risk, Verdict

_DEEPEST = 8
_RELAXED = ("dev", "staging")
_PROGRAM = re.compile(r"(?:(?:/usr)?/s?bin/)?([A-Za-z0-9_][A-Za-z0-9_.+-]*)")
_SAME_ANYWHERE = re.compile(r"/|-[^/]*\Z")
_INIT_SCRIPT = re.compile(r"/etc/(?:rc\.d/)?init\.d/([A-Za-z0-9_][A-Za-z0-9_.-]*)")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_HARMLESS_ASSIGNMENT = re.compile(ASSIGNED, re.ASCII)

_IN_FOLDERS = listed("paths", "in_folders")
_JQ_FLAG = re.compile(
    r"-[rcMSje]{1,6}|--(raw-output|compact-output|monochrome-output|sort-keys|join-output|exit-status)"
)


def classify(command: str, environment: str = "dev", count: int = 1, policy: Policy = NONE) -> Verdict:
    """Return the level of a command line with its reasons; it never raises, whatever the text.

    command: as the shell would get it.
    environment: dev, staging or prod; any other name counts as prod.
    count: servers it would run on; a low-risk change on three or more needs an admin.
    policy: the tenant's; it raises, and knows programs that the rules do not.
    """
    text = command.strip(" \t\n")
    verdict = _by_rules(text, environment, count, policy)
    own = (why.params["program"] for why in verdict.reasons if why.key == "policy.own_use")
    verdict = replace(verdict, hosts=hosts_in(text, policy), entry=next(own, ""))
    raised = tightened(verdict, text, policy, environment, count)
    return raised if raised.part == verdict.part else replace(raised, part=_short(raised.part))


def _by_rules(text: str, environment: str, count: int, policy: Policy) -> Verdict:
    """Return what the rules say, and of programs that they do not know the policy."""
    if found := scan(text):
        return _verdict([(found.part, Finding(Risk.L3, found.why))])
    if problem := _unreadable(text):
        return _verdict([(_short(text), Finding(Risk.L2, problem))])
    parts = parse(text)
    if isinstance(parts, Stuck):
        return _verdict([(_short(text), Finding(Risk.L2, say("risk.unparseable", near=parts.near)))])
    if len(parts) > MOST_PARTS:
        return _verdict([(_short(text), Finding(Risk.L2, say("risk.too_many_parts", most=MOST_PARTS)))])
    judged = _judged(text, parts, policy)
    found_all = [(part.text, finding) for part, findings in judged for finding in findings]
    found_all += _elsewhere(parts)
    if all(finding.level < Risk.L2 for _, finding in found_all) and not agrees(text, parts):
        found_all.append((_short(text), Finding(Risk.L2, say("risk.parsers_differ"))))
    return _verdict(_raised(found_all, environment, count))


def _elsewhere(parts: Sequence[Part]) -> list[tuple[str, Finding]]:
    """Return what is not known of the paths after a ``cd``: they do not name their folder.

    Without one the folder is the account's home: the gate sets no other. Some programs work on the folder
    they are in as if it was named to them.
    """
    found, moved, known = [], False, True
    for part in parts:
        words = [word.text for word in part.words]
        here = known and words[:1] and words[0] in _IN_FOLDERS
        named = [*(() if here else words[1:]), *(fed.text for fed in part.inputs)]
        strange = not known and any(word.rpartition("/")[2] in _IN_FOLDERS for word in words)
        if moved and (strange or not all(map(_SAME_ANYWHERE.match, named))):
            found.append((part.text, Finding(Risk.L2, say("risk.relative_path", part=_short(part.text)))))
        if "cd" in words:
            moved = True
            known = known and len(words) == 2 and judge_value("kept", part.words[1]) is None
    return found


def _unreadable(text: str) -> Say | None:
    """Return why a person could not see what they approve, or None."""
    if len(text) > LONGEST:
        return say("risk.too_long", most=LONGEST)
    char = unreadable(text)
    return say("risk.hidden_character", shown=_escaped(char)) if char else None


def _judge_part(part: Part, policy: Policy) -> list[Finding]:
    """Return what one simple command adds, with the files that it is fed with."""
    words, findings = part.words, list[Finding]()
    if words[0].text == "[" and len(words) > 1 and words[-1].text == "]":
        words = (Word("test"), *words[1:-1])
    for fed in part.inputs:
        read = (
            Finding(Risk.L2, say("risk.unknown_argument", argument=fed.text))
            if fed.glob
            else judge_path(fed.text)
        )
        findings += [read] if read else []
    return findings + _judge_words(words, 0, policy)


def _judged(text: str, parts: Sequence[Part], policy: Policy) -> Iterator[tuple[Part, list[Finding]]]:
    """Yield each part with what it adds; of a whole object that goes on to jq, what jq picks counts."""
    at = 0
    for place, part in enumerate(parts):
        at = text.index(part.text, at) + len(part.text)
        findings = _judge_part(part, policy)
        if re.match(r" *\|(?!\|)", text[at:]) and place + 1 < len(parts):
            findings = [
                Finding(Risk.L0, say("risk.reads_only")) if _picked(finding, parts[place + 1]) else finding
                for finding in findings
            ]
        yield part, findings


def _picked(finding: Finding, following: Part) -> bool:
    """Return whether ``finding`` is about a whole object of which what follows shows harmless fields only."""
    fields = WHOLE_OBJECTS.get((finding.why.key, str(next(iter(finding.why.params.values()), ""))))
    words = [word.text for word in following.words]
    texts = [word for word in words[1:] if not _JQ_FLAG.fullmatch(word)]
    return fields is not None and words[:1] == ["jq"] and len(texts) == 1 and jq_is_harmless(texts[0], fields)


def _judge_words(words: Sequence[Word], depth: int, policy: Policy) -> list[Finding]:
    """Return what a program with its arguments adds, and with it the command that it wraps."""
    if depth > _DEEPEST:
        return [Finding(Risk.L2, say("risk.too_deep"))]
    while words and _HARMLESS_ASSIGNMENT.fullmatch(words[0].text) and not (words[0].quoted and depth == 0):
        words = words[1:]
    if not words:
        return [Finding(Risk.L2, say("risk.unparseable", near=""))]
    program = _program(words[0])
    if isinstance(program, Finding):
        return [program]
    if script := _INIT_SCRIPT.fullmatch(words[0].text):
        words = (words[0], Word(script[1]), *words[1:])
    if program in CHANGES:
        return [Finding(Risk.L2, say(f"risk.{CHANGES[program]}", program=program))]
    rule, own = RULES.get(program), judge_own(policy, program, words[1:])
    if rule is None:
        return own or [Finding(Risk.L2, say("risk.unknown_program", program=program))]
    findings, inner = judge_use(rule, words[1:])
    findings = findings + own  # since the entry was made, the rules have come to know the program
    return findings if inner is None else findings + _judge_words(inner, depth + 1, policy)


def _program(word: Word) -> str | Finding:
    """Return the bare name of the program, or why it cannot be known."""
    if _INIT_SCRIPT.fullmatch(word.text):
        return "service"
    name = _PROGRAM.fullmatch(word.text)
    if name and not word.glob:
        return name[1]
    if _ASSIGNMENT.match(word.text):
        return Finding(Risk.L2, say("risk.sets_variable", name=word.text.partition("=")[0]))
    return Finding(Risk.L2, say("risk.program_path", program=word.text))


def _raised(found: list[tuple[str, Finding]], environment: str, count: int) -> list[tuple[str, Finding]]:
    """Return the findings with low-risk changes raised for prod and for breadth; reads stay as they are."""
    if environment not in _RELAXED:
        why = say("risk.raised_prod")
    elif count >= MANY_SERVERS:
        why = say("risk.raised_many", count=count)
    else:
        return found
    raised = []
    for part, finding in found:
        raised.append((part, finding))
        if finding.change and finding.level == Risk.L1:
            raised[-1] = (part, Finding(Risk.L2, finding.why))
            raised.append((part, Finding(Risk.L2, why)))
    return raised


def _verdict(found: list[tuple[str, Finding]]) -> Verdict:
    """Return the highest level with every reason for it, and the first part that has it."""
    level = max(finding.level for _, finding in found)
    deciding = [(part, finding.why) for part, finding in found if finding.level == level]
    reasons: list[Say] = []
    for _, why in deciding:
        shown = Say(why.key, {name: _shown(value) for name, value in why.params.items()})
        if shown not in reasons:
            reasons.append(shown)
    return Verdict(level, tuple(reasons), deciding[0][0], RULES_VERSION)


def _shown(value: object) -> object:
    """Return a parameter as a person may see it: hidden characters escaped, not too long."""
    return _short(value, 80) if isinstance(value, str) else value


def _short(text: str, most: int = 400) -> str:
    """Return ``text`` with hidden characters escaped, cut after ``most`` characters."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return cut if unreadable(cut) is None else "".join(map(_escaped, cut))


def _escaped(char: str) -> str:
    """Return ``char`` itself, or its code where it cannot be seen."""
    return char if unreadable(char) is None else f"\\u{ord(char):04x}"
