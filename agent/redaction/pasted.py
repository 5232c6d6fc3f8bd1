"""Recognises secrets that nobody has stored: by their form, as they are pasted into a chat (SECURITY S1).

Each pattern reads a text in time that grows with its length: what repeats is bounded.
"""

import re
from collections.abc import Mapping
from itertools import pairwise

LONGEST = 300
"""Characters that a password or a token may have; the rest of a longer one does not matter."""

SHORTEST = 6
"""Characters that what stands behind a name must have: a shorter one is a word, a number or an example."""

_WORD = r"[^\s'\"&|;<>`,\u0250-\U0010ffff]"
_ALSO = r"password|passwd|passphrase|pwd|requirepass|密码|口令"
_NAMED = (
    rf"(?i:(?P<password>{_ALSO})|secret(?:[_-]?(?:access[_-]?)?key)?|(?:access|auth|api|bearer)?[_-]?token"
    r"|(?:api|access)[_-]?key|密钥)"
)
_BEHIND = r"(?P<between>=|\s{0,3}[:：]\s{0,3}|\s{1,3}(?:=|is|是|为)?\s{0,3}|[是为])"

PATTERNS: Mapping[str, re.Pattern[str]] = {
    kind: re.compile("|".join(patterns))
    for kind, patterns in {
        "private_key": (
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
            r"PuTTY-User-Key-File-[0-9]:",
            r"\bAGE-SECRET-KEY-1[0-9A-Z]{50}",
        ),
        "cloud_key": (
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
            r"(?i:aws.{0,20}?secret.{0,20}?)[=:]\s{0,3}['\"]?[A-Za-z0-9/+]{40}\b",
            r"\bAIza[\w-]{35}\b",
        ),
        "token": (
            r"\bit0_[0-9a-f]{8}_[\w-]{20}",
            r"\botpauth://[^\s]{0,300}[?&]secret=[A-Za-z2-7]{16}",
            r"\bgh[pousr]_[A-Za-z0-9]{36}",
            r"\bgithub_pat_[A-Za-z0-9_]{22}",
            r"\bglpat-[\w-]{20}",
            r"\bxox[abeoprs]-[A-Za-z0-9-]{10}",
            r"\bxapp-[0-9]-[A-Za-z0-9-]{10}",
            r"https://hooks\.slack\.com/services/T\w{1,20}/B\w{1,20}/\w{20}",
            r"\bsk-(?:ant|proj|svcacct|or)-[A-Za-z0-9_-]{20}",
            r"\bsk-[A-Za-z0-9]{20}",
            r"\b[sr]k_live_[A-Za-z0-9]{16}",
            r"(?<![\w:])[0-9]{8,12}:[A-Za-z0-9_-]{35}(?![\w-])",
            r"(?<![\w-])eyJ[\w-]{8,2000}+\.eyJ[\w-]{8,4000}+\.[\w-]{8}",
            r"\b(?i:bearer) {1,3}(?=[A-Za-z._~+/-]{0,60}[0-9])[A-Za-z0-9._~+/-]{16}",
        ),
        "password": (r"\$(?:1|2[aby]|5|6|7|y)\$[./A-Za-z0-9$=,-]{20}",),
    }.items()
}
GIVEN = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b[a-z][a-z0-9+.-]{{1,15}}://[^\s/:@]{{0,100}}:(?P<value>[^\s/@]{{3,{LONGEST}}})@[^\s]",
        rf"\bmysql(?:dump|admin)?\b[^\n|;]{{0,200}}?\s-p(?P<value>{_WORD}{{4,{LONGEST}}})",
        rf"\bcurl\b[^\n|;]{{0,200}}?\s(?:-u|--user)[ =]?['\"]?[^\s:'\"]{{1,100}}:"
        rf"(?P<value>{_WORD}{{4,{LONGEST}}})",
        rf"\bsshpass\s{{1,3}}-p\s?(?P<value>{_WORD}{{4,{LONGEST}}})",
    )
)
"""Where a program takes a password: whatever stands there is one, unless it stands for one."""

NAMED = re.compile(rf"{_NAMED}(?=['\"]?{_BEHIND}['\"]?(?P<value>{_WORD}{{{SHORTEST},{LONGEST}}}))")
"""A name and what is behind it, which is looked at only: another name may begin in it."""

_STANDS_FOR = re.compile(
    r"[$/<{%*‹\[(~@]|\.[.*]|--|!(?:vault|secret|env|ref)\b|(?i:true|false|none|null|yes|no|changeme|example|redacted)\b"
)
"""What stands for a secret begins so: a variable, a file, a placeholder, a mask."""

_EXAMPLES = (
    "your|my|the|this|some|any|new|old|user|name|test|fake|dummy|sample|example|demo|real|default|here|value"
    "|secret|token|password|passwd|passphrase|pass|pwd|key|api|access|auth|admin|root|guest|foo|bar|baz|todo"
    "|placeholder|string|required|optional|enabled|disabled|empty|missing|invalid|expired|wrong|incorrect"
    "|unset|unchanged|prompt|stdin|masked|hidden|filtered|removed|rotated|changed|requisite|sufficient"
)
_EXAMPLE = re.compile(
    rf"(?i:(?:(?:{_EXAMPLES})[-_.]?){{1,8}}|(.)\1{{2,}})|[A-Z]{{2,}}(?:_[A-Z]{{2,}}){{1,8}}"
)
_PROGRAM = re.compile(
    r"[A-Za-z_]{1,60}(?:\.[A-Za-z_]{1,60}){0,8}(?:\((?:[^()]{0,80}\))?|\[[^\[\]]{0,80}\]?)"
    r"|[a-z_]{1,60}(?:\.[a-z_]{1,60}){1,8}"
)
"""A call or a part of something: ``getpass()``, ``os.environ[…]``, ``settings.token``."""

_NUMBERS = re.compile(r"[0-9]{1,8}(?:[-.:/][0-9]{1,8}){1,8}")
_COUNTING = re.compile(r"(?i:(?:abc(?:d(?:ef?)?)?)?(?:0?123(?:4(?:5(?:6(?:78?9?0?)?)?)?)?)?|[0-9]{1,8})")
_A_NAME = re.compile(r"(?i:[a-z]{2,40}[0-9]{0,4}(?:[-_./:=][a-z0-9]{1,20}){1,8})")
_MADE_UP = re.compile(rf"{_WORD}{{0,60}}?(?:[0-9@#$%^*+~]|[!?](?=[^\s]))")
_A_PROGRAM = ("passwd", "pwd")
_END = ".,:!?)]}'\""

SIGNS: Mapping[str, tuple[str, ...]] = {
    "private_key": ("private key", "putty-user-key", "age-secret-key"),
    "cloud_key": ("akia", "asia", "aws", "aiza"),
    "token": (
        "it0_",
        "otpauth:",
        *(f"gh{kind}_" for kind in "pousr"),
        "github_pat_",
        "glpat-",
        "xox",
        "xapp-",
        "sk-",
        "k_live_",
        ":",
        "eyj",
        "bearer",
    ),
    "password": (
        "passw",
        "passphrase",
        "pwd",
        "secret",
        "token",
        "key",
        "requirepass",
        "sshpass",
        "密码",
        "口令",
        "密钥",
        "://",
        "mysql",
        "curl",
        "$",
    ),
}
"""In lower case, what a kind cannot be without: looked for first, as it is found a hundred times as fast."""


def kinds_in(text: str) -> tuple[str, ...]:
    """Return the kinds of secrets that ``text`` seems to hold, none for ordinary talk."""
    low = text.lower()
    return tuple(
        kind
        for kind, pattern in PATTERNS.items()
        if any(sign in low for sign in SIGNS[kind])
        and (pattern.search(text) or (kind == "password" and _holds_password(text)))
    )


def _holds_password(text: str) -> bool:
    """Return whether a program is given a password, or something is called one."""
    given = (found["value"] for pattern in GIVEN for found in pattern.finditer(text))
    return any(not _stands_for(value) for value in given) or any(
        _is_one(found) for found in NAMED.finditer(text)
    )


def _stands_for(value: str) -> bool:
    """Return whether a value is a place for one, or an example that opens nothing."""
    bare = value.rstrip(",.;")
    return bool(
        _STANDS_FOR.match(value) or _EXAMPLE.fullmatch(value.rstrip(_END)) or _PROGRAM.fullmatch(bare)
    )


def _is_one(found: "re.Match[str]") -> bool:
    """Return whether what stands behind a name is what it is called.

    Behind an equals sign anything is, for a token also what is no name of a thing; in prose only what looks
    made up, and where nothing is between, what looks like nothing else.
    """
    value, between, label = found["value"], found["between"], found["password"]
    bare = value.rstrip(_END)
    if len(bare) < SHORTEST or _stands_for(value) or _NUMBERS.fullmatch(bare):
        return False
    is_name = _A_NAME.fullmatch(bare) and sum(each.isdigit() for each in bare) <= 8
    if label is None and (is_name or _COUNTING.fullmatch(bare)):
        return False
    if between == "=":
        return True
    if between.strip():
        return _MADE_UP.match(value) is not None
    if label is None:
        return _changes(bare) >= SHORTEST
    return label.lower() not in _A_PROGRAM and not is_name and _MADE_UP.match(value) is not None


def _changes(value: str) -> int:
    """Return how often letters and digits take turns: in a name once or twice, in what is random often."""
    return sum(one.isdigit() != next_one.isdigit() for one, next_one in pairwise(value) if value.isalnum())
