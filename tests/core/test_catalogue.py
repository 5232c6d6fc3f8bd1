"""The catalogue: both languages say the same, the code says nothing that it lacks, and it lacks nothing."""

import ast
import re
import string
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.texts.catalogue import Catalogue, load_catalogue, places
from core import errors
from core.texts import LANGUAGES, Say, say

ROOT = Path(__file__).parents[2]
TEXTS = ROOT / "bot" / "texts"
FILES = (
    "agent",
    "api",
    "bot",
    "chat",
    "console",
    "files",
    "fleet",
    "kube",
    "pages",
    "policy",
    "risk",
    "settings",
    "setup",
    "shell",
    "stepup",
)
ROOMS = ("agent", "bot", "channels", "core", "scheduler", "skills", "voice")
KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
SENTENCES = dict(load_catalogue().items())
HAN = re.compile(r"[\u3400-\u9fff]")


def test_every_file_of_texts_is_there() -> None:
    assert sorted(file.stem for file in TEXTS.glob("*.toml")) == sorted(FILES)


@pytest.mark.parametrize("file", sorted(TEXTS.glob("*.toml")), ids=lambda file: file.stem)
def test_each_key_stands_once_with_every_language_and_well_formed(file: Path) -> None:
    for key, words in tomllib.loads(file.read_text("utf-8")).items():
        assert KEY.fullmatch(key), key
        assert set(words) == set(LANGUAGES), key
        assert all(isinstance(text, str) and text.strip() for text in words.values()), key
    keys = re.findall(r'^\["([^"]+)"\]', file.read_text("utf-8"), re.MULTILINE)
    assert len(keys) == len(set(keys)) == len(tomllib.loads(file.read_text("utf-8")))


@pytest.mark.parametrize("key", SENTENCES)
def test_both_languages_have_the_same_places(key: str) -> None:
    words = SENTENCES[key]
    assert places(words["en"]) == places(words["zh"])
    for language in LANGUAGES:
        for _, name, form, conversion in string.Formatter().parse(words[language]):
            assert name is None or name.isidentifier(), words[language]
            assert not conversion, words[language]
            assert not form, words[language]


SAME_IN_BOTH = re.compile(r"[\W\d_]*|.*(it0|SSH|ID|IP|URL|English|中文|L\d|{).*", re.DOTALL)


@pytest.mark.parametrize("key", SENTENCES)
def test_chinese_is_chinese_and_english_is_english(key: str) -> None:
    words = SENTENCES[key]
    plain = re.sub(r"{\w+}", "", words["zh"])
    if words["zh"] != words["en"]:
        assert HAN.search(plain) or not re.search(r"[a-z]{4}", plain), words["zh"]
    if "中文" not in words["en"]:
        assert not HAN.search(words["en"]), words["en"]


@dataclass(frozen=True)
class Use:
    """A key as it stands in the code. names: the given parameters, None where they cannot be seen."""

    where: str
    pattern: re.Pattern[str]
    names: frozenset[str] | None


@cache
def trees() -> list[tuple[str, ast.Module]]:
    """Return (path, tree) of all Python code of the product."""
    files = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]
    return [(str(file.relative_to(ROOT)), ast.parse(file.read_text("utf-8"))) for file in files]


@cache
def pages() -> list[tuple[str, str]]:
    """Return (path, text) of the page's code and of the rules."""
    found = [*(ROOT / "bot" / "console").rglob("*.js"), *(ROOT / "bot" / "console").rglob("*.html")]
    found += (ROOT / "agent" / "risk" / "rules").glob("*.toml")
    return [(str(file.relative_to(ROOT)), file.read_text("utf-8")) for file in sorted(found)]


@cache
def error_classes() -> set[str]:
    """Return the names of every error that has a sentence."""
    names = {name for name, each in vars(errors).items() if is_error(each)}
    while True:
        more = {
            node.name
            for _, tree in trees()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) in names for base in node.bases)
        }
        if more <= names:
            return names
        names |= more


def is_error(value: Any) -> bool:
    """Return whether it is one of it0's own errors."""
    return isinstance(value, type) and issubclass(value, errors.It0Error)


def pattern_of(node: ast.expr) -> re.Pattern[str] | None:
    """Return what a key looks like, None where the code does not show it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.compile(re.escape(node.value))
    if isinstance(node, ast.JoinedStr):
        parts = [
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"([a-z0-9_]+)"
            for part in node.values
        ]
        return re.compile("".join(parts))
    return None


def shown(pattern: re.Pattern[str]) -> str:
    """Return the key, with x for what is put in."""
    return pattern.pattern.replace("\\", "").replace("([a-z0-9_]+)", "x")


SAYERS = {"say", "Say", "_say"}


def uses() -> Iterator[Use]:
    """Yield every key that Python code says, with the parameters that go with it."""
    speaking = SAYERS | error_classes()
    for path, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            pattern = pattern_of(node.args[0]) if name in speaking else None
            if pattern is None or not KEY.fullmatch(
                pattern.pattern.replace("\\", "").replace("([a-z0-9_]+)", "x")
            ):
                continue
            names = frozenset(each.arg for each in node.keywords if each.arg)
            bare = isinstance(node.func, ast.Name) or name not in SAYERS  # a method may add some
            seen = bare and all(each.arg for each in node.keywords) and len(node.args) == 1
            yield Use(f"{path}:{node.lineno}", pattern, names if seen else None)


USES = list(uses())


def test_uses_are_found() -> None:
    assert len(USES) > 150
    assert {"server.name_taken", "setup.home_in_use"} <= {
        use.pattern.pattern.replace("\\", "") for use in USES
    }


def test_every_key_in_the_code_has_its_sentence() -> None:
    missing = [
        f"{use.where}: {use.pattern.pattern}"
        for use in USES
        if not any(use.pattern.fullmatch(key) for key in SENTENCES)
    ]
    assert missing == []


def test_every_errors_own_key_has_its_sentence() -> None:
    missing = [
        f"{path}:{node.lineno}: {statement.value.value}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name in error_classes()
        for statement in node.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "key"
        if isinstance(statement.value, ast.Constant) and statement.value.value not in SENTENCES
    ]
    assert missing == []


ERRORS = [each for each in vars(errors).values() if is_error(each)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_can_be_said_in_both_languages(error: type[errors.It0Error]) -> None:
    for language in LANGUAGES:
        with capture_logs() as logs:
            words = load_catalogue()(
                error(reason="r", server="s", expected="e", seen="f", seconds=3).say, language
            )
        assert logs == []
        assert words


def test_every_sentence_gets_all_that_it_has_places_for() -> None:
    lacking = []
    for use in USES:
        key = shown(use.pattern)
        if use.names is not None and key in SENTENCES:
            wanted = places(SENTENCES[key]["en"])
            lacking += [f"{use.where}: {key} lacks {name}" for name in sorted(wanted - use.names)]
    assert lacking == []


@cache
def literals() -> tuple[set[str], list[re.Pattern[str]], set[str]]:
    """Return (strings in the code, patterns of those that are put together, all words)."""
    strings: set[str] = set()
    patterns: list[re.Pattern[str]] = []
    text = ""
    for path, tree in trees():
        text += (ROOT / path).read_text("utf-8")
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.add(node.value)
            if isinstance(node, ast.JoinedStr) and (pattern := pattern_of(node)) is not None:
                patterns.append(pattern)
    for _, page in pages():
        text += page
        strings |= set(re.findall(r"[\"'`]([a-z][a-z0-9_.]*)[\"'`]", page))
        for template in re.findall(r"`([a-z0-9_.]+(?:\${[^}`]*}[a-z0-9_.]*)+)`", page):
            parts = re.split(r"\${[^}]*}", template)
            patterns.append(re.compile(r"([a-z0-9_]+)".join(map(re.escape, parts))))
    with_dot = [pattern for pattern in patterns if re.match(r"[a-z]+\\?\.", pattern.pattern)]
    words = {word.replace("/", "_") for word in re.findall(r"[a-z0-9_]+(?:/[a-z0-9_]+)?", text)}
    words |= set(re.findall(r"[a-z0-9_]+", text)) | {str(number) for number in range(600)}
    return strings, with_dot, words


def is_used(key: str) -> bool:
    """Return whether the code has the key, or puts it together of words that it has."""
    strings, patterns, words = literals()
    if key in strings:
        return True
    for pattern in patterns:
        found = pattern.fullmatch(key)
        if found and all(part in words for part in found.groups()):
            return True
    return False


def test_every_sentence_is_said_somewhere() -> None:
    assert [key for key in SENTENCES if not is_used(key)] == []


def test_sentence_nobody_says_would_be_found() -> None:
    assert not is_used("server.nobody_says_this")
    assert not is_used("risk.nobody_gives_this_reason_zz")


def test_missing_sentence_shows_its_key_and_is_logged() -> None:
    with capture_logs() as logs:
        words = load_catalogue()(say("no.such_key", name="x"), "zh")
    assert words == "no.such_key {'name': 'x'}"
    assert [entry["event"] for entry in logs] == ["text_missing"]


def test_missing_place_shows_its_name_and_breaks_nothing() -> None:
    catalogue = Catalogue({"a.b": {"en": "Hello {name}, {more}", "zh": "你好 {name}，{more}"}})
    with capture_logs() as logs:
        assert catalogue(say("a.b", name="Ann"), "en") == "Hello Ann, {more}"
    assert [entry["event"] for entry in logs] == ["place_missing"]


def test_sentence_in_a_place_is_put_in_the_same_language() -> None:
    for language, word in (("en", "admin"), ("zh", "管理员")):
        inner = load_catalogue()(Say("role.admin"), language)
        outer = load_catalogue()(say("approval.not_yours_role", role=Say("role.admin")), language)
        assert inner in outer
        assert word.lower() in inner.lower()


def test_braces_in_a_parameter_are_data() -> None:
    catalogue = Catalogue({"a.b": {"en": "{text}", "zh": "{text}"}})
    assert catalogue(say("a.b", text="{text.__class__} {0}"), "en") == "{text.__class__} {0}"


def test_stored_form_reads_like_the_sentence_itself() -> None:
    said = say("server.name_taken", server="web")
    for language in LANGUAGES:
        assert load_catalogue()(said.as_json(), language) == load_catalogue()(said, language)
    assert load_catalogue()("as it is", "zh") == "as it is"
