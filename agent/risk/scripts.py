"""Checkers for the small languages inside arguments: SQL, jq. Each lists what it understands."""

import re

from agent.risk.rules import listed

_SQL = re.compile(
    r"""(?P<blank>[ \t]+)|(?P<string>'(?:[^'\\\n]|'')*')|(?P<quoted>"[^"\\\n]*"|`[^`\\\n]*`)
    |(?P<name>[A-Za-z_]\w*)|(?P<number>\d+(?:\.\d+)?)|(?P<op>::|<=|>=|<>|!=|\|\||->>?|-(?!-)|/(?!\*)|[+*%<>=(),.~\[\]])""",
    re.VERBOSE,
)
_SQL_FIRST = listed("languages", "sql_first")
_SQL_DENIED = listed("languages", "sql_denied")
_SQL_SECRET = re.compile(
    r"passw|passwd|secret|token|api_?key|private_?key|credential|ssn|card_?num", re.IGNORECASE
)
_SHOW_ALL = re.compile(r"show\s+all\b", re.IGNORECASE)
"""All settings of PostgreSQL, the password of its primary among them."""
_SQL_CALLS = listed("languages", "sql_calls")


def sql_only_reads(text: str) -> bool:
    """Return whether ``text`` is one statement that only reads, with harmless functions."""
    text = text.strip(" ").removesuffix(";")
    if _SHOW_ALL.match(text):
        return False
    at, first = 0, True
    while at < len(text):
        token = _SQL.match(text, at)
        if token is None:
            return False
        at = token.end()
        if token.lastgroup in ("name", "quoted"):
            word = token.group().strip('"`').upper()
            called = text[at:].lstrip(" \t")[:1] == "("
            if (first and word not in _SQL_FIRST) or not _sql_word(word, called, token.lastgroup):
                return False
        elif first and token.lastgroup != "blank":
            return False
        first = first and token.lastgroup == "blank"
    return not first


def _sql_word(word: str, called: bool, kind: str | None) -> bool:
    """Return whether a word may stand in a reading statement."""
    if word in _SQL_DENIED or word == "MYSQL" or _SQL_SECRET.search(word):
        return False
    return not called or (kind == "name" and word in _SQL_CALLS)


# Not \deu, \des, \dRs and their kin: they show the passwords of other servers.
_PSQL_META = re.compile(r"\\(?:l|conninfo|d(?:[tvmsi]{0,3}|[abcdfgnopuxCDLOPT]))[+S]{0,2}(?: [\w.*]+)?")


def psql_only_reads(text: str) -> bool:
    """Return whether ``text`` is a reading statement or one of psql's describing commands."""
    return sql_only_reads(text) or _PSQL_META.fullmatch(text) is not None


_JQ_DENIED = re.compile(
    r"\benv\b|\$ENV|\binput_filename\b|\bimport\b|\binclude\b|\bmodulemeta\b|\$__prog", re.IGNORECASE
)


def jq_only_reads(text: str) -> bool:
    """Return whether a jq filter looks at nothing but its input."""
    return _JQ_DENIED.search(text) is None


_YQ_DENIED = re.compile(r"load|eval|strenv|envsubst|from_file|split_doc|system|exec", re.IGNORECASE)


def yq_only_reads(text: str) -> bool:
    """Return whether a yq filter, of either program of that name, looks at nothing but its input."""
    return jq_only_reads(text) and _YQ_DENIED.search(text) is None


_DROP = re.compile(r"\bdrop\s+database\b", re.IGNORECASE)
_SQL_ASIDE = re.compile(r"'[^'\\]*'|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)|--[^\n]*")


def drops_database(sql: str) -> bool:
    """Return whether a statement in ``sql`` drops a database; strings and comments do not count."""
    return _DROP.search(_SQL_ASIDE.sub(" ", sql)) is not None
