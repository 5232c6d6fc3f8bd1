"""Reads the rule files: which programs are known, and how they may be used.

A rule file is a reference: one table a program, with ``what`` it does and the uses that are understood.

    [df]
    what   = "Shows free space."      for people who read the file
    also   = "egrep fgrep"            other names of the same program
    level  = 0                        of the listed uses; 0 when left out
    reason = "reads_only"             the sentence risk.<reason> on the approval
    read   = true                     the level stands for what is read: prod and breadth do not raise it
    flags  = "-h -n=int --color?=name -# --arg=name+text +D=place"
                                      every flag that is understood: alone, with a value of a kind, with a
                                      value after "=" only, "-#" for -50, with two values, with a "+"; a
                                      flag not here is asked about
    shared = "-n=name"                flags that are understood before and after the subcommands, too
    args   = "text path*"             kinds of the operands; the last may end in ? * +
    need   = "-b --batch"             at least one of these must be there
    first_unless = "-e -f"            the first operand falls away when one of these is there
    alone  = "-l --list"              no operand may stand beside one of these
    recursive = "-r -R"               flags that make it read whole trees
    only_with = { "--data-urlencode" = "-G --get" }
                                      flags that are understood beside one of these only
    clash = { "-o" = "-f -l" }        flags that are not understood beside one of these
    raises = { "--rotate" = "cleans_logs" }
                                      flags that make it a low-risk change (L1), with the reason
    lowers = "-f --format"            with one of these the level falls away: its value tells what is shown
    exact  = true                     flags are whole words (find, openssl): no clusters
    apart  = true                     a value is always a word of its own: for programs that read flags their
                                      own way, and may take "-nk" for two flags and a value behind them
    ordered = true                    flags stand before operands: for programs that take later ones for files
    printed = true                    all behind the listed flags is operands: for programs that print it
    first  = "-q --query"             the first word begins with one of these
    wraps  = true                     after flags and args comes another command
    dashes = true                     … after "--" only
    any_case = true                   subcommands are the same in capitals; they are written in capitals here
    verb_last = true                  "service nginx status": the subcommand is the second word
    bare   = true                     may be used without a subcommand
    otherwise = "changes_packages"    the reason for a use that is not listed (always L2)
    same   = "docker compose"         alone in a table: used as this program, or subcommand, is
    [df.sub."list|ls"]                subcommands, each a rule of the same form; beside args, only the first
                                      word can be one
    [aws.sub.ec2.sub."describe-*"]    subcommands of one form, where none is listed by its whole name

``changes.toml`` lists the programs that are known to change things, by reason; ``forbidden.toml`` is for
the scan of what nobody may approve; ``assignments.toml`` has what may be set before a command;
``languages.toml``, ``paths.toml``, ``fields.toml`` list words for checkers.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from sys import intern
from typing import Any

from core.texts import Say
from core.work import Risk

_FOLDER = Path(__file__).parent / "rules"
_LISTS = ("forbidden", "changes", "languages", "paths", "fields", "hosts", "policy", "assignments")
"""Files that hold lists of words, not rules of programs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one piece of a command adds; ``change``: prod and breadth raise it from L1 to L2."""

    level: Risk
    why: Say
    change: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag that is understood; ``kind``: of its value, "" for none; ``attached``: only after ``=``."""

    kind: str = ""
    attached: bool = False


@dataclass(frozen=True, slots=True)
class Operand:
    """A place for operands; ``times``: "1", "?", "*" or "+"."""

    kind: str
    times: str = "1"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a program, or one of its subcommands, may be used; the fields are told above."""

    name: str
    level: Risk = Risk.L0
    reason: str = "reads_only"
    read: bool = False
    flags: Mapping[str, Flag] = field(default_factory=dict)
    shared: Mapping[str, Flag] = field(default_factory=dict)
    args: tuple[Operand, ...] = ()
    need: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    first_unless: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()
    recursive: frozenset[str] = frozenset()
    lowers: frozenset[str] = frozenset()
    raises: Mapping[str, str] = field(default_factory=dict)
    only_with: Mapping[str, str] = field(default_factory=dict)
    clash: Mapping[str, str] = field(default_factory=dict)
    exact: bool = False
    apart: bool = False
    ordered: bool = False
    printed: bool = False
    wraps: bool = False
    dashes: bool = False
    verb_last: bool = False
    bare: bool = False
    any_case: bool = False
    otherwise: str = ""
    same: str = ""
    sub: Mapping[str, "Rule"] = field(default_factory=dict)


_SETS = ("need", "first", "first_unless", "alone", "recursive", "lowers")
_SWITCHES = (
    "read",
    "exact",
    "apart",
    "ordered",
    "printed",
    "wraps",
    "dashes",
    "verb_last",
    "bare",
    "any_case",
)
_PLAIN = ("reason", "otherwise", *_SWITCHES)
_PAIRS = ("raises", "only_with", "clash")
_KNOWN = {"what", "also", "level", "flags", "shared", "args", "sub", *_PAIRS, *_SETS, *_PLAIN}


@cache
def _flag(kind: str, attached: bool) -> Flag:
    return Flag(kind, attached)


@cache
def _flags(text: str) -> Mapping[str, Flag]:
    """Return the flags that ``text`` lists; names of one program share them."""
    found = {}
    for item in text.split():
        name, _, kind = item.partition("=")
        found[intern(name.removesuffix("?"))] = _flag(kind, name.endswith("?"))
    return found


@cache
def _operands(text: str) -> tuple[Operand, ...]:
    """Return the operands that ``text`` lists."""
    return tuple(
        Operand(item[:-1], item[-1]) if item[-1] in "?*+" else Operand(item) for item in text.split()
    )


def rule_of(name: str, raw: Mapping[str, Any]) -> Rule:
    """Return the rule of one table; raises ValueError for a field that does not exist or misses ``what``."""
    if raw.keys() == {"same"}:
        return Rule(name, same=raw["same"])
    if raw.keys() - _KNOWN or not raw.get("what"):
        raise ValueError(f"rule {name}: unknown fields {sorted(raw.keys() - _KNOWN)}, or no 'what'")
    fields: dict[str, Any] = {key: frozenset(raw.get(key, "").split()) for key in _SETS}
    fields |= {key: raw[key] for key in (*_PLAIN, *_PAIRS) if key in raw}
    return Rule(
        name=name,
        level=Risk(raw.get("level", 0)),
        flags=_flags(raw.get("flags", "")),
        shared=_flags(raw.get("shared", "")),
        args=_operands(raw.get("args", "")),
        sub=_tables(raw.get("sub", {}), f"{name} "),
        **fields,
    )


def _tables(raw: Mapping[str, Any], prefix: str = "") -> dict[str, Rule]:
    """Return the rules of all tables by each of their names."""
    found: dict[str, Rule] = {}
    for names, table in raw.items():
        for name in [*names.split("|"), *table.get("also", "").split()]:
            if name in found:
                raise ValueError(f"rule {prefix}{name} is written twice")
            found[name] = rule_of(prefix + name, table)
    return found


def _version(files: list[Path]) -> str:
    """Return a hash of the files' names and content."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name}\n".encode() + file.read_bytes())
    return total.hexdigest()[:12]


def _programs(files: list[Path]) -> dict[str, Rule]:
    """Return the rules of all program files; raises ValueError when two files tell of one program."""
    found: dict[str, Rule] = {}
    for file in files:
        if file.stem in _LISTS:
            continue
        rules = _tables(tomllib.loads(file.read_text("utf-8")))
        if both := found.keys() & rules.keys():
            raise ValueError(f"{file.name}: {sorted(both)} are in another file as well")
        found |= rules
    return found


_FILES = sorted(_FOLDER.glob("*.toml"))

RULES_VERSION = _version(_FILES)
"""Changes with any rule; stored with each verdict."""

RULES: Mapping[str, Rule] = _programs(_FILES)


def meant(rule: Rule) -> Rule:
    """Return the rule that ``rule`` is the same as, or itself."""
    if not rule.same:
        return rule
    program, *subcommands = rule.same.split()
    found = RULES[program]
    for name in subcommands:
        found = found.sub[name]
    return meant(found)


_WORDS = {name: tomllib.loads((_FOLDER / f"{name}.toml").read_text("utf-8")) for name in _LISTS}

CHANGES: Mapping[str, str] = {
    name: reason for reason, names in _WORDS["changes"].items() for name in names.split()
}
"""Program -> why all its uses need an admin."""

FORBIDDEN: Mapping[str, Any] = _WORDS["forbidden"]

HOSTS: Mapping[str, Any] = _WORDS["hosts"]

ASSIGNED = "|".join(f"{name}=(?:{form})" for name, form in _WORDS["assignments"].items())
"""A pattern of what may be set before a command."""


def listed(file: str, key: str) -> frozenset[str]:
    """Return the words that a list file has under ``key``."""
    return frozenset(_WORDS[file][key].split())
