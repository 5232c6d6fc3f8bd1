"""Checks statements for database clients: each has to be one that only reads, word by word (SECURITY 1).

It reads tokens, not grammar: every word is looked at wherever it stands, and what is called has to be listed.
Where two databases would read a sign differently (a backslash, ``$``, ``#``, ``/*``), the text is not
understood.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from agent.risk.rules import listed

_LONGEST = 2000
_NAME = r"[A-Za-z_\u4e00-\u9fff][A-Za-z0-9_\u4e00-\u9fff]*"
_TOKEN = re.compile(
    rf"""(?P<blank>[ ]+)|(?P<string>'(?:[^'\\\n]|'')*+')|(?P<quoted>"[^"\\\n`]*+"|`[^`\\\n]*+`)
    |(?P<name>{_NAME}|@@{_NAME})|(?P<number>\d+(?:\.\d+)?)
    |(?P<op>::|<=|>=|<>|!=|\|\||->>?|=~|!~\*?|-(?!-)|/(?!\*)|[+*%<>=(),.~;]|(?P<bracket>[\[\]]))""",
    re.VERBOSE,
)
_COMMENT = re.compile(r" -- [\w ,.=()-]*\Z")
"""Ends a statement on one line in every database; MySQL wants the blank."""
_FIRST = listed("languages", "sql_first")
_DENIED = listed("languages", "sql_denied")
_TABLES = listed("languages", "sql_secret_tables")
_CALLS = listed("languages", "sql_calls")
_CREATED = frozenset(
    ("TABLE", "VIEW", "DATABASE", "SCHEMA", "INDEX", "MATERIALIZED", "TRIGGER", "EVENT", "FUNCTION")
)
"""What SHOW CREATE may name: not USER, nor ClickHouse's DICTIONARY, which show a hash or a password."""
_SECRET = re.compile(
    r"passw|passwd|secret|token|api_?key|private_?key|credential|ssn|card_?num", re.IGNORECASE
)
_TELLS_NO_PASSWORD = re.compile(r"PASSWORD_(EXPIRED|LAST_CHANGED|LIFETIME|REUSE_\w+)")
_SECRET_SETTINGS = ("primary_conninfo", "ssl_passphrase_command")
_MYSQL_TABLES = frozenset(
    ("USER", "DB", "TABLES_PRIV", "INNODB_TABLE_STATS", "INNODB_INDEX_STATS", "SLOW_LOG", "TIME_ZONE_NAME")
)
"""Tables of MySQL's own schema without passwords, but for two columns of ``user`` that are denied by name."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of a statement; ``word``: in capitals and without quotes; ``called``: "(" comes next."""

    kind: str
    word: str
    called: bool = False


def only_reads(text: str, dialect: str = "") -> bool:
    """Return whether every statement in ``text`` only reads, with harmless functions.

    dialect: "mysql", "sqlite" or "" for what is the same everywhere.
    """
    text = _COMMENT.sub("", text.strip(" "))
    if dialect == "mysql":
        # The client's own sign for "one column a line", at the end only.
        text = re.sub(r";?\\[Gg];?\Z", "", text)
    if len(text) > _LONGEST or (tokens := _tokens(text)) is None:
        return False
    if dialect == "sqlite" and any(token.kind == "bracket" for token in tokens):
        return False  # its brackets are quotes, too
    statements = _split(tokens)
    return bool(statements) and all(_statement(statement, dialect) for statement in statements)


def _tokens(text: str) -> list[_Token] | None:
    """Return the tokens of ``text`` without blanks, None where something is no token."""
    tokens, at = list[_Token](), 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            return None
        at, kind = found.end(), found.lastgroup or ""
        if kind != "blank":
            called = text[at:].lstrip(" ")[:1] == "("
            word = found.group() if kind == "string" else found.group().strip('"`').upper()
            tokens.append(_Token(kind, word, called))
    return tokens


def _split(tokens: Sequence[_Token]) -> list[list[_Token]]:
    """Return the statements between semicolons, empty ones left out."""
    statements: list[list[_Token]] = [[]]
    for token in tokens:
        if token.word == ";":
            statements.append([])
        else:
            statements[-1].append(token)
    return [statement for statement in statements if statement]


def _statement(tokens: Sequence[_Token], dialect: str) -> bool:
    """Return whether one statement only reads."""
    first = tokens[0].word if tokens[0].kind == "name" else ""
    words = [token.word for token in tokens]
    if dialect == "mysql" and first == "USE":
        return len(tokens) == 2 and tokens[1].kind == "name" and words[1] != "MYSQL"
    if dialect == "sqlite" and first == "PRAGMA":
        return _pragma(words)
    if first not in _FIRST or words == ["SHOW", "ALL"]:
        return False
    allowed = _shown(words) if first == "SHOW" else 1
    return all(map(_harmless, tokens[allowed:])) and _from_system(tokens)


def _shown(words: Sequence[str]) -> int:
    """Return how many of SHOW's first words are understood as they stand together."""
    if words[1:2] == ["CREATE"] and words[2:3] and words[2] in _CREATED:
        return 3
    if words[1:3] in (["CHARACTER", "SET"], ["PROCEDURE", "STATUS"]):
        return 3
    return 1


def _harmless(token: _Token) -> bool:
    """Return whether a token may stand in a reading statement."""
    if token.kind not in ("name", "quoted"):
        return True
    word = token.word
    if word in _TABLES or (_SECRET.search(word) and not _TELLS_NO_PASSWORD.fullmatch(word)):
        return False
    if token.called:
        # MySQL's function of that name; as a statement it does not come before a parenthesis.
        return token.kind == "name" and (word in _CALLS or word == "REPLACE")
    return token.kind == "quoted" or word not in _DENIED


def _from_system(tokens: Sequence[_Token]) -> bool:
    """Return whether tables that hold some secrets are read without these."""
    words = [token.word for token in tokens]
    for at, word in enumerate(words):
        follows = words[at - 1] if at else ""
        if word == "MYSQL" and (
            words[at + 1 : at + 2] != ["."]
            or _MYSQL_TABLES.isdisjoint(words[at + 2 : at + 3])
            or follows == "TABLE"
            or not _columns_named(words)
        ):
            return False
        if word == "USER" and (follows in ("FROM", "JOIN", ",") and _past_from(words, at)):
            return False
    return not ({"PG_SETTINGS", "PG_FILE_SETTINGS"} & set(words)) or _settings_named(tokens)


def _columns_named(words: Sequence[str]) -> bool:
    """Return whether a statement asks for columns by their names, or only counts."""
    stars = [at for at, word in enumerate(words) if word == "*"]
    return words[0] == "SELECT" and all(words[at - 2 : at] == ["COUNT", "("] for at in stars)


def _past_from(words: Sequence[str], at: int) -> bool:
    """Return whether the word at ``at`` names a table rather than a column: MySQL's ``user``."""
    if words[at - 1] in ("FROM", "JOIN"):
        return True
    last = max((place for place in range(at) if words[place] in _CLAUSES), default=0)
    return words[last] in ("FROM", "JOIN")


_CLAUSES = frozenset(
    ("SELECT", "FROM", "JOIN", "WHERE", "GROUP", "ORDER", "HAVING", "ON", "USING", "LIMIT", "UNION", "BY")
)


def _settings_named(tokens: Sequence[_Token]) -> bool:
    """Return whether PostgreSQL's settings are asked for by name, none of them one that holds a password."""
    words = [token.word for token in tokens]
    if {"OR", "NOT", "<>", "!="} & set(words) or words.count("WHERE") != 1:
        return False
    at = words.index("WHERE") + 1
    while at + 2 < len(words):
        if words[at] == "NAME" and words[at + 1] in ("=", "IN", "LIKE", "ILIKE"):
            return not any(token.kind == "string" and _names_secret(token.word) for token in tokens)
        at += 1
    return words[-1] == "PENDING_RESTART"


def _names_secret(pattern: str) -> bool:
    """Return whether a string, read as a pattern of LIKE, could be the name of a setting with a password."""
    form = re.escape(pattern[1:-1].lower()).replace("%", ".*").replace("_", ".")
    return any(re.fullmatch(form, name) for name in _SECRET_SETTINGS)


_PRAGMA = re.compile(
    r"PRAGMA(_LIST)?|TABLE_(X?INFO|LIST)|INDEX_(X?INFO|LIST)|FOREIGN_KEY_(LIST|CHECK)|INTEGRITY_CHECK|QUICK_CHECK"
    r"|DATABASE_LIST|COLLATION_LIST|COMPILE_OPTIONS|PAGE_(COUNT|SIZE)|FREELIST_COUNT|ENCODING|(USER|SCHEMA)_VERSION"
    r"|JOURNAL_MODE|AUTO_VACUUM|CACHE_SIZE|SYNCHRONOUS|FOREIGN_KEYS"
)
_PRAGMA_ASKS = re.compile(
    r"TABLE_X?INFO|INDEX_(X?INFO|LIST)|FOREIGN_KEY_(LIST|CHECK)|INTEGRITY_CHECK|QUICK_CHECK"
)
"""Those that take a table or a number in parentheses; for the others that would set them."""


def _pragma(words: Sequence[str]) -> bool:
    """Return whether SQLite's PRAGMA asks, and sets nothing."""
    if len(words) == 2:
        return _PRAGMA.fullmatch(words[1]) is not None
    asks = len(words) == 5 and _PRAGMA_ASKS.fullmatch(words[1]) is not None
    return asks and words[2] == "(" and words[4] == ")"


# Not \deu, \des, \dRs, \drds, \dconfig and their kin: they show the passwords of other servers.
_PSQL_META = re.compile(
    r"\\(?:(?:l|z|sf|sv|d[tvmsiE]{0,5}|d[abcCdDgLlnoOpPTuxXy]|ddp|det|dA[cfop]?|df[anptw]{0,2}|dF[dpt]?|dRp)"
    r'[+S]{0,2}(?: (?:"[\w ]+"|[\w.*]+)){0,2}|\?|copyright|conninfo|encoding|h(?: [A-Za-z ]+)?)'
)


def psql_only_reads(text: str) -> bool:
    """Return whether ``text`` is reading statements or one of psql's describing commands."""
    return only_reads(text) or _PSQL_META.fullmatch(text.strip(" ")) is not None


_SQLITE_META = re.compile(
    r"\.(tables|schema|indexes|indices|databases|fullschema|dbinfo|lint fkey-indexes|version)( [\w%.-]+)?"
    r"|\.(headers?|timer|stats) (on|off)|\.mode (column|csv|line|list|json|table|box|markdown|tabs)"
)


def sqlite_only_reads(text: str) -> bool:
    """Return whether ``text`` is reading statements or one of the sqlite3 shell's describing commands."""
    return only_reads(text, "sqlite") or _SQLITE_META.fullmatch(text.strip(" ")) is not None


mysql_only_reads = partial(only_reads, dialect="mysql")

_DROPS = {
    "sql": re.compile(r"\bdrop\s+database\b", re.IGNORECASE),
    "mysql": re.compile(r"\bdrop\s+schema\b", re.IGNORECASE),
    "cql": re.compile(r"\bdrop\s+keyspace\b", re.IGNORECASE),
}
_SQL_ASIDE = re.compile(r"'[^'\\]*'|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)|--[^\n]*")


def drops_database(sql: str) -> set[str]:
    """Return the languages in which ``sql`` drops a database; strings and comments do not count."""
    said = _SQL_ASIDE.sub(" ", sql)
    return {language for language, form in _DROPS.items() if form.search(said)}
