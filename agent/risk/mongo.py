"""Checks what mongosh is given with --eval: chains of reading calls with literal arguments, nothing else."""

import re
from dataclasses import dataclass

from agent.risk.rules import listed

_LONGEST = 2000
_DEEPEST = 12
_TOKEN = re.compile(
    r"""(?P<blank>[ ]+)|(?P<string>'[^'\\\n]*'|"[^"\\\n]*")|(?P<name>[A-Za-z_$][\w$]*)
    |(?P<number>-?\d+(?:\.\d+)?)|(?P<regex>/(?:[^/\\\n*]|\\[^\n])(?:[^/\\\n]|\\[^\n])*+/[imsx]{0,4})|(?P<op>[.,:;()\[\]{}])""",
    re.VERBOSE | re.ASCII,
)
_OBJECTS = {name: listed("languages", f"mongo_{name}") for name in ("db", "rs", "sh", "collection", "cursor")}
_COMMANDS = listed("languages", "mongo_commands")
_MAKERS = listed("languages", "mongo_makers")
_PRINTERS = frozenset(("print", "printjson", "JSON.stringify", "EJSON.stringify", "tojson"))
_MATCHERS = frozenset(("find", "findOne", "count", "countDocuments"))
_KEYS_DENIED = frozenset(("$where", "$function", "$accumulator", "$out", "$merge", "mapReduce", "mapreduce"))
_SECRET = re.compile(r"system|passw|secret|token|credential|api_?key", re.IGNORECASE)
_SHOWN = re.compile(r"show (dbs|databases|collections|tables)")


class _NotUnderstoodError(Exception):
    """The text is no chain of reading calls."""


def mongo_only_reads(text: str) -> bool:
    """Return whether a script of mongosh only reads, by calls that are listed."""
    text = text.strip(" ")
    if len(text) > _LONGEST or _SECRET.search(text):
        return False
    if _SHOWN.fullmatch(text):
        return True
    try:
        reader = _Reader(_tokens(text))
        reader.script()
    except _NotUnderstoodError:
        return False
    return True


def _tokens(text: str) -> list[tuple[str, str]]:
    """Return (kind, text) of each token, then an empty one."""
    found, at = list[tuple[str, str]](), 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise _NotUnderstoodError
        at = token.end()
        if token.lastgroup != "blank":
            found.append((token.lastgroup or "", token.group()))
    return [*found, ("", "")]


@dataclass(slots=True)
class _Reader:
    """Reads the tokens from left to right; each method leaves ``at`` behind what it read."""

    tokens: list[tuple[str, str]]
    at: int = 0

    def next(self) -> tuple[str, str]:
        """Return the token, and step past it."""
        token = self.tokens[self.at]
        if not token[0]:
            raise _NotUnderstoodError
        self.at += 1
        return token

    def takes(self, sign: str) -> bool:
        """Return whether ``sign`` is next, and step past it then."""
        if self.tokens[self.at] != ("op", sign):
            return False
        self.at += 1
        return True

    def wants(self, sign: str) -> None:
        """Step past ``sign``."""
        if not self.takes(sign):
            raise _NotUnderstoodError

    def script(self) -> None:
        """Read statements with semicolons between them, to the end."""
        self.statement()
        while self.takes(";"):
            if self.tokens[self.at][0]:
                self.statement()
        if self.tokens[self.at][0]:
            raise _NotUnderstoodError

    def statement(self) -> None:
        """Read one chain, printed or not."""
        name = self.dotted_printer()
        if name in _PRINTERS:
            self.at += 3 if "." in name else 1
            self.wants("(")
            self.statement()
            while self.takes(","):
                self.value(0)
            self.wants(")")
        else:
            self.chain()

    def dotted_printer(self) -> str:
        """Return the name that is next, with the word behind its dot."""
        first, *rest = (text for _, text in self.tokens[self.at : self.at + 3])
        return "".join([first, *rest]) if first in ("JSON", "EJSON") else first

    def chain(self) -> None:
        """Read ``db.orders.find({…}).limit(5)`` and its like."""
        kind, on = self.next()
        if kind != "name" or on not in ("db", "rs", "sh"):
            raise _NotUnderstoodError
        while True:
            if self.takes("."):
                on = self.member(on)
            elif self.takes("["):
                if on == "db":
                    raise _NotUnderstoodError
                if self.next()[0] not in ("number", "string"):
                    raise _NotUnderstoodError
                self.wants("]")
                on = "value"
            else:
                return

    def member(self, on: str) -> str:
        """Read a name behind a dot, with its call; return what the chain stands on then."""
        kind, name = self.next()
        if kind != "name":
            raise _NotUnderstoodError
        if not self.takes("("):
            return "collection" if on in ("db", "collection") else "value"
        if on == "db" and name in ("getSiblingDB", "getCollection"):
            self.plain_string()
            return "db" if name == "getSiblingDB" else "collection"
        if on == "db" and name in ("adminCommand", "runCommand"):
            self.command()
        elif name in _OBJECTS["cursor" if on == "value" else on]:
            if name in _MATCHERS and self.tokens[self.at][0] == "string":
                raise _NotUnderstoodError  # a string instead of a filter is a program for the server
            self.arguments()
        else:
            raise _NotUnderstoodError
        return "value"

    def plain_string(self) -> None:
        """Read the one argument that names a database or a collection."""
        if self.next()[0] != "string":
            raise _NotUnderstoodError
        self.wants(")")

    def command(self) -> None:
        """Read a command of the server: its first key, or the only string, has to be a listed one."""
        kind, name = self.next()
        if (kind, name) == ("op", "{"):
            kind, name = self.tokens[self.at]
            self.at -= 1
        else:
            self.at -= 1
            if kind != "string":
                raise _NotUnderstoodError
        if name.strip("'\"") not in _COMMANDS:
            raise _NotUnderstoodError
        self.arguments()

    def arguments(self) -> None:
        """Read literals up to the closing parenthesis."""
        while not self.takes(")"):
            if self.tokens[self.at] == ("name", "printjson"):  # the one function that is given to forEach
                self.at += 1
            else:
                self.value(0)
            if not self.takes(","):
                self.wants(")")
                return

    def value(self, depth: int) -> None:
        """Read a literal."""
        kind, text = self.next()
        if depth > _DEEPEST:
            raise _NotUnderstoodError
        if text == "new" and kind == "name":
            kind, text = self.next()
            if text not in _MAKERS:
                raise _NotUnderstoodError
        if kind in ("string", "number", "regex") or text in ("true", "false", "null"):
            return
        if kind == "name" and text in _MAKERS:
            self.wants("(")
            self.items(")", depth)
        elif text == "[":
            self.items("]", depth)
        elif text == "{":
            self.fields(depth)
        else:
            raise _NotUnderstoodError

    def items(self, closing: str, depth: int) -> None:
        """Read literals up to ``closing``."""
        while not self.takes(closing):
            self.value(depth + 1)
            if not self.takes(","):
                self.wants(closing)
                return

    def fields(self, depth: int) -> None:
        """Read an object's keys and literals up to its brace."""
        while not self.takes("}"):
            kind, key = self.next()
            if kind not in ("name", "string", "number") or key.strip("'\"") in _KEYS_DENIED:
                raise _NotUnderstoodError
            self.wants(":")
            self.value(depth + 1)
            if not self.takes(","):
                self.wants("}")
                return
