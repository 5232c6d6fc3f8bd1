"""Checks sed scripts: they may select and substitute on the way to the output, not run or touch files."""

import re

_LONGEST = 400
_CLASS = r"\[\^?+\]?+(?:\[:\w+:\]|[^\]\\\n\[{0}])*+\]"
"""What stands in brackets, without the sign that ends the expression: sed would take it for the end."""
_MARKS = "/|#,:@!%+_~="


def _expression(mark: str) -> str:
    """Return the form of a regular expression up to ``mark``."""
    sign = re.escape(mark)
    return rf"(?:[^\\\n\[{sign}]|\\[^\n]|{_CLASS.format(sign)})+{sign}"


def _substitute(mark: str) -> str:
    """Return the form of ``s`` with ``mark`` between its parts, with neither e nor w among its flags."""
    sign = re.escape(mark)
    return rf"s{sign}{_expression(mark)}(?:[^\\\n{sign}]|\\[^\n])*{sign}[gpiIM0-9]{{0,4}}"


_OTHER = "|".join(rf"\\{re.escape(mark)}{_expression(mark)}" for mark in "|#,%@:")
_ADDRESS = rf"(?:\d+~\d+|\d+|\$|(?:/{_expression('/')}|{_OTHER})[IM]?)"
_WHERE = re.compile(rf"(?:{_ADDRESS}(?: *, *(?:{_ADDRESS}|[+~]\d+))?)? *!? *")
_LIST = r"/(?:[^/\\\n]|\\[^\n])+/"
_VERB = re.compile(
    rf"[qQ] ?\d{{0,3}}|[pdPnNhHgGxlFz=]|y{_LIST}{_LIST[1:]}|{'|'.join(map(_substitute, _MARKS))}"
)
_GAP = re.compile(r"[ ;\n]*")
_END = re.compile(r" *(?=[;\n}]|\Z)")
_ALL_IN_ONE = re.compile(r":(\w) *; *N *; *\$! *b *\1 *;")
"""The loop that joins all lines; other loops may have no end."""


def sed_only_prints(text: str) -> bool:
    """Return whether a sed script only selects and substitutes on its way to the output."""
    if len(text) > _LONGEST:
        return False
    joined = _ALL_IN_ONE.match(text)
    at, depth = (joined.end() if joined else 0), 0
    while (at := _end(_GAP, text, at)) < len(text):
        if text[at] == "}" and depth:
            at, depth = at + 1, depth - 1
            continue
        at = _end(_WHERE, text, at)
        if text[at : at + 1] == "{":
            at, depth = at + 1, depth + 1
            continue
        verb = _VERB.match(text, at)
        end = _END.match(text, verb.end()) if verb else None
        if end is None:
            return False
        at = end.end()
    return depth == 0 and text.strip() != ""


def _end(form: re.Pattern[str], text: str, at: int) -> int:
    """Return where what ``form`` matches at ``at`` ends; it may be nothing."""
    found = form.match(text, at)
    return found.end() if found else at
