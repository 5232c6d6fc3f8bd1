"""A policy's document as a text: TOML or JSON in, TOML out."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.risk import check_policy
from core.errors import BadInput
from core.store.policies import Stored
from core.texts import say

LONGEST = 256 * 1024
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_AT = re.compile(r"at line (\d+)")


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked document; made_from: the version that it says it was made from, None if it says none."""

    document: Mapping[str, Any]
    made_from: int | None = None


def draft_of(text: str) -> Draft:
    """Return the policy that ``text`` is, JSON where it begins with a brace, else TOML.

    Raises BadInput saying what is wrong where.
    """
    if len(text) > LONGEST:
        raise BadInput("policy.too_long", most=LONGEST)
    try:
        raw = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput("policy.not_readable", form="JSON", line=error.lineno) from None
    except tomllib.TOMLDecodeError as error:
        at = _AT.search(str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        raise BadInput("policy.not_readable", form="TOML", line=line) from None
    except (RecursionError, ValueError):  # nested without end, or a number of thousands of digits
        raise BadInput("policy.not_readable", form="JSON/TOML", line=1) from None
    return checked_draft(raw)


def checked_draft(raw: Any) -> Draft:
    """Return a policy's document with the version that it was made from; raises BadInput."""
    document = check_policy(raw)
    version = raw.get("version")
    if version is not None and (type(version) is not int or version < 0):
        raise BadInput("policy.bad", where="version", why=say("policy.why_version"))
    return Draft(document, version)


def as_toml(stored: Stored) -> str:
    """Return a policy as TOML, which ``draft_of`` reads again."""
    return "\n".join(_tables("", {"version": stored.version, **stored.document})).strip("\n")


def _tables(path: str, table: Mapping[str, Any]) -> Iterator[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if path and (plain or not table):
        yield f"\n[{path}]"
    for key, value in plain.items():
        yield f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}"
    for key, value in table.items():
        if isinstance(value, Mapping) and (value or path):
            yield from _tables(f"{path}.{_key(key)}" if path else _key(key), value)


def _key(text: str) -> str:
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
