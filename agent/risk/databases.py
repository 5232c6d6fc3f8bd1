"""The kinds of values that the rules of database clients name: where they connect, and what they are told."""

import re
from collections.abc import Callable

from agent.risk.lexer import Word
from agent.risk.mongo import mongo_only_reads
from agent.risk.paths import judge_path
from agent.risk.rules import Finding
from agent.risk.sql import mysql_only_reads, only_reads, psql_only_reads, sqlite_only_reads
from core.texts import say
from core.work import Risk

Judge = Callable[[Word, bool], Finding | None]

_SOCKET = r"/(var/)?run/(?!user|lock|shm)(?!.*\.\.)[\w/.-]+|/var/lib/mysql/[\w-]+\.sock"
_HERE = r"localhost|127\.0\.0\.1|::1"
_FORMS = {
    "socket": _SOCKET,
    "database": r"[A-Za-z0-9_%][A-Za-z0-9_.@%+-]*",
    # In MySQL's own schema passwords lie in a table named "user", which anywhere else is a column.
    "mysqldatabase": r"(?!(?i:mysql)\Z)[A-Za-z0-9_][\w$.-]*",
    "redisdatabase": rf"(?:redis|valkey)://(?:{_HERE})(:\d{{1,5}})?(/\d{{1,2}})?",
    "psqlprint": r"pager=(off|0)|(format|border|footer|null|expanded|x|tuples_only|linestyle"
    r"|numericlocale|columns|fieldsep|recordsep)(=[\w |,.;-]*)?",
    "psqlvariable": r"(ON_ERROR_STOP|VERBOSITY|SHOW_CONTEXT|AUTOCOMMIT)=\w+",
    # Client settings name programs and libraries to load, so only where nobody but root writes.
    "etcfile": r"/etc/(?!.*\.\.)[\w/.-]+",
    "pgstatus": "status",
    "pgsetting": r"(?!all\Z|primary_conninfo|ssl_passphrase)[a-z_.]+",
    "memcached": r"(localhost|127\.0\.0\.1)(:\d{1,5})?",
    "memcachedverb": "display|stats|settings|sizes",
    "mysqlverb": r"status|processlist|ping|version|extended-status|variables",
}
_ADDRESS = re.compile(rf"{_HERE}|{_SOCKET}")
_NAMED_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]*")
_PSQL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")
_PSQL_URL = re.compile(
    r"postgres(?:ql)?://(?:[\w.-]+@)?(?P<host>[\w.-]*)(?::\d{1,5})?(?:/[\w-]*)?(?:\?(?P<more>[\w=&-]*))?"
)
_PSQL_FIELD = re.compile(
    r"(?:hostaddr|host)=(?P<host>[\w./:-]+)"
    r"|(?:port|dbname|user|connect_timeout|application_name|sslmode)=[\w.-]+"
)
_PSQL_MORE = re.compile(r"(?:(?:sslmode|connect_timeout|application_name)=[\w-]+(?:&|\Z))*")
_MONGO = re.compile(r"(?:mongodb://)?(?P<host>[\w.-]+)(?::\d{1,5})?/[\w-]*|(?P<name>[\w-]+)", re.ASCII)
_SQLITE = re.compile(r":memory:|[\w./@%+-]+\.(db3?|sqlite3?|s3db|sl3|gpkg|mbtiles)", re.ASCII)
_SQLITE_SECRET = re.compile(r"cookies|logins|key[34]|cert\d|places|login data|web data", re.IGNORECASE)
_SETTING = re.compile(r"(?!.*(pass|auth|user|acl|key))[a-z0-9-]+\*?")
_SECRET_SETTINGS = (
    *("requirepass", "masterauth", "masteruser", "primaryauth", "primaryuser", "user", "aclfile"),
    *("tls-key-file", "tls-client-key-file"),
)
"""Of Redis; a pattern must not meet one of them."""


def _unfit(word: Word) -> Finding:
    return Finding(Risk.L2, say("risk.unknown_argument", argument=word.text))


def _host(word: Word, recursive: bool) -> Finding | None:
    """Judge where a client connects to; the gate asks whether that is one of the tenant's own."""
    return None if _ADDRESS.fullmatch(word.text) or _NAMED_HOST.fullmatch(word.text) else _unfit(word)


def _psql_database(word: Word, recursive: bool) -> Finding | None:
    """Judge what psql connects to: a database's name, "host=… dbname=…", or a URL without a password."""
    if _PSQL_NAME.fullmatch(word.text):
        return None
    if url := _PSQL_URL.fullmatch(word.text):
        return None if _PSQL_MORE.fullmatch(url["more"] or "") else _unfit(word)
    fields = [_PSQL_FIELD.fullmatch(field) for field in word.text.split(" ") if field]
    return None if all(fields) else _unfit(word)


def _mongo_database(word: Word, recursive: bool) -> Finding | None:
    """Judge mongosh's database or address; a word that ends in .js would be a program."""
    return None if _MONGO.fullmatch(word.text) else _unfit(word)


def _sqlite_database(word: Word, recursive: bool) -> Finding | None:
    if word.glob or _SQLITE.fullmatch(word.text) is None or word.text[0] in "-+@":
        return _unfit(word)
    if _SQLITE_SECRET.search(word.text):
        return Finding(Risk.L2, say("risk.reads_secret", path=word.text))
    return judge_path(word.text, reads=False)


def _redis_setting(word: Word, recursive: bool) -> Finding | None:
    text = word.text
    meets = text.endswith("*") and any(name.startswith(text[:-1]) for name in _SECRET_SETTINGS)
    return _unfit(word) if meets or _SETTING.fullmatch(text) is None else None


def _form(form: str) -> Judge:
    pattern = re.compile(form, re.ASCII)
    return lambda word, recursive: None if pattern.fullmatch(word.text) else _unfit(word)


def _script(accepts: Callable[[str], bool]) -> Judge:
    def judge(word: Word, recursive: bool) -> Finding | None:
        return None if accepts(word.text) else Finding(Risk.L2, say("risk.unknown_script"))

    return judge


DATABASE_KINDS: dict[str, Judge] = {
    **{name: _form(form) for name, form in _FORMS.items()},
    "databasehost": _host,
    "psqldatabase": _psql_database,
    "mongodatabase": _mongo_database,
    "sqlitedatabase": _sqlite_database,
    "setting": _redis_setting,
    "sql": _script(only_reads),
    "psql": _script(psql_only_reads),
    "mysql": _script(mysql_only_reads),
    "sqlite": _script(sqlite_only_reads),
    "mongo": _script(mongo_only_reads),
}
