"""Logs: what looks like a secret never gets into a line, wherever it stands."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from bot.process.logs import harmless, without_secrets

HIDDEN = "‹hidden›"


def logged(**event: Any) -> dict[str, Any]:
    """Return what is left of a line."""
    return dict(without_secrets(None, "", {"event": "e", **event}))


TELLING = [
    "password", "db_password", "Password", "client_secret", "token", "access_token", "private_key", "cookie",
    "vault_master_key", "api_key", "authorization", "Authorization", "passphrase", "passwd", "audit_key",
]  # fmt: skip


@pytest.mark.parametrize("name", TELLING)
@pytest.mark.parametrize("value", ["geheim", b"geheim", ["geheim"], {"a": "geheim"}, 4711])
def test_value_under_a_telling_name_is_hidden(name: str, value: Any) -> None:
    assert logged(**{name: value})[name] == HIDDEN


@pytest.mark.parametrize("name", ["event", "error", "exception", "reason", "url", "x"])
def test_ordinary_values_stay(name: str) -> None:
    value = "started web-1 on http://127.0.0.1:8080/x?y=z in 3 s"
    assert logged(**{name: value})[name] == value
    assert logged(count=3, ok=True, none=None) == {"event": "e", "count": 3, "ok": True, "none": None}


URLS = [
    "postgres://it0:geheim@db/it0",
    "postgresql://it0:geheim@db:5432/it0?x=y",
    "postgresql+asyncpg://it0:geheim@db/it0",
    "redis://:geheim@cache:6379/0",
    "rediss://user:geheim@cache",
    "https://user:geheim@git.example/x.git",
    "smtp://me:geheim%40home@mail.example:587",
    "amqp://me:geheim@home@mq.example",
    "http://h/login?token=geheim",
    "http://h/x?a=b&password=geheim&c=d",
    "https://h/x?access_token=geheim#top",
    "wss://h/ws?api_key=geheim",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("place", ["{}", "cannot reach {}: refused", "({})", 'OSError("{}")\n  File "x"\n'])
@pytest.mark.parametrize("name", ["event", "exception", "reason"])
def test_password_or_token_in_a_url_is_hidden(url: str, place: str, name: str) -> None:
    found = logged(**{name: place.format(url)})[name]
    assert "geheim" not in found
    assert HIDDEN in found
    assert url.split("//")[0] in found


PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\ngeheim\ngeheim\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize("text", [PEM, PEM[:60], f"key: {PEM} and more", PEM.replace("OPENSSH ", "")])
def test_private_key_is_hidden_also_when_its_end_is_missing(text: str) -> None:
    assert "geheim" not in logged(reason=text)["reason"]


def test_bearer_token_is_hidden() -> None:
    line = logged(event="GET / Authorization: Bearer geheim.geheim")
    assert line == {"event": f"GET / Authorization: Bearer {HIDDEN}"}


LONG = ["a", " ", "\\", "://", "://a:", "a.b-c+", "-----BEGIN ", "token=", "Bearer "]


@pytest.mark.parametrize("unit", LONG)
def test_time_grows_with_the_line_only(unit: str) -> None:
    began = time.process_time()
    logged(event=(unit * 100_000)[:100_000])
    assert time.process_time() - began < 1


NESTED = [
    {"headers": {"Authorization": "Bearer geheim", "Accept": "x"}},
    {"urls": ["postgres://it0:geheim@db/it0"]},
    {"deep": {"a": [{"b": {"token": "geheim"}}]}},
    {"pair": ("password=geheim", 1)},
    {"raw": b"postgres://it0:geheim@db/it0"},
    {"error": ValueError("postgres://it0:geheim@db/it0")},
]


@pytest.mark.parametrize("event", NESTED)
def test_secret_inside_other_values_is_hidden(event: dict[str, Any]) -> None:
    assert "geheim" not in repr(logged(**event))


PROGRAM = """
import logging, structlog
from bot.process.logs import set_up_logs
set_up_logs("{level}")
log = structlog.get_logger()
log.debug("fine")
log.info("started", password="geheim", url="redis://:geheim@h", reason="好")
try:
    raise OSError("postgresql://it0:geheim@db refused")
except OSError:
    log.exception("lost")
logging.getLogger("asyncpg").warning("at %s", "postgres://u:geheim@h/d")
logging.getLogger("lib").info("chatter")
try:
    raise ValueError("token=geheim")
except ValueError:
    logging.getLogger("lib").exception("bad")
"""


def lines(level: str) -> list[dict[str, Any]]:
    """Return what a program writes on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(level=level)], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert "geheim" not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_every_line_is_one_json_object_with_moment_and_level() -> None:
    found = lines("INFO")
    assert [line["event"].split(" ")[0] for line in found] == ["started", "lost", "at", "bad"]
    assert all({"timestamp", "level", "event"} <= set(line) for line in found)
    assert found[0]["reason"] == "好"
    assert "Traceback" in found[1]["exception"]
    assert "Traceback" in found[3]["exception"]


def test_level_is_the_least_that_is_written() -> None:
    assert [line["event"] for line in lines("error")] == ["lost", "bad"]
    assert lines("DEBUG")[0]["event"] == "fine"


@pytest.mark.parametrize("sign", ["\x1b[2J", "\x9b2J", "\r", "\x07", "\u202e", "\x1b]0;x\x07"])
def test_terminal_obeys_nothing_in_a_line_and_no_event_takes_a_second_one(sign: str) -> None:
    line = harmless(None, "", {"event": f"a{sign}b\nforged", "exception": f"Traceback\n  x{sign}y"})
    assert (sign in line["event"] + line["exception"], line["event"].count("\n")) == (False, 0)
    assert line["exception"].startswith("Traceback\n  x")
