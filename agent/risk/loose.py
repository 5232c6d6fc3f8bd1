"""A forgiving reader of shell text, for the scan of what is forbidden.

It never fails and never decides that something is harmless: it finds what may stand in command position,
quotes and backslashes removed, substitutions opened. One pass with a stack, over a bounded number of tokens.
"""

import re
from dataclasses import dataclass, field

from agent.risk.lexer import LONGEST

_DEEPEST = 500
"""Levels; below them a substitution only ends the command before it. Such text is L2 in any case."""

HOLE = "\0"
"""Stands in a word where a substitution would put its output."""

_PLAIN = r"""[^\s\\'"$`<>()|&;0-9][^\s\\'"$`<>()|&;]*"""
# The commonest comes first; a digit is no plain text before it is known to belong to no redirect.
_OUTSIDE = re.compile(
    rf"""(?P<text>{_PLAIN})|"""
    r"""(?P<join>\\\n)|\\(?P<escaped>.)|'(?P<one>[^']*)'?|\$'(?P<ansi>(?:\\.|[^'\\])*)'?"""
    r"""|(?P<open>[$<>]\(|`|\()|(?P<close>\))|(?P<quote>\$?")|(?P<nothing>\$[@*])"""
    r"""|(?P<blank>[ \t\r]|\$IFS|\$\{IFS\})|(?P<here><<<)|(?P<input><<-?|<&?)"""
    r"""|(?P<output>[0-9]{0,3}(?:>>|>\||>&|<>|>)|&>>?)|(?P<pipe>\|\|?&?)|(?P<end>[;&\n]+)"""
    r"""|(?P<plain>[^\s\\'"$`<>()|&;]+|.)""",
    re.DOTALL,
)
_INSIDE = re.compile(
    r"""(?P<join>\\\n)|\\(?P<escaped>["$`\\])|(?P<open>\$\(|`)|(?P<quote>")|(?P<plain>[^\\"$`]+|.)""",
    re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8}))|0?([0-7]{1,3})|(.))", re.DOTALL
)


@dataclass(slots=True)
class Budget:
    """How many tokens may still be read: twice what a text that may run can hold."""

    tokens: int = 2 * LONGEST


@dataclass(slots=True)
class Loose:
    """What may be one command.

    targets: its redirects as (output, input or here, target); pipeline: the same number for commands joined
    by pipes; outer: index of the command in which it is a substitution, -1 for none.
    """

    pipeline: int
    outer: int
    words: list[str] = field(default_factory=list)
    targets: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Level:
    """One level of nesting; ``at``: index of its command; ``goes``: the redirect whose target is next."""

    at: int
    closes: str
    word: list[str] | None = None
    quoted: bool = False
    goes: str = ""


class _Reader:
    """Holds the commands found so far and the open levels."""

    def __init__(self) -> None:
        self.found: list[Loose] = []
        self.pipelines = 0
        self.levels = [_Level(self._fresh(-1), "")]

    def _fresh(self, outer: int, pipeline: int | None = None) -> int:
        if pipeline is None:
            self.pipelines += 1
            pipeline = self.pipelines
        self.found.append(Loose(pipeline, outer))
        return len(self.found) - 1

    def end_word(self) -> None:
        """Close the word that is being read, if any."""
        level = self.levels[-1]
        if level.word is not None:
            command, text = self.found[level.at], "".join(level.word)
            if level.goes:
                command.targets.append((level.goes, text))
            else:
                command.words.append(text)
            level.word, level.goes = None, ""

    def end_command(self, *, piped: bool = False) -> None:
        """Close the command; the next one is of the same pipeline if ``piped``."""
        self.end_word()
        level = self.levels[-1]
        command = self.found[level.at]
        level.goes = ""
        if piped or command.words or command.targets:
            level.at = self._fresh(command.outer, command.pipeline if piped else None)

    def _begun(self) -> bool:
        """Return whether the command has a word: a newline after a pipe does not end the pipeline."""
        level = self.levels[-1]
        return level.word is not None or bool(self.found[level.at].words)

    def add(self, text: str) -> None:
        """Put ``text`` to the word."""
        level = self.levels[-1]
        if level.word is None:
            level.word = []
        level.word.append(text)

    def open(self, mark: str) -> None:
        """Enter a substitution or a group, or leave a backtick."""
        if mark == "`" and self.levels[-1].closes == "`":
            self.close("`")
            return
        if len(self.levels) > _DEEPEST:
            self.end_command()
            return
        level = self.levels[-1]
        outer = self.found[level.at].outer
        if mark == "(":
            self.end_command()
        else:
            self.add(HOLE)
            outer = level.at
        self.levels.append(_Level(self._fresh(outer), "`" if mark == "`" else ")"))

    def close(self, mark: str) -> None:
        """Leave the level that ``mark`` closes; a stray one only ends the command."""
        self.end_command()
        if self.levels[-1].closes == mark:
            level = self.levels.pop()
            if level.at == len(self.found) - 1 and not self.found[-1].words and not self.found[-1].targets:
                self.found.pop()

    def take(self, kind: str, text: str) -> None:
        """Act on one token."""
        match kind:
            case "text" | "plain" | "escaped" | "one":
                self.add(text)
            case "end" if self._begun() or text.strip("\n"):
                self.end_command()
            case "blank":
                self.end_word()
            case "ansi":
                self.add(unescaped(text))
            case "quote":
                self.add("")
                self.levels[-1].quoted = not self.levels[-1].quoted
            case "open":
                self.open(text)
            case "close":
                self.close(")")
            case "pipe":
                self.end_command(piped=text in ("|", "|&"))
            case "here" | "input" | "output":
                self.end_word()
                self.levels[-1].goes = kind


def unescaped(text: str) -> str:
    """Return ``text`` with its escapes as $'…', printf and some shells' echo read them."""
    return _ESCAPE.sub(_decoded, text)


def _decoded(match: re.Match[str]) -> str:
    """Return the character of one escape."""
    if code := match[1] or match[2] or match[3]:
        number = int(code, 16)
        return "\ufffd" if 0xD800 <= number < 0xE000 or number > 0x10FFFF else chr(number)
    if match[4]:
        return chr(int(match[4], 8) & 0xFF)
    return {"n": "\n", "t": "\t"}.get(match[5], match[5])


def read(text: str, budget: Budget | None = None) -> list[Loose]:
    """Return everything in ``text`` that a shell might run as a command, as far as the budget goes."""
    budget = budget or Budget()
    reader = _Reader()
    at = 0
    while at < len(text) and budget.tokens > 0:
        budget.tokens -= 1
        grammar = _INSIDE if reader.levels[-1].quoted else _OUTSIDE
        token = grammar.match(text, at)
        if token is None:  # cannot be: the last alternative is any character
            break
        kind = token.lastgroup or "nothing"
        reader.take(kind, token.group(kind))
        at = token.end()
    while len(reader.levels) > 1:
        reader.end_word()
        reader.levels.pop()
    reader.end_word()
    return reader.found
