"""The catalogue of texts: every sentence in every language, side by side in ``texts/*.toml``."""

import string
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import structlog

from core.texts import LANGUAGES, Language, Say

logger = structlog.get_logger()


class Places(dict[str, Any]):
    """What goes into a sentence's places. What an older it0 stored may lack one: then it shows its name."""

    def __missing__(self, name: str) -> str:
        logger.error("place_missing", place=name)
        return f"{{{name}}}"


class Catalogue:
    """Puts a ``Say`` in words."""

    def __init__(self, sentences: Mapping[str, Mapping[Language, str]]) -> None:
        self._sentences = sentences

    def __call__(self, what: Say | Mapping[str, Any] | str, language: Language) -> str:
        """Return ``what`` in words; a key that is missing shows itself, because a lost sentence is worse."""
        if isinstance(what, str):
            return what
        key, params = (
            (what.key, what.params) if isinstance(what, Say) else (what["say"], what.get("params", {}))
        )
        sentence = self._sentences.get(key, {}).get(language)
        if sentence is None:
            logger.error("text_missing", key=key, language=language)
            return f"{key} {dict(params)}"
        return sentence.format_map(
            Places({name: self._word(value, language) for name, value in params.items()})
        )

    def _word(self, value: Any, language: Language) -> Any:
        return self(value, language) if isinstance(value, Mapping) and "say" in value else value

    def starting_with(self, prefixes: tuple[str, ...], language: Language) -> dict[str, str]:
        """Return every sentence whose key starts with one of ``prefixes``."""
        return {key: words[language] for key, words in self._sentences.items() if key.startswith(prefixes)}

    def items(self) -> Iterator[tuple[str, Mapping[Language, str]]]:
        """Yield every key with its sentences."""
        yield from self._sentences.items()


def places(sentence: str) -> set[str]:
    """Return the names of a sentence's places."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


@cache
def load_catalogue() -> Catalogue:
    """Return the catalogue that ships with it0.

    Raises ValueError for a key that stands twice, or lacks a language.
    """
    sentences: dict[str, Mapping[Language, str]] = {}
    folder = files("bot.texts")
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".toml"):
            continue
        for key, words in tomllib.loads(entry.read_text("utf-8")).items():
            if key in sentences or set(words) != set(LANGUAGES):
                raise ValueError(f"{entry.name}: {key} stands twice or lacks a language")
            sentences[key] = words
    return Catalogue(sentences)
