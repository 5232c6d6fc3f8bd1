"""Checks awk programs: they may compute and print, but not run, write or open anything."""

import re
from dataclasses import dataclass, field

from agent.risk.rules import listed

_TOKEN = re.compile(
    r"""(?P<blank>[ \t]+|\#[^\n]*)|(?P<string>"(?:[^"\\\n]|\\[^\n])*")|(?P<name>[A-Za-z_]\w*)
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)
    |(?P<op>&&|\|\||\+\+|--|[<>!=+*%^-]=|!~|[-+*%^$~<>!=?:,;{}()\[\]\n])|(?P<slash>/)""",
    re.VERBOSE,
)
# In brackets a "]" that comes first is no end: read once and for all, or a row of them takes for ever. A
# slash in brackets is left out: some awks end the expression there.
_REGEX = re.compile(r"/(?:[^/\\\n\[]|\\[^\n]|\[\^?+\]?+(?:\[:\w+:\]|[^\]/\\\n\[]|\\[^\n/])*+\])*+/")
_ACTS = re.compile(r"system|getline|close|@|(?<!\|)\|(?!\|)")
_CALLS = listed("languages", "awk_calls")
_DENIED = listed("languages", "awk_denied")
_TAKE_CONDITION = frozenset(("if", "while", "for"))
# After these an operand must follow, so that "/" can only begin a regular expression, in every awk.
_BEFORE_REGEX = frozenset(("~", "!~", "(", ",", "{", "}", ";", "!", "&&", "||", "\n"))
_NO_OPERAND = _CALLS | _DENIED | listed("languages", "awk_keywords")
# A line break after anything else may go on with the statement, and with what it prints.
_ENDS = frozenset((")", "]", "++", "--", "}", ";", "\n"))


@dataclass(slots=True)
class _Reader:
    """What has been read: the last token and its kind, and the parentheses that are open."""

    text: str
    before: str = "\n"
    kind: str = "op"
    opened: list[str] = field(default_factory=list)
    closed: str = ""
    printing: bool = False
    divided: bool = False
    hides: bool = False

    def regex(self, at: int) -> re.Match[str] | None:
        """Return the regular expression at ``at``, if only one can stand there."""
        return _REGEX.match(self.text, at) if self.before in _BEFORE_REGEX else None

    def divides(self) -> bool:
        """Return whether "/" divides here, in every awk: after ++, or the condition of an if, awks differ."""
        operand = self.kind in ("number", "string") or self.before == "]"
        operand = operand or (self.kind == "name" and self.before not in _NO_OPERAND)
        operand = operand or (self.before == ")" and self.closed not in _TAKE_CONDITION)
        self.divided = True
        return operand

    def take(self, kind: str, sign: str, following: str) -> bool:
        """Note a token; return whether it may stand where it stands."""
        if kind == "name" and (sign in _DENIED or (following == "(" and sign not in _CALLS)):
            return False
        if kind == "op" and not self._operator(sign):
            return False
        if sign in ("print", "printf"):
            self.printing = True
        elif sign in (";", "}") or (sign == "\n" and self._ended()):
            self.printing = False
        self.hides = self.hides or (kind == "string" and ">" in sign)
        self.before, self.kind = sign, kind
        return True

    def _ended(self) -> bool:
        """Return whether a line break ends the statement here."""
        operand = self.kind in ("number", "string", "regex") or self.before in _ENDS
        operand = operand or (self.kind == "name" and self.before not in ("in", "do", "else"))
        return operand and not self.opened

    def _operator(self, sign: str) -> bool:
        """Note a parenthesis; return whether the operator may stand: outside them "print a > b" writes."""
        if sign == "(":
            self.opened.append(self.before)
        elif sign == ")":
            if not self.opened:
                return False
            self.closed = self.opened.pop()
        return not (sign == ">" and self.printing and not self.opened)


def awk_only_reads(text: str) -> bool:
    """Return whether an awk program only computes and prints."""
    reader, at = _Reader(text), 0
    while at < len(text):
        if text[at] == "/" and (regex := reader.regex(at)):
            at = regex.end()
            reader.before, reader.kind = regex.group(), "regex"
            reader.hides = reader.hides or ">" in regex.group()
            continue
        token = _TOKEN.match(text, at)
        if token is None or (token.lastgroup == "slash" and not reader.divides()):
            return False
        at = token.end()
        if token.lastgroup == "blank":
            continue
        kind = token.lastgroup or ""
        if not reader.take(kind, token.group(), text[at:].lstrip(" \t")[:1]):
            return False
    # Should an awk take a division for a regular expression after all, what it then runs is no string's text.
    unsure = reader.divided and (reader.hides or _ACTS.search(text) is not None)
    return not reader.opened and not unsure
