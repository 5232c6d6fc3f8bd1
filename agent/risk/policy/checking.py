"""Checks a policy's document, and says in words what is wrong with it and where."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agent.risk.kinds import KINDS
from agent.risk.lexer import unreadable
from agent.risk.policy import ANY, FILE_ACTS
from agent.risk.rules import CHANGES, FORBIDDEN, HOSTS, RULES, listed
from core.errors import BadInput
from core.texts import Say, say
from core.work import ENVIRONMENTS, Risk

MOST_ENTRIES = 200
_LONGEST_COMMAND = 1000
_LONGEST_REASON = 200
_MOST_SERVERS = 1000
_DEEPEST = 4

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,62}")
_SUBCOMMAND = re.compile(r"[A-Za-z0-9][\w.:-]{0,62}( [A-Za-z0-9][\w.:-]{0,62}){0,3}")
_FLAG = re.compile(r"(--?[A-Za-z0-9][\w-]*)(\??=(\w+))?")
_PATH = re.compile(r"/|(?!.{1000})(/(?!\.{0,2}(/|\Z))[^/\x00-\x1f\x7f]+)+/?")
_OPERAND = re.compile(r"(\w+)[?*+]?")
_TIGHTENING = ("level", "reason", "program", "subcommand", "path", "command", "environments", "servers")
_OWN = ("level", "flags", "shared", "args", "exact", "sub")
KINDS_OF_OWN = listed("policy", "kinds")
_ANYTHING = listed("policy", "kinds_of_anything")


def _words(value: Any) -> set[str]:
    """Return every word that a list file holds, also as the name of something."""
    match value:
        case str():
            return set(value.split())
        case dict():
            return {*value, *(word for inner in value.values() for word in _words(inner))}
        case list():
            return {word for inner in value for word in _words(inner)}
    return set()


_TAKEN = _words(FORBIDDEN) | listed("policy", "reserved") | _words(list(HOSTS)) | {"mkfs"}
"""Programs that the scan of what is forbidden, or of hosts, has its own eye on."""


def checked(document: Any) -> Mapping[str, Any]:
    """Return the document with its entries by name, in its one form; raises BadInput saying what is wrong."""
    table = _table("policy", document, ("tighten", "program", "version"))
    tightened = _table("tighten", table.get("tighten", {}))
    own = _table("program", table.get("program", {}))
    if len(tightened) + len(own) > MOST_ENTRIES:
        raise _bad("policy", say("policy.why_too_many", most=MOST_ENTRIES))
    if both := sorted(tightened.keys() & own.keys()):
        raise _bad(f"tighten.{both[0]}", say("policy.why_same_name"))
    return {
        "tighten": {name: _checked_tightening(name, tightened[name]) for name in sorted(tightened)},
        "program": {name: _checked_own(name, own[name]) for name in sorted(own)},
    }


def _bad(where: str, why: Say) -> BadInput:
    return BadInput("policy.bad", where=where[:100], why=why)


def _table(where: str, value: Any, known: Sequence[str] = ()) -> Mapping[str, Any]:
    """Return ``value`` if it is a table without fields other than ``known``, where there are some."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _bad(where, say("policy.why_no_table"))
    for field in value:
        if known and field not in known:
            raise _bad(where, say("policy.why_unknown_field", field=field[:40], known=", ".join(known)))
    return value


def _text(where: str, table: Mapping[str, Any], field: str) -> str:
    value = table.get(field, "")
    if not isinstance(value, str):
        raise _bad(where, say("policy.why_no_text", field=field))
    return value


def _reason(where: str, table: Mapping[str, Any]) -> str:
    text = _text(where, table, "reason").strip()
    if not 0 < len(text) <= _LONGEST_REASON or "\n" in text or unreadable(text):
        raise _bad(where, say("policy.why_reason", most=_LONGEST_REASON))
    return text


def _level(where: str, table: Mapping[str, Any], least: int, most: int) -> int:
    level = table.get("level")
    if type(level) is not int or not least <= level <= most:
        raise _bad(where, say("policy.why_level", least=least, most=most))
    return level


def _checked_tightening(name: str, value: Any) -> Mapping[str, Any]:
    where = f"tighten.{name}"
    if not _NAME.fullmatch(name):
        raise _bad(where, say("policy.why_name"))
    table = _table(where, value, _TIGHTENING)
    found: dict[str, Any] = {"level": _level(where, table, 1, 3), "reason": _reason(where, table)}
    return {**found, **_subject(where, table), **_place(where, table)}


def _subject(where: str, table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an entry raises: a program, its subcommand, a file, or one exact command."""
    program, subcommand, path, command = (
        _text(where, table, name) for name in ("program", "subcommand", "path", "command")
    )
    if bool(program) == bool(command) or (subcommand and program in ("", ANY, *FILE_ACTS)):
        raise _bad(where, say("policy.why_subject"))
    if path and (program not in FILE_ACTS or not _PATH.fullmatch(path)):
        raise _bad(where, say("policy.why_path", known=", ".join(FILE_ACTS)))
    if command:
        if len(command) > _LONGEST_COMMAND or unreadable(command) or not command.strip():
            raise _bad(where, say("policy.why_command", most=_LONGEST_COMMAND))
        return {"command": command.strip()}
    if program != ANY and not _PROGRAM.fullmatch(program):
        raise _bad(where, say("policy.why_program", program=program[:80]))
    if subcommand and not _SUBCOMMAND.fullmatch(subcommand):
        raise _bad(where, say("policy.why_subcommand", subcommand=subcommand[:80]))
    return {
        "program": program,
        **({"subcommand": subcommand} if subcommand else {}),
        **({"path": path.rstrip("/") or "/"} if path else {}),
    }


def _place(where: str, table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return where an entry holds."""
    environments, servers = table.get("environments", []), table.get("servers", 1)
    if not isinstance(environments, list) or not all(each in ENVIRONMENTS for each in environments):
        raise _bad(where, say("policy.why_environments", known=", ".join(ENVIRONMENTS)))
    if type(servers) is not int or not 1 <= servers <= _MOST_SERVERS:
        raise _bad(where, say("policy.why_servers", most=_MOST_SERVERS))
    listed_once = [each for each in ENVIRONMENTS if each in environments]
    return {
        **({"environments": listed_once} if listed_once else {}),
        **({"servers": servers} if servers > 1 else {}),
    }


def _checked_own(name: str, value: Any) -> Mapping[str, Any]:
    where = f"program.{name}"
    if not _PROGRAM.fullmatch(name):
        raise _bad(where, say("policy.why_program", program=name[:80]))
    if name in RULES or name in CHANGES or name in _TAKEN or name.startswith("mkfs."):
        raise _bad(where, say("policy.why_known", program=name))
    table = _table(where, value, ("reason", *_OWN))
    return {"reason": _reason(where, table), **_uses(where, table, 1)}


def _uses(where: str, table: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
    """Return how a program, or its subcommand, may be used."""
    level = _level(where, table, 0, 2)
    found: dict[str, Any] = {"level": level}
    for field in ("flags", "shared", "args"):
        words = _text(where, table, field).split()
        for word in words:
            _check_word(where, field, word, level)
        found |= {field: " ".join(words)} if words else {}
    if "exact" in table:
        if not isinstance(table["exact"], bool):
            raise _bad(where, say("policy.why_no_switch", field="exact"))
        found["exact"] = table["exact"]
    if "sub" in table:
        subs = _table(f"{where}.sub", table["sub"])
        if depth > _DEEPEST or not subs or "args" in found:
            raise _bad(where, say("policy.why_sub"))
        found["sub"] = {name: _sub(f"{where}.sub.{name}", name, subs[name], depth) for name in sorted(subs)}
    return found


def _sub(where: str, name: str, value: Any, depth: int) -> Mapping[str, Any]:
    if not _SUBCOMMAND.fullmatch(name) or " " in name:
        raise _bad(where, say("policy.why_subcommand", subcommand=name[:80]))
    return _uses(where, _table(where, value, _OWN), depth + 1)


def _check_word(where: str, field: str, word: str, level: int) -> None:
    """Raise BadInput for a flag or an operand that is none, or names a kind that there is not."""
    found = (_OPERAND if field == "args" else _FLAG).fullmatch(word)
    if found is None:
        raise _bad(where, say("policy.why_word", field=field, word=word[:40]))
    kind = found[1] if field == "args" else found[3]
    if kind is not None and (kind not in KINDS_OF_OWN or kind not in KINDS):
        raise _bad(where, say("policy.why_kind", kind=kind[:40], known=", ".join(sorted(KINDS_OF_OWN))))
    if kind in _ANYTHING and level == Risk.L0:
        raise _bad(where, say("policy.why_anything", kind=kind))
