"""Finds the commands inside commands: behind sudo, in sh -c '…', after find -exec, on another host."""

import re
from collections.abc import Iterator, Sequence

from agent.risk.rules import FORBIDDEN, listed

_MOST_STARTS = 32
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_WRAPPERS = {
    name: (frozenset(values.split()), skip) for name, (values, skip) in FORBIDDEN["wrappers"].items()
}
_SHELLS = listed("forbidden", "shells")
_INTERPRETERS = listed("forbidden", "interpreters")
_CONTAINERS = listed("forbidden", "container_tools")
_CONTAINER_VALUES = listed("forbidden", "container_values")
_TAKE_A_COMMAND_TEXT = listed("forbidden", "take_a_text")
_JOIN_THEIR_WORDS = listed("forbidden", "join_their_words")
RUNNERS = _WRAPPERS.keys() | _CONTAINERS | {"find"}
"""Programs whose arguments hold another command."""

_FIND_RUNS = listed("forbidden", "find_runs")
_QUIET_FLAGS = listed("forbidden", "quiet_flags")
_STDIN = frozenset(("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"))


def program(word: str) -> str:
    """Return the program's name without its folder."""
    return word.rpartition("/")[2]


def starts(words: Sequence[str]) -> list[int]:
    """Return where in ``words`` a command may begin: the first word, and behind each wrapper."""
    first = past_assignments(words, 0)
    if first < len(words) and program(words[first]) not in RUNNERS:
        return [first]
    waiting, found = [first], list[int]()
    while waiting and len(found) < _MOST_STARTS:
        at = waiting.pop()
        if at < len(words) and at not in found:
            found.append(at)
            waiting.extend(_inner(words, at))
    return found


def past_assignments(words: Sequence[str], at: int) -> int:
    """Return the index of the first word from ``at`` on that assigns nothing."""
    while at < len(words) and _ASSIGNMENT.match(words[at]):
        at += 1
    return at


def _inner(words: Sequence[str], at: int) -> Iterator[int]:
    """Yield where the command begins that the one at ``at`` runs."""
    name = program(words[at])
    if name == "command" and any(word in ("-v", "-V", "-pv", "-pV") for word in words[at + 1 : at + 2]):
        return  # it only tells where the program is
    if name in _WRAPPERS:
        values, skip = _WRAPPERS[name]
        yield past_flags(words, at + 1, values, skip)
    elif name == "find":
        yield from (place + 1 for place in range(at + 1, len(words)) if words[place] in _FIND_RUNS)
    elif name in _CONTAINERS and "exec" in words[at : at + 12]:
        yield past_flags(words, words.index("exec", at) + 1, _CONTAINER_VALUES, 1)
        if "--" in words:
            yield words.index("--") + 1


def past_flags(words: Sequence[str], at: int, values: frozenset[str], skip: int = 0) -> int:
    """Return the index behind flags, their values, assignments, and ``skip`` operands."""
    while at < len(words):
        word = words[at]
        if word.startswith("-"):
            at += 1 + _takes_next(word, values)
        elif _ASSIGNMENT.match(word):
            at += 1
        elif skip:
            skip, at = skip - 1, at + 1
        else:
            break
    return at


def _takes_next(flag: str, values: frozenset[str]) -> bool:
    """Return whether a flag, or the last of a cluster, takes the next word."""
    if flag.startswith("--"):
        return flag in values
    first = next((place for place, char in enumerate(flag[1:64]) if f"-{char}" in values), None)
    return first is not None and first == len(flag) - 2


def scripts(words: Sequence[str], at: int, heres: Sequence[str]) -> Iterator[str]:
    """Yield the shell texts that the command at ``at`` runs."""
    name = program(words[at])
    args = words[at + 1 :]
    if name in _SHELLS:
        yield from heres
        yield from _after_c(args)
    elif name == "trap":
        yield from args[:1]
    elif name == "alias":
        yield from (arg.partition("=")[2] for arg in args)
    elif name in _JOIN_THEIR_WORDS:
        begin = min(past_flags(words, at + 1, *_WRAPPERS.get(name, (frozenset(), 0))), len(words))
        while begin > at + 1 and _ASSIGNMENT.match(words[begin - 1]):
            begin -= 1  # it may be the whole text in one word
        yield " ".join(words[begin:])
    elif name in _TAKE_A_COMMAND_TEXT:
        yield from _after_c(args)
        yield from (arg.partition("=")[2] for arg in args if arg.startswith("--command="))
    elif name == "env" and "-S" in args[:-1]:
        yield args[args.index("-S") + 1]


def _after_c(args: Sequence[str]) -> Iterator[str]:
    """Yield the text that follows -c, also in a cluster such as -lc."""
    for place, arg in enumerate(args[:-1]):
        if arg == "--command" or re.fullmatch(r"-[A-Za-z]{0,8}c[A-Za-z]{0,8}", arg):
            following = next((word for word in args[place + 1 :] if not word.startswith("-")), None)
            if following is not None:
                yield following
            return


def runs_inline(args: Sequence[str]) -> bool:
    """Return whether an interpreter gets its program as an argument (-c, -e, -m …)."""
    return any(re.fullmatch(r"-[A-Za-z]{0,4}[cemr]|--eval|--command", arg) is not None for arg in args[:4])


def runs_stdin(name: str, args: Sequence[str]) -> bool:
    """Return whether ``name`` with ``args`` takes its program from the standard input."""
    if name not in _SHELLS and name not in _INTERPRETERS:
        return False
    if name in _SHELLS and "-s" in args:
        return True
    operands = [arg for arg in args if arg in _STDIN or not arg.startswith("-")]
    flags = [arg for arg in args if arg.startswith("-") and arg not in _STDIN]
    if operands[:1] == ["pipefail"]:
        operands = operands[1:]
    inline = any(flag not in _QUIET_FLAGS for flag in flags) and (name in _INTERPRETERS or runs_inline(args))
    return not inline and (not operands or operands[0] in _STDIN)
