"""Structured logs on standard error: one JSON object a line, or coloured lines at a terminal."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET_NAME = re.compile(
    r"password|secret|token|private|master_key|api_key|cookie|authorization", re.IGNORECASE
)
SECRET_VALUE = re.compile(
    r"(?i)(postgres(?:ql)?://[^:@/\s]+:)[^@\s]+@|(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END|\Z)"
    r"|(\b(?:token|password|secret)=)[^&\s]+",
    re.DOTALL,
)


def without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide values under telling names, and what looks like a secret anywhere."""
    for name, value in event.items():
        if SECRET_NAME.search(name):
            event[name] = "‹hidden›"
        elif isinstance(value, str):
            event[name] = SECRET_VALUE.sub(_hide, value)
    return event


def _hide(match: re.Match[str]) -> str:
    kept = next((group for group in match.groups() if group), "")
    return f"{kept}‹hidden›" + ("@" if match.group(1) else "")


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
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if at_terminal
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
