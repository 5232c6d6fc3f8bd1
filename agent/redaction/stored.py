"""What is stored to be shown: a tool's arguments, sentences, a typed message, each without secrets.

Output is not treated here: it was redacted as a stream, and what stands next to a gap in it would be cut
again.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from agent.redaction.redact import Redact
from core.messages import Code, Part
from core.texts import Say


def without_secrets(value: Any, redact: Redact) -> Any:
    """Return JSON with every text in it redacted."""
    match value:
        case str():
            return redact(value)
        case Mapping():
            return {name: without_secrets(inner, redact) for name, inner in value.items()}
        case list() | tuple():
            return [without_secrets(inner, redact) for inner in value]
    return value


def storable(value: Any) -> Any:
    """Return JSON that PostgreSQL takes: without NUL and half surrogates."""
    match value:
        case str():
            return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
        case Mapping():
            return {storable(key): storable(each) for key, each in value.items()}
        case list() | tuple():
            return [storable(each) for each in value]
    return value


def parts_without_secrets(parts: Iterable[Part], redact: Redact) -> tuple[Part, ...]:
    """Return what is said with every text in it redacted, but for output."""
    return tuple(_part(part, redact) for part in parts)


def said_without_secrets(sentence: Say, redact: Redact) -> Say:
    """Return a sentence with every text in its places redacted."""
    return Say(sentence.key, without_secrets(sentence.params, redact))


def _part(part: Part, redact: Redact) -> Part:
    match part:
        case Say():
            return said_without_secrets(part, redact)
        case Code():
            return part
        case str():
            return redact(part)
