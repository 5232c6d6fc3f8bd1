"""Checkers for the small languages inside arguments: awk, sed, jq. Each lists what it understands."""

import re

from agent.risk.rules import listed

_AWK = re.compile(
    r"""(?P<blank>[ \t]+|\#[^\n]*)|(?P<string>"(?:[^"\\\n]|\\[^\n])*")|(?P<name>[A-Za-z_]\w*)
    |(?P<number>\d+(?:\.\d+)?)|(?P<op>&&|\|\||>>|\+\+|--|[<>!=+*%^-]=|!~|[-+*%^$~<>!=?:,;{}()\[\]\n])|(?P<slash>/)""",
    re.VERBOSE,
)
# In brackets a "]" that comes first is no end: read once and for all, or a row of them takes for ever.
_AWK_REGEX = re.compile(r"/(?:[^/\\\n\[]|\\[^\n]|\[\^?+\]?+(?:\[:\w+:\]|[^\]/\\\n\[]|\\[^\n/])*+\])*+/")
_AWK_CALLS = listed("languages", "awk_calls")
_AWK_DENIED = listed("languages", "awk_denied")
_AWK_BEFORE_REGEX = frozenset(("~", "!~", "(", ",", "{", "}", ";", "!", "&&", "||", "\n"))


_AWK_ACTS = re.compile(r"system|getline|fflush|close|[|@]")


def awk_only_reads(text: str) -> bool:
    """Return whether an awk program only computes and prints."""
    # Read as bare text first: what awk takes for a pattern, a string or a division is hard to tell apart, and
    # these words and signs run or write wherever they stand.
    if _AWK_ACTS.search(text.replace("||", "")) or ("print" in text and ">" in text.partition("{")[2]):
        return False
    at, before, printing = 0, "\n", False
    while at < len(text):
        regex = _AWK_REGEX.match(text, at) if text[at] == "/" and before in _AWK_BEFORE_REGEX else None
        token = regex or _AWK.match(text, at)
        if token is None or (text[at] == "/" and not regex and before in _AWK_BEFORE_REGEX):
            return False
        at = token.end()
        if regex is None and token.lastgroup == "blank":
            continue
        before = "/re/" if regex else token.group()
        if regex is None and not _awk_token(token.lastgroup, before, text[at:].lstrip(" \t")[:1], printing):
            return False
        # "print a > b" writes a file; a comparison stands outside print.
        printing = (printing or before in ("print", "printf")) and before not in (";", "}", "\n")
    return True


def _awk_token(kind: str | None, sign: str, following: str, printing: bool) -> bool:
    """Return whether a token that is no regular expression may stand where it stands."""
    if kind == "name":
        return sign not in _AWK_DENIED and (following != "(" or sign in _AWK_CALLS)
    return not (sign == ">>" or (sign == ">" and printing))


_SED_CLASS = r"\[\^?+\]?+(?:\[:\w+:\]|[^\]\\\n\[{0}])*+\]"


def _sed_substitute(mark: str) -> str:
    """Return the form of ``s`` with ``mark`` between its parts, with neither e nor w among its flags."""
    sign = re.escape(mark)
    old = rf"(?:[^\\\n\[{sign}]|\\[^\n]|{_SED_CLASS.format(sign)})+"
    new = rf"(?:[^\\\n{sign}]|\\[^\n])*"
    return rf"s{sign}{old}{sign}{new}{sign}[gpiI0-9]{{0,4}}"


_SED_ADDRESS = rf"(?:\d+|\$|/(?:[^/\\\n\[]|\\[^\n]|{_SED_CLASS.format('/')})+/I?)"
_SED_WHERE = rf"(?:{_SED_ADDRESS}(?:,(?:{_SED_ADDRESS}|[+~]\d+))?)?"
_SED_COMMAND = rf" *{_SED_WHERE} *!?(?:[pdq=]|{'|'.join(map(_sed_substitute, '/|#,:@'))}) *"
_SED = re.compile(rf"{_SED_COMMAND}(?:[;\n]{_SED_COMMAND})*")


def sed_only_prints(text: str) -> bool:
    """Return whether a sed script only selects and substitutes on its way to the output."""
    return len(text) <= 400 and _SED.fullmatch(text) is not None


_JQ_DENIED = re.compile(
    r"\benv\b|\$ENV|\binput_filename\b|\bimport\b|\binclude\b|\bmodulemeta\b|\$__prog", re.IGNORECASE
)


def jq_only_reads(text: str) -> bool:
    """Return whether a jq filter looks at nothing but its input."""
    return _JQ_DENIED.search(text) is None
