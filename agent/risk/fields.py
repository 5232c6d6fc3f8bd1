"""Which fields of an object may be shown unasked; and Go's templates and JSONPath, which pick fields.

Each reader follows every place that its text may print from. What it does not understand is not harmless.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from agent.risk.rules import listed

Path = tuple[str, ...]
"""Names from the root of an object to a field; places in lists are left out."""

LONGEST = 2000
"""Characters of a template that are read."""


def _pods() -> Iterator[str]:
    """Yield the harmless fields of every pod's specification."""
    for pod in ("spec", "spec.template.spec", "spec.jobTemplate.spec.template.spec"):
        yield from (f"{pod}.{name}" for name in listed("fields", "pod"))
        for kind in ("containers", "initContainers", "ephemeralContainers"):
            yield from (f"{pod}.{kind}.{name}" for name in listed("fields", "container"))


KUBERNETES = listed("fields", "kubernetes") | frozenset(_pods())
DOCKER = listed("fields", "docker")


def harmless(fields: frozenset[str], path: Path) -> bool:
    """Return whether ``path`` is, or is below, a field of the list ``fields``."""
    names = ".".join(path[1:] if path[:1] == ("items",) else path)
    if names in fields:
        return True
    ends = [at for at, char in enumerate(names) if char == "."] + [len(names)]
    return any(f"{names[:end]}.**" in fields for end in ends)


@cache
def _ways(fields: frozenset[str]) -> frozenset[str]:
    """Return what the list ``fields`` goes through on its way to each field."""
    return frozenset(name[:at] for name in fields for at, char in enumerate(name) if char == ".")


def leads(fields: frozenset[str], path: Path) -> bool:
    """Return whether ``path`` is harmless, or on the way to a field that is."""
    names = ".".join(path[1:] if path[:1] == ("items",) else path)
    return not names or names in _ways(fields) or harmless(fields, path)


class _Beyond(Exception):
    """The text is not understood, or shows what is not harmless."""


# JSONPath, as kubectl has it

_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_STEP = re.compile(
    rf"""\.\.(?P<deep>[A-Za-z]\w*)|\.(?P<all>\*)|\.?(?P<name>(?:[\w/-]|\\[^\n])+)|(?P<place>\[(?:\*|-?\d*(?::-?\d*){{0,2}})\])
    |\[(?P<names>(?:{_QUOTED})(?:,\ *(?:{_QUOTED}))*)\]
    |(?P<filter>\[\?\(\ *@[\w.\\/\[\]*-]*\ *(?:(?:==|!=|<=?|>=?)\ *(?:{_QUOTED}|[\w.-]+)\ *)?\)\])""",
    re.VERBOSE,
)
_ACTION = re.compile(rf"\{{((?:{_QUOTED}|[^{{}}\"'])*)\}}")
_ITEM = re.compile(rf"[ \t,]+|(?P<text>{_QUOTED})|(?P<word>range|end)(?![\w.\[-])|(?P<path>[.@$\[\w])")
_ASKS_VALUE = re.compile(r"\b(env|value|data|stringData|command|args)\b", re.IGNORECASE)


def jsonpath_is_harmless(text: str, fields: frozenset[str]) -> bool:
    """Return whether a JSONPath template such as ``{.status.phase}`` shows only ``fields``."""
    if len(text) > LONGEST:
        return False
    try:
        _read_jsonpath(text, fields)
    except _Beyond:
        return False
    return True


def _read_jsonpath(text: str, fields: frozenset[str]) -> None:
    contexts: list[Sequence[Path]] = [((),)]
    at = 0
    while at < len(text):
        if text[at] not in "{}":
            at += 1
            continue
        action = _ACTION.match(text, at)
        if action is None:
            raise _Beyond
        _jsonpath_action(action[1], contexts, fields)
        at = action.end()
    # Behind a range that nothing ends, kubectl goes on with the whole object.
    if len(contexts) > 1:
        raise _Beyond


def _jsonpath_action(text: str, contexts: list[Sequence[Path]], fields: frozenset[str]) -> None:
    """Follow what stands between a pair of braces."""
    at, ranging = 0, False
    while at < len(text):
        item = _ITEM.match(text, at)
        if item is None:
            raise _Beyond
        at = item.end()
        if item["word"] == "end":
            contexts.pop()
            if not contexts:
                raise _Beyond
        elif item["word"]:
            ranging = True
        elif item["path"]:
            paths, at = _steps(text, item.start(), contexts)
            if ranging:
                contexts.append(paths)
                ranging = False
            elif not all(harmless(fields, path) for path in paths):
                raise _Beyond


def _steps(text: str, at: int, contexts: Sequence[Sequence[Path]]) -> tuple[list[Path], int]:
    """Return the paths that the expression at ``at`` leads to, and where it ends."""
    paths = list(contexts[0] if text[at] == "$" else contexts[-1])
    at += text[at] in "@$"
    while step := _STEP.match(text, at):
        at = step.end()
        if step["filter"] and _ASKS_VALUE.search(step["filter"]):
            raise _Beyond
        if step["deep"]:
            paths = [("**", step["deep"])]
        elif step["all"]:
            paths = [(*path, "*") for path in paths]
        elif step["name"]:
            paths = [(*path, re.sub(r"\\(.)", r"\1", step["name"])) for path in paths]
        elif step["names"]:
            names = [name[1:-1].split(".") for name in re.findall(_QUOTED, step["names"])]
            paths = [(*path, *name) for path in paths for name in names]
    if at < len(text) and text[at] not in " \t,":
        raise _Beyond
    return paths, at


def columns_are_harmless(text: str, fields: frozenset[str]) -> bool:
    """Return whether columns such as ``NAME:.metadata.name,NODE:.spec.nodeName`` show only ``fields``."""
    found = [column.partition(":") for column in text.split(",")]
    return all(
        colon and jsonpath_is_harmless("{" + path.removeprefix("{").removesuffix("}") + "}", fields)
        for _, colon, path in found
    )


# Go's templates

_GO_ACTION = re.compile(r"\{\{(?:- )?(.*?)(?: -)?\}\}", re.DOTALL)
_GO_TOKEN = re.compile(
    r"""[ \t\n]+|(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?)|(?P<var>\$\w*(?:\.\w+)*)
    |(?P<field>(?:\.[A-Za-z_]\w*)+|\.(?!\w))|(?P<name>[A-Za-z]\w*)|(?P<sign>:=|[(),|])""",
    re.VERBOSE,
)
_GO_CALLS = listed("fields", "template_calls")
_GO_WORDS = frozenset(("range", "with", "if", "else", "end"))
_GO_DEEPEST = 20


@dataclass(slots=True)
class _Go:
    """A template as it is read; ``contexts``: what "." is in each open block."""

    fields: frozenset[str]
    contexts: list[list[Path]] = field(default_factory=lambda: [[()]])
    names: dict[str, list[Path]] = field(default_factory=lambda: {"$": [()]})
    tokens: list[tuple[str, str]] = field(default_factory=list)

    def peek(self) -> tuple[str, str]:
        return self.tokens[0] if self.tokens else ("", "")

    def take(self) -> tuple[str, str]:
        if not self.tokens:
            raise _Beyond
        return self.tokens.pop(0)

    def show(self, paths: Sequence[Path]) -> None:
        """Take note that the fields at ``paths`` may be printed."""
        if not all(harmless(self.fields, path) for path in paths):
            raise _Beyond

    def action(self, text: str) -> None:
        """Follow what stands between a pair of double braces."""
        self.tokens = list(_go_tokens(text))
        if self.tokens.count(("sign", "(")) > _GO_DEEPEST:
            raise _Beyond
        word = self.take()[1] if self.peek()[1] in _GO_WORDS else ""
        if word in ("else", "end") and len(self.contexts) == 1:
            raise _Beyond
        if word == "else":
            # What "." was before the block, also behind "range" and "with".
            self.contexts[-1] = self.contexts[-2]
            if self.tokens and self.take() != ("name", "if"):
                raise _Beyond
        if word == "end":
            self.contexts.pop()
        elif word in ("range", "with"):
            _, paths = self.named_pipe()
            if word == "range" and () in paths:
                raise _Beyond
            self.contexts.append(paths)
        elif word == "if":
            self.show(self.pipe())
            self.contexts.append(self.contexts[-1])
        elif self.tokens:
            named, paths = self.named_pipe()
            self.show([] if named else paths)
        if self.tokens:
            raise _Beyond

    def named_pipe(self) -> tuple[bool, list[Path]]:
        """Read a pipe, and whether variables take its values instead of the output."""
        names = []
        more = ("sign", ":=") in self.tokens
        while more:
            kind, name = self.take()
            if kind != "var" or not name[1:].isidentifier():
                raise _Beyond
            names.append(name)
            sign = self.take()
            more = sign == ("sign", ",")
            if not more and sign != ("sign", ":="):
                raise _Beyond
        paths = self.pipe()
        for name in names:
            # A block within may give the same name to something else.
            self.names[name] = list(dict.fromkeys([*self.names.get(name, []), *paths]))
        return bool(names), paths

    def pipe(self) -> list[Path]:
        """Read commands joined by ``|``; what is handed on counts as printed."""
        paths = self.command()
        while self.peek() == ("sign", "|"):
            self.take()
            self.show(paths)
            if self.peek()[0] != "name":
                raise _Beyond
            paths = self.command()
        return paths

    def command(self) -> list[Path]:
        """Read one value, or a function with its arguments."""
        if self.peek()[0] != "name":
            return self.term()
        call = self.take()[1]
        if call not in _GO_CALLS and call not in ("true", "false", "nil"):
            raise _Beyond
        paths: list[Path] = []
        first = True
        while self.peek()[0] and self.peek() not in (("sign", "|"), ("sign", ")")):
            kind, text = self.peek()
            found = self.term()
            if call != "index":
                self.show(found)
            elif first:
                paths = found
            elif kind == "text":
                paths = [(*path, text[1:-1]) for path in paths]
            else:
                self.show(found)
            first = False
        return paths

    def term(self) -> list[Path]:
        """Read a literal, a field, a variable, or a pipe in parentheses."""
        kind, text = self.take()
        if kind in ("text", "number"):
            return []
        if kind == "name" and text in ("true", "false", "nil"):
            return []
        if kind == "field":
            return [(*path, *_names(text)) for path in self.contexts[-1]]
        if kind == "var":
            name, _, rest = text.partition(".")
            if name not in self.names:
                raise _Beyond
            return [(*path, *_names(rest)) for path in self.names[name]]
        if (kind, text) != ("sign", "("):
            raise _Beyond
        paths = self.pipe()
        if self.take() != ("sign", ")"):
            raise _Beyond
        if self.peek()[0] == "chain":
            names = _names(self.take()[1])
            paths = [(*path, *names) for path in paths]
        return paths


def _names(text: str) -> list[str]:
    return [name for name in text.split(".") if name]


def _go_tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        token = _GO_TOKEN.match(text, at)
        if token is None:
            raise _Beyond
        if token.lastgroup == "field" and text[at - 1 : at] == ")":
            yield "chain", token.group()
        elif token.lastgroup:
            yield token.lastgroup, token.group()
        at = token.end()


def go_template_is_harmless(text: str, fields: frozenset[str]) -> bool:
    """Return whether a template such as ``{{.State.Status}}`` shows only ``fields``."""
    text = text.removeprefix("table ")
    if len(text) > LONGEST:
        return False
    reader, at = _Go(fields), 0
    try:
        while (start := text.find("{{", at)) >= 0:
            action = _GO_ACTION.match(text, start)
            if action is None:
                return False
            reader.action(action[1].strip(" \t\n"))
            at = action.end()
    except _Beyond:
        return False
    return len(reader.contexts) == 1
