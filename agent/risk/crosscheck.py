"""Reads what the lexer understood once more, with tree-sitter's grammar of bash: both have to see the same.

It can only raise a verdict. What it found of faults put into the lexer: docs/decisions/016-second-parser.md.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from agent.risk.lexer import Part

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_AROUND = frozenset(("program", "list", "pipeline", "redirected_statement", ";", "|", "&&", "||", "\n"))
"""What may stand around commands; not "&", a subshell, or a condition."""
_EXPRESSIONS = frozenset(
    ("unary_expression", "binary_expression", "parenthesized_expression", "negation_expression")
)
_PLAIN = frozenset(
    ("word", "number", "test_operator", "regex", "[", "]", "!", "(", ")", "=", "==", "!=", "-a", "-o")
)
_STRING_ESCAPE = re.compile(r'\\(["$`\\])')
_ESCAPE = re.compile(r"\\(.)")
_BEYOND = re.compile(r"[^\0-\xff]")


class _OtherwiseError(Exception):
    """The second parser sees something that the lexer does not understand."""


@cache
def _parser() -> "Parser":
    # 10 ms and 2 MB, which a start need not wait for.
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


def agrees(text: str, parts: Sequence[Part]) -> bool:
    """Return whether a second parser sees the same words, and no more than these, in ``text``.

    text: the whole command; parts: what the lexer read of it.
    """
    root = _parser().parse(_known(text).encode()).root_node
    # It takes an escaped line break for a blank, where shells join what stands around it.
    if root.has_error or "\\\n" in text:
        return False
    try:
        seen = list(_commands(root))
    except _OtherwiseError:
        return False
    return [words for words, _ in seen] == [
        [_known(word.text) for word in part.words] for part in parts
    ] and list(chain.from_iterable(fed for _, fed in seen)) == [
        _known(word.text) for part in parts for word in part.inputs
    ]


def _known(text: str) -> str:
    """Return ``text`` with one letter for all that its scanner looks up behind the end of C's tables.

    It calls isalpha() with whatever character it meets, and what lies there may end the process.
    """
    return text if text.isascii() else _BEYOND.sub("é", text)


def _commands(node: "Node") -> Iterator[tuple[list[str], list[str]]]:
    """Yield each command's words, and the files that it is fed with."""
    if node.type == "redirected_statement":
        fed = [file for child in node.children if child.type == "file_redirect" for file in _redirect(child)]
        inner = [child for child in node.children if child.type != "file_redirect"]
        found = [command for child in inner for command in _commands(child)]
        if not found:
            raise _OtherwiseError
        yield from found[:-1]
        yield found[-1][0], [*found[-1][1], *fed]
    elif node.type in _AROUND:
        for child in node.children:
            yield from _commands(child)
    elif node.type in ("command", "test_command"):
        words, fed = list[str](), list[str]()
        for child in node.children:
            if child.type == "file_redirect":
                fed += _redirect(child)
            else:
                words += _words(child)
        yield words, fed
    elif node.type == "variable_assignment":
        yield [_text(node)], []
    elif node.type == "comment":
        return
    else:
        raise _OtherwiseError


def _redirect(node: "Node") -> list[str]:
    """Return the file that a redirect reads, if it is not a free one."""
    operator = next(child.type for child in node.children if not child.is_named)
    target = next((_value(child) for child in reversed(node.children) if child.is_named), "")
    if target == "/dev/null" or (operator == ">&" and target in ("1", "2")):
        return []
    if operator == "<":
        return [target]
    raise _OtherwiseError


def _words(node: "Node") -> list[str]:
    """Return the words of a command's child: one, but for what stands between brackets."""
    if node.type in _EXPRESSIONS:
        return [word for child in node.children for word in _words(child)]
    return [_value(node)]


def _value(node: "Node") -> str:
    """Return what a word comes to; nothing in it may be expanded."""
    if node.type == "raw_string":
        return _text(node)[1:-1]
    if node.type == "string":
        if any(child.type not in ('"', "string_content", "$") for child in node.children):
            raise _OtherwiseError
        return _STRING_ESCAPE.sub(r"\1", _text(node)[1:-1])
    if node.type in ("concatenation", "command_name"):
        return "".join(map(_value, node.children))
    if node.type == "variable_assignment":
        names = ("variable_name", "=", "+=")
        return "".join(_text(child) if child.type in names else _value(child) for child in node.children)
    if node.type in _PLAIN:
        return _ESCAPE.sub(r"\1", _text(node))
    raise _OtherwiseError


def _text(node: "Node") -> str:
    return (node.text or b"").decode()
