"""Reads a command's words by its rule: subcommands, flags with their values, operands, an inner command."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from agent.risk.kinds import judge_value
from agent.risk.lexer import Word
from agent.risk.rules import Finding, Flag, Operand, Rule, meant
from core.texts import Say, say
from core.work import Risk

_TELLS_OF_ITSELF = (["--version"], ["--help"])
"""Alone, no program that the rules know takes these for anything else."""
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


@dataclass(slots=True)
class Use:
    """How the words use the rule; ``inner``: the command that it wraps, None if it wraps none."""

    rule: Rule
    program: str
    shared: dict[str, Flag] = field(default_factory=dict)
    allowed: Mapping[str, Flag] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    values: list[tuple[str, Word]] = field(default_factory=list)
    operands: list[Word] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    inner: tuple[Word, ...] | None = None
    path: tuple[str, ...] = ()


def judge_use(rule: Rule, words: Sequence[Word]) -> tuple[list[Finding], tuple[Word, ...] | None]:
    """Return what the ``words`` after the program's name add, and the command that they wrap, if any."""
    if [word.text for word in words] in _TELLS_OF_ITSELF:
        return [Finding(Risk.L0, say("risk.reads_only", program=rule.name))], None
    use = _read(rule, words)
    if not use.findings:
        _judge(use)
    return use.findings, use.inner


def subcommand_of(rule: Rule, words: Sequence[Word]) -> tuple[str, ...] | None:
    """Return the subcommand that the ``words`` use, None where they are not understood."""
    use = _read(rule, words)
    return None if use.findings else use.path


def values_of(rule: Rule, words: Sequence[Word], kinds: Collection[str]) -> list[str]:
    """Return the values of some ``kinds`` among the ``words``."""
    use = _read(rule, words)
    return [word.text for kind, word in [*use.values, *(_bind(use) or ())] if kind in kinds]


def _read(rule: Rule, words: Sequence[Word]) -> Use:
    """Return how the ``words`` use the rule, subcommands followed."""
    use = Use(meant(rule), rule.name)
    while True:
        if use.rule.verb_last and len(words) > 1 and not words[0].text.startswith("-"):
            words = (words[1], words[0], *words[2:])
        rest = _take(use, words)
        if rest is None:
            break
        child = _child(use.rule, rest[0])
        if child is None:
            _ask(use, say("risk.unknown_subcommand", program=use.program, subcommand=rest[0].text))
            break
        use.rule, words = meant(child), rest[1:]
        use.path = (*use.path, rest[0].text)
    return use


def _child(rule: Rule, word: Word) -> Rule | None:
    """Return the rule of the subcommand that ``word`` names: by its whole name, or by its form."""
    name = word.text.upper() if rule.any_case and word.text.isascii() else word.text
    if word.glob:
        return None
    if child := rule.sub.get(name):
        return child if "*" not in name else None
    if _PLAIN_NAME.fullmatch(name) is None:
        return None
    return next((rule.sub[form] for form in rule.sub if "*" in form and fnmatchcase(name, form)), None)


def _ask(use: Use, why: Say) -> None:
    """Note that an admin has to look: with the rule's own reason where it has one."""
    reason = use.rule.otherwise
    use.findings.append(Finding(Risk.L2, say(f"risk.{reason}", program=use.program) if reason else why))


def _take(use: Use, words: Sequence[Word]) -> Sequence[Word] | None:
    """Note the flags and operands of one level; return the words from the subcommand on, None without one."""
    use.shared |= use.rule.shared
    use.allowed = {**use.shared, **use.rule.flags}
    if words and _child(use.rule, words[0]):
        return words
    if use.rule.first and not _begins(words, use.rule.first):
        _ask(use, say("risk.missing_option", program=use.program, option=sorted(use.rule.first)[0]))
        return None
    at = 0
    while at < len(words) and not use.findings:
        text = words[at].text
        if use.rule.printed and (use.operands or not _only_flags(text, use.allowed)):
            use.operands.extend(words[at:])
            return None
        if (text.startswith("-") and text != "-") or text in use.allowed:
            if text == "--":
                _after_dashes(use, words[at + 1 :])
                return None
            if use.rule.ordered and use.operands:
                _ask(use, _unknown(words[at]))
                return None
            at += _flag(use, words, at)
            continue
        if use.rule.sub and not use.rule.wraps and not use.rule.args:
            return words[at:]
        if use.rule.wraps and not use.rule.dashes and not _wants(use, words[at]):
            use.inner = tuple(words[at:])
            return None
        use.operands.append(words[at])
        at += 1
    if use.rule.sub and not use.rule.wraps and not use.rule.args and not use.rule.bare and not use.findings:
        _ask(use, say("risk.unknown_subcommand", program=use.program, subcommand=""))
    return None


def _only_flags(text: str, allowed: Mapping[str, Flag]) -> bool:
    """Return whether ``text`` is a flag, or a cluster of flags, that is listed: all else is printed."""
    return len(text) > 1 and text[0] == "-" and all(f"-{letter}" in allowed for letter in text[1:])


def _begins(words: Sequence[Word], flags: frozenset[str]) -> bool:
    """Return whether the first word is one of ``flags``, or a cluster that begins with one."""
    if not words:
        return False
    text = words[0].text
    return text in flags or (not text.startswith("--") and text[:2] in flags)


def _after_dashes(use: Use, words: Sequence[Word]) -> None:
    """Note what follows ``--``: the inner command, or operands."""
    if use.rule.wraps:
        use.inner = tuple(words)
    elif use.rule.sub or use.rule.exact:
        _ask(use, say("risk.unknown_option", program=use.program, option="--"))
    else:
        use.operands.extend(words)


def _wants(use: Use, word: Word) -> bool:
    """Return whether a wrapper takes ``word`` for itself before the inner command begins."""
    args = use.rule.args
    if args and args[-1].times == "*":
        return judge_value(args[-1].kind, word) is None
    return len(use.operands) < len(args)


def _flag(use: Use, words: Sequence[Word], at: int) -> int:
    """Note the flag, or the cluster of flags, at ``at``; return how many words it takes."""
    text = words[at].text
    if re.fullmatch(r"-\d{1,9}", text) and "-#" in use.allowed:
        return 1
    name, equals, value = text.partition("=")
    if use.rule.exact or text.startswith(("--", "+")) or (name in use.allowed and len(name) > 2):
        return _named(use, name, value if equals else None, words, at)
    return _cluster(use, words, at)


def _named(use: Use, name: str, value: str | None, words: Sequence[Word], at: int) -> int:
    """Note one flag that is a whole word."""
    flag = use.allowed.get(name)
    if flag is None or (value is not None and (not flag.kind or "+" in flag.kind)):
        _ask(use, say("risk.unknown_option", program=use.program, option=words[at].text))
        return 1
    use.seen.add(name)
    if value is not None:
        use.values.append((flag.kind, Word(value, words[at].glob)))
    elif flag.kind and not flag.attached:
        return _next_value(use, flag, words, at)
    return 1


def _next_value(use: Use, flag: Flag, words: Sequence[Word], at: int) -> int:
    """Note the next word as the flag's value, or the next words where it has several."""
    kinds = flag.kind.split("+")
    if at + len(kinds) >= len(words):
        _ask(use, say("risk.unknown_option", program=use.program, option=words[at].text))
        return 1
    use.values.extend(zip(kinds, words[at + 1 :], strict=False))
    return 1 + len(kinds)


def _cluster(use: Use, words: Sequence[Word], at: int) -> int:
    """Note short flags written together; the first one with a value takes what is left, or the next word."""
    text = words[at].text
    for place in range(1, len(text)):
        name = f"-{text[place]}"
        flag = use.allowed.get(name)
        if flag is None:
            _ask(use, say("risk.unknown_option", program=use.program, option=text))
            return 1
        use.seen.add(name)
        if not flag.kind:
            continue
        if place + 1 < len(text) and use.rule.apart:
            _ask(use, say("risk.unknown_option", program=use.program, option=text))
            return 1
        if place + 1 < len(text):
            use.values.append((flag.kind, Word(text[place + 1 :], words[at].glob)))
            return 1
        return 1 if flag.attached else _next_value(use, flag, words, at)
    return 1


def _judge(use: Use) -> None:
    """Add what the rule, its flags, values and operands say of this use."""
    rule = use.rule
    if rule.need and not use.seen & rule.need:
        _ask(use, say("risk.missing_option", program=use.program, option=sorted(rule.need)[0]))
        return
    lonely = [flag for flag, beside in rule.only_with.items() if not use.seen & set(beside.split())]
    clashing = [flag for flag, beside in rule.clash.items() if use.seen & set(beside.split())]
    if odd := sorted(use.seen & {*lonely, *clashing}):
        _ask(use, say("risk.unknown_option", program=use.program, option=odd[0]))
        return
    if rule.wraps and not use.inner:
        _ask(use, say("risk.missing_argument", program=use.program))
        return
    changes = rule.level > Risk.L0 and not rule.read
    if use.seen & rule.lowers:
        use.findings.append(Finding(Risk.L0, say("risk.reads_only")))
    else:
        why = say(f"risk.{rule.reason}", program=use.program)
        use.findings.append(Finding(rule.level, why, change=changes))
    for name, reason in rule.raises.items():
        if name in use.seen:
            use.findings.append(Finding(Risk.L1, say(f"risk.{reason}", program=use.program), change=True))
    bound = _bind(use)
    if bound is None:
        return
    recursive = bool(use.seen & rule.recursive)
    for kind, word in use.values:
        _add(use, Finding(Risk.L2, _unknown(word)) if word.glob else judge_value(kind, word))
    for kind, word in bound:
        _add(use, judge_value(kind, word, recursive=recursive))
    if recursive and not any(kind == "path" for kind, _ in bound):
        use.findings.append(Finding(Risk.L2, say("risk.reads_widely", path=".")))


def _add(use: Use, finding: Finding | None) -> None:
    if finding is not None:
        use.findings.append(finding)


def _unknown(word: Word) -> Say:
    return say("risk.unknown_argument", argument=word.text)


def _bind(use: Use) -> list[tuple[str, Word]] | None:
    """Return each operand with its kind; None, with the reason noted, when they do not fit the rule."""
    args: Sequence[Operand] = use.rule.args
    if use.seen & use.rule.first_unless:
        args = args[1:]
    if use.seen & use.rule.alone:
        args = ()
    if use.rule.wraps:
        if len(use.operands) > len(args) and args[-1:] and args[-1].times == "1":
            _ask(use, _unknown(use.operands[-1]))
        return [(arg.kind, word) for arg, word in zip(args, use.operands, strict=False)]
    bound: list[tuple[str, Word]] = []
    left = list(use.operands)
    for arg in args:
        if not left and arg.times in "1+":
            _ask(use, say("risk.missing_argument", program=use.program))
            return None
        many = arg.times in "*+"
        taken = left if many else left[:1]
        # One glob may become many words, so it stands only where many are understood.
        if not many and any(word.glob for word in taken):
            _ask(use, _unknown(taken[0]))
            return None
        bound += [(arg.kind, word) for word in taken]
        left = left[len(taken) :]
    if left:
        _ask(use, _unknown(left[0]))
        return None
    return bound
