"""Secrets by the name that they are given: ``password=…``, ``token: …``, ``密码是…``.

What stands behind a name is a secret unless it stands for one (a variable, a placeholder, an example) or is
an ordinary word. All of it reads bytes.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

LONGEST = 300
"""Bytes that a password or a token may have here; what goes on without a space is one with it."""

SHORTEST = 6
"""Bytes that what stands behind a name must have: what is shorter is a word, a number or an example."""

WORD = r"[^\s'\"&|;<>`,\xc9-\xff]"
"""A byte of a value: the letters of other alphabets begin with one from C9 on in UTF-8."""

BLANK = r"[^\S\n]"

SIGNS = tuple(map(str.encode, ("passw", "passphrase", "pwd", "secret", "token", "key", "requirepass")))
SIGNS += tuple(map(str.encode, ("密码", "口令", "密钥")))
"""In lower case, what a name cannot be without."""


def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode())


_PASSWORDS = ("password", "passwd", "passphrase", "pwd", "requirepass", "密码", "口令")
_NAMES = [
    *_PASSWORDS,
    "secret(?:[_-]?(?:access[_-]?)?key)?",
    "token",
    "api[_-]?key",
    "access[_-]?key",
    "密钥",
]
_BEHIND = (
    rf"(?P<between>=|{BLANK}{{0,3}}(?::|：){BLANK}{{0,3}}|{BLANK}{{1,3}}(?:=|is|是|为)?{BLANK}{{0,3}}|是|为)"
)
# In lower case, and each choice by its first letter: this passes over a text ten times as fast.
_NAME = _compiled(
    rf"(?P<name>{'|'.join(_NAMES)})(?=['\"]?{_BEHIND}['\"]?(?P<value>{WORD}{{{SHORTEST},{LONGEST}}}))"
)
"""A name and what is behind it, which is looked at only: another name may begin in it."""

_STANDS_FOR = _compiled(
    r"[$/<{%*\[(~@]|‹|\.[.*]|--|!(?:vault|secret|env|ref)\b|(?i:true|false|none|null|yes|no|changeme|example|redacted)\b"
)
"""What stands for a secret begins so: a variable, a file, a placeholder, a mask."""

_EXAMPLES = (
    "your|my|the|this|some|any|new|old|user|name|test|fake|dummy|sample|example|demo|real|default|here|value"
    "|secret|token|password|passwd|passphrase|pass|pwd|key|api|access|auth|admin|root|guest|foo|bar|baz|todo"
    "|placeholder|string|required|optional|enabled|disabled|empty|missing|invalid|expired|wrong|incorrect"
    "|unset|unchanged|prompt|stdin|masked|hidden|filtered|removed|rotated|changed|requisite|sufficient"
)
_EXAMPLE = _compiled(rf"(?i:(?:(?:{_EXAMPLES})[-_.]?){{1,8}}|(.)\1{{2,}})|[A-Z]{{2,}}(?:_[A-Z]{{2,}}){{1,8}}")
_PROGRAM = _compiled(
    r"[A-Za-z_]{1,60}(?:\.[A-Za-z_]{1,60}){0,8}(?:\((?:[^()]{0,80}\))?|\[[^\[\]]{0,80}\]?)"
    r"|[a-z_]{1,60}(?:\.[a-z_]{1,60}){1,8}"
)
"""A call or a part of something: ``getpass()``, ``os.environ[…]``, ``settings.token``."""

_NUMBERS = _compiled(r"[0-9]{1,8}(?:[-.:/][0-9]{1,8}){1,8}")
_COUNTING = _compiled(r"(?i:(?:abc(?:d(?:ef?)?)?)?(?:0?123(?:4(?:5(?:6(?:78?9?0?)?)?)?)?)?|[0-9]{1,8})")
_A_NAME = _compiled(r"(?i:[a-z]{2,40}[0-9]{0,4}(?:[-_./:=][a-z0-9]{1,20}){1,8})")
_MADE_UP = _compiled(rf"{WORD}{{0,60}}?(?:[0-9@#$%^*+~]|[!?](?=[^\s]))")
_OF_PASSWORDS = frozenset(map(str.encode, _PASSWORDS))
_A_PROGRAM = (b"passwd", b"pwd")
_END = b".,:!?)]}'\""


def find(data: bytes, low: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where secrets stand behind their names. low: ``data`` in lower case."""
    for found in _NAME.finditer(low, start, end):
        at, stop = found.span("value")
        value = data[at:stop]
        if _is_one(found["name"], found["between"], value):
            yield at, at + len(value.rstrip(_END))


def stands_for(value: bytes) -> bool:
    """Return whether a value is a place for one, or an example that opens nothing."""
    bare = value.rstrip(b",.;")
    return bool(
        _STANDS_FOR.match(value) or _EXAMPLE.fullmatch(value.rstrip(_END)) or _PROGRAM.fullmatch(bare)
    )


def _is_one(name: bytes, between: bytes, value: bytes) -> bool:
    """Return whether what stands behind a name is what it is called.

    Behind an equals sign anything is, for a token also what is no name of a thing; in prose only what looks
    made up, and where nothing is between, what looks like nothing else.
    """
    bare = value.rstrip(_END)
    if len(bare) < SHORTEST or stands_for(value) or _NUMBERS.fullmatch(bare):
        return False
    is_name = _A_NAME.fullmatch(bare) and sum(chr(each).isdigit() for each in bare) <= 8
    if name not in _OF_PASSWORDS and (is_name or _COUNTING.fullmatch(bare)):
        return False
    if between == b"=":
        return True
    if between.strip():
        return _MADE_UP.match(value) is not None
    if name not in _OF_PASSWORDS:
        return _changes(bare) >= SHORTEST
    return name not in _A_PROGRAM and not is_name and _MADE_UP.match(value) is not None


def _changes(value: bytes) -> int:
    """Return how often letters and digits take turns: in a name once or twice, in what is random often."""
    if not value.isalnum():
        return 0
    digits = [chr(each).isdigit() for each in value]
    return sum(one != other for one, other in pairwise(digits))
