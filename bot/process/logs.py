"""Structured logs on standard error: one JSON object a line, or coloured lines at a terminal."""

import io
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

from bot.texts.visible import visible

SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|private|(?:master|audit|api|vault)_?key|cookie|authorization",
    re.IGNORECASE,
)
SECRET_VALUE = re.compile(
    r"(?i)(://[^\s/?#:@\"']{0,200}:)[^\s/?#\"'<>]{1,500}@"
    r"|(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----).*?(?:-----END|\Z)"
    r"|((?:token|password|passwd|passphrase|secret|api_key|master_key)=)[^&\s\"'#,;]+"
    r"|(\bBearer )[\w.~+/=-]+",
    re.DOTALL,
)
HIDDEN = "‹hidden›"


def without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide values under telling names, and what looks like a secret anywhere."""
    for name, value in event.items():
        if not name.startswith("_"):  # structlog's own, taken out later
            event[name] = _clean(name, value)
    return event


def _clean(name: str, value: Any) -> Any:
    """Return ``value`` without secrets, as deep as it goes."""
    if SECRET_NAME.search(name):
        return HIDDEN
    match value:
        case str():
            return SECRET_VALUE.sub(_hide, value)
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {key: _clean(str(key), inner) for key, inner in value.items()}
        case list() | tuple():
            return [_clean("", inner) for inner in value]
    shown = repr(value)
    hidden = SECRET_VALUE.sub(_hide, shown)
    return value if hidden == shown else hidden


def _hide(match: re.Match[str]) -> str:
    kept = next((group for group in match.groups() if group), "")
    return f"{kept}{HIDDEN}" + ("@" if match.group(1) else "")


def harmless(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Show what a terminal would obey: an error's words may be a stranger's. Values it quotes by itself."""
    event["event"] = visible(str(event["event"]))
    if isinstance(told := event.get("exception"), str):
        event["exception"] = "\n".join(map(visible, told.split("\n")))
    return event


class Lines(io.TextIOBase):
    """Standard error, whose trouble (a full disk, a closed pipe) never reaches whoever writes a line."""

    def write(self, text: str) -> int:
        """Write ``text`` if that is possible."""
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is still held, if that is possible."""
        with suppress(OSError, ValueError):
            sys.stderr.flush()


class Noise(logging.Filter):
    """Lowers what anybody on the network can cause to one line now and then, with how often it was.

    That is a request that is not HTTP, or a connection that broke: our libraries log each as an error, with
    a traceback. What is wrong in it0 itself keeps its own.
    counted: called for each.
    """

    every_s = 60.0

    def __init__(self) -> None:
        super().__init__()
        self.counted: Callable[[], object] = lambda: None
        self._counts: Counter[str] = Counter()
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line is written, without its traceback if it is noise."""
        error = record.exc_info[1] if record.exc_info else None
        if not record.name.startswith(("aiohttp", "asyncio")) or not _is_noise(error):
            return True
        self.counted()
        kind = type(error).__name__
        self._counts[kind] += 1
        now = time.monotonic()
        if now < self._next.get(kind, 0.0):
            return False
        self._next[kind] = now + self.every_s
        record.msg = f"{record.getMessage()}: {kind}, {self._counts[kind]} so far"
        record.args, record.exc_info, record.exc_text = (), None, None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def _is_noise(error: BaseException | None) -> bool:
    # Known by its module's name: aiohttp takes long to import, and logs are set up first.
    is_not_http = any(kind.__module__ == "aiohttp.http_exceptions" for kind in type(error).__mro__)
    return is_not_http or isinstance(error, ConnectionError | TimeoutError)


NOISE = Noise()


def set_up_logs(level: str) -> None:
    """Send every log line, our own and the libraries', through one chain.

    level: the least level that is written, such as INFO.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        without_secrets,
    ]
    at_terminal = sys.stderr.isatty()
    last: list[structlog.typing.Processor] = (
        [harmless, structlog.dev.ConsoleRenderer()]
        if at_terminal
        else [structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Lines())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    handler.addFilter(NOISE)
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
