"""Recognises secrets that nobody has stored: by their form, as they are pasted into a chat (SECURITY S1).

Each pattern reads a text in time that grows with its length: what repeats is bounded.
"""

import re
from collections.abc import Mapping

LONGEST = 300
"""Characters that a password or a token may have; the rest of a longer one does not matter."""

# What stands for a secret: a variable, a file, a placeholder, a mask.
_STANDS_FOR = r"(?![$/<{%*‹\[(]|\.\.|x{4}|(?:true|false|none|null|yes|no|changeme|example|redacted)\b)"
_NAMED = (
    r"(?i:password|passwd|passphrase|pwd|secret(?:[_-]?(?:access[_-]?)?key)?|(?:access|auth|api|bearer)?[_-]?token"
    r"|(?:api|access)[_-]?key|requirepass|密码|口令|密钥)"
)
_WORD = r"[^\s'\"&|;<>`,，。]"
# Behind an equals sign anything is one; in prose ("password: please reset it") only what looks made up.
_MADE_UP = rf"(?=(?:{_WORD}{{0,60}}?[0-9])|(?:{_WORD}{{0,60}}?(?:[@#$%^*+~]|[!?](?=[^\s]))))"

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
            r"\bgh[pousr]_[A-Za-z0-9]{36}",
            r"\bgithub_pat_[A-Za-z0-9_]{22}",
            r"\bglpat-[\w-]{20}",
            r"\bxox[abeoprs]-[A-Za-z0-9-]{10}",
            r"\bxapp-[0-9]-[A-Za-z0-9-]{10}",
            r"https://hooks\.slack\.com/services/T\w{1,20}/B\w{1,20}/\w{20}",
            r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20}",
            r"\b[sr]k_live_[A-Za-z0-9]{16}",
            r"(?<![\w:])[0-9]{8,12}:[A-Za-z0-9_-]{35}(?![\w-])",
            r"(?<![\w-])eyJ[\w-]{8,2000}+\.eyJ[\w-]{8,4000}+\.[\w-]{8}",
            r"\b(?i:bearer) {1,3}(?=[A-Za-z._~+/-]{0,60}[0-9])[A-Za-z0-9._~+/-]{16}",
        ),
        "password": (
            rf"\b[a-z][a-z0-9+.-]{{1,15}}://[^\s/:@]{{0,100}}:{_STANDS_FOR}[^\s/@]{{3,{LONGEST}}}@[^\s]",
            rf"{_NAMED}['\"]?=['\"]?{_STANDS_FOR}{_WORD}{{4}}",
            rf"{_NAMED}['\"]?(?:\s{{0,3}}[:：]\s{{0,3}}|\s{{1,3}}(?:=|is|是|为)?\s{{0,3}}|[是为])['\"]?"
            rf"{_STANDS_FOR}{_MADE_UP}{_WORD}{{6}}",
            rf"\bmysql(?:dump|admin)?\b[^\n|;]{{0,200}}?\s-p{_STANDS_FOR}{_WORD}{{4}}",
            rf"\bcurl\b[^\n|;]{{0,200}}?\s(?:-u|--user)[ =]?['\"]?[^\s:'\"]{{1,100}}:{_STANDS_FOR}"
            rf"{_WORD}{{4}}",
            rf"\bsshpass\s{{1,3}}-p\s?{_STANDS_FOR}{_WORD}{{4}}",
            r"\$(?:1|2[aby]|5|6|7|y)\$[./A-Za-z0-9$=,-]{20}",
        ),
    }.items()
}


SIGNS: Mapping[str, tuple[str, ...]] = {
    "private_key": ("private key", "putty-user-key", "age-secret-key"),
    "cloud_key": ("akia", "asia", "aws", "aiza"),
    "token": (
        "it0_",
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
        if any(sign in low for sign in SIGNS[kind]) and pattern.search(text)
    )
