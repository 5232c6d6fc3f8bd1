"""What the bot says to people, as a key with its parameters: the words come from one catalogue, later."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


def as_language(text: str | None, default: Language = "en") -> Language:
    """Return ``text`` as a language that the catalogue has, else ``default``."""
    return text if text in LANGUAGES else default


@dataclass(frozen=True, slots=True)
class Say:
    """One sentence to a person, in no language yet.

    key: the catalogue's dotted key, such as ``approval.expired``.
    params: plain JSON values for the sentence's places; a nested ``Say`` is allowed as ``{"say": …}``.
    """

    key: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the form that is stored."""
        return {"say": self.key, "params": dict(self.params)}


def say(key: str, /, **params: Any) -> Say:
    """Return a ``Say``; a ``Say`` among the parameters is kept to be put in words with the rest."""
    return Say(key, {k: v.as_json() if isinstance(v, Say) else v for k, v in params.items()})


class Texts(Protocol):
    """The catalogue."""

    def __call__(self, what: Say | Mapping[str, Any] | str, language: Language) -> str:
        """Return ``what`` in words: a ``Say``, its stored form, or a text that is already words."""
        ...
