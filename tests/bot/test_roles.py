"""`it0 bot` and `it0 worker`: what they need is said in a sentence, and the worker's timers go off."""

import asyncio
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from fakes.clock import FakeClock
from fakes.desk import make_desk, taken_work
from support.house import FAST, ROOT, free_port
from support.place import until
from support.store import AUDIT_KEY, Store, add_user

from agent.gate.deciding.approvals import Approvals
from bot.embedded import Home, make_keys
from bot.process.addresses import POSTGRES, REDIS, is_url
from bot.process.running import _serve
from core.errors import SetupError
from core.store import approvals as stored
from core.texts import Say
from core.vault import new_key
from core.work import Action, Risk, Verdict

KEYS = {
    "VAULT_MASTER_KEY": new_key(),
    "AUDIT_KEY": base64.b64encode(AUDIT_KEY).decode(),
    "JWT_SECRET": "s3cr3t-jwt-value-of-32-characters",
}
NOWHERE = {"DATABASE_URL": "postgresql://it0_app:s3cr3t@127.0.0.1:1/it0"}


def environment(home: Path, settings: dict[str, str]) -> dict[str, str]:
    """Return the environment of a process with ``settings``."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {
        **kept,
        **FAST,
        "PYTHONPATH": str(ROOT),
        "IT0_HOME": str(home / "home"),
        "IT0_HTTP_PORT": "0",
        **settings,
    }


async def it0(home: Path, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run ``it0`` to its end."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bot", *words],
        cwd=home,
        env=environment(home, settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def sentence(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the one sentence with which a command ended."""
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("it0: ")]
    assert lines == done.stderr.splitlines()[-1:]
    assert "s3cr3t" not in done.stderr + done.stdout
    return lines[0]


@pytest.mark.parametrize("role", ["bot", "worker"])
async def test_role_without_a_database_names_the_setting(tmp_path: Path, role: str) -> None:
    assert "DATABASE_URL" in sentence(await it0(tmp_path, role, **KEYS))


@pytest.mark.parametrize("role", ["bot", "worker"])
@pytest.mark.parametrize("missing", ["VAULT_MASTER_KEY", "AUDIT_KEY"])
async def test_role_without_a_key_names_the_setting(
    tmp_path: Path, store: Store, role: str, missing: str
) -> None:
    settings = {**KEYS, "DATABASE_URL": store.app_url, missing: ""}
    assert missing in sentence(await it0(tmp_path, role, **settings))


@pytest.mark.parametrize("name", ["VAULT_MASTER_KEY", "AUDIT_KEY"])
async def test_key_of_another_form_is_named_and_not_shown(tmp_path: Path, store: Store, name: str) -> None:
    settings = {**KEYS, "DATABASE_URL": store.app_url, name: "s3cr3t"}
    assert name in sentence(await it0(tmp_path, "bot", **settings))


async def test_database_that_does_not_answer_is_a_sentence(tmp_path: Path) -> None:
    assert sentence(await it0(tmp_path, "worker", **KEYS, **NOWHERE))


async def test_port_in_use_is_a_sentence(tmp_path: Path, store: Store) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = await it0(tmp_path, "bot", **KEYS, DATABASE_URL=store.app_url, IT0_HTTP_PORT=port)
    assert f"127.0.0.1:{port}" in sentence(done)


async def test_up_looks_for_its_port_before_anything_is_made(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = await it0(tmp_path, "up", IT0_HTTP_PORT=port)
    assert f"127.0.0.1:{port}" in sentence(done)
    assert not {"postgres", "valkey", "keys"} & {path.name for path in (tmp_path / "home").iterdir()}


@pytest.mark.parametrize("name", ["VAULT_MASTER_KEY", "AUDIT_KEY"])
async def test_up_looks_at_its_keys_before_anything_is_made(tmp_path: Path, name: str) -> None:
    said = sentence(await it0(tmp_path, "up", **{name: "s3cr3t"}))
    assert name in said
    assert "openssl rand -base64 32" in said
    assert not (tmp_path / "home").exists()


async def test_up_looks_for_its_engine_before_anything_is_made(tmp_path: Path) -> None:
    said = sentence(await it0(tmp_path, "up", IT0_ENGINE="claude_api"))
    assert "IT0_ENGINE" in said
    assert not (tmp_path / "home").exists()


async def test_host_that_is_not_ours_is_a_sentence(tmp_path: Path) -> None:
    assert "192.0.2.1" in sentence(await it0(tmp_path, "up", IT0_HTTP_HOST="192.0.2.1"))


async def test_port_that_is_taken_at_the_last_moment_is_the_same_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        runner = web.AppRunner(web.Application())
        try:
            with pytest.raises(SetupError) as caught:
                await _serve(runner, "127.0.0.1", taken.getsockname()[1])
        finally:
            await runner.cleanup()
    assert caught.value.say.key == "setup.port_in_use"


BAD_URLS = [
    "s3cr3t",
    "s3cr3t://h/db",
    "postgresql://u:s3cr3t@h:port/db",
    "postgresql://u:s3c/r3t@h/db",
    "postgresql:",
]


@pytest.mark.parametrize("role", ["up", "bot", "worker", "migrate", "doctor"])
@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_ADMIN_URL", "REDIS_URL"])
async def test_url_that_is_none_is_refused_before_anything_starts(
    tmp_path: Path, role: str, name: str
) -> None:
    others = {} if role == "up" else {**KEYS, **NOWHERE}
    assert name in sentence(await it0(tmp_path, role, **{**others, name: BAD_URLS[0]}))
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("url", BAD_URLS)
def test_text_that_no_client_takes_apart_is_no_url(url: str) -> None:
    assert not is_url(url, POSTGRES)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://it0:p%40ss@db:5432/it0", "postgres://db/it0?sslmode=require", "postgresql:///it0?host=/run/pg",
        "postgresql://a:5432,b:5433/it0", "postgresql://[::1]:5432/it0", "postgresql://u@/it0?host=/tmp",
    ],
)  # fmt: skip
def test_url_of_a_database_is_one(url: str) -> None:
    assert is_url(url, POSTGRES)


@pytest.mark.parametrize("url", ["redis://h", "rediss://:p@h:6379/0", "unix:///run/valkey.sock?db=1"])
def test_url_of_redis_is_one(url: str) -> None:
    assert is_url(url, REDIS)


@pytest.mark.parametrize(
    ("name", "value"), [("IT0_HTTP_PORT", "s3cr3t"), ("DATABASE_POOL", "0"), ("HEARTBEAT_S", "-1")]
)
async def test_wrong_setting_is_a_sentence_that_names_it(tmp_path: Path, name: str, value: str) -> None:
    assert name in sentence(await it0(tmp_path, "bot", **KEYS, **NOWHERE, **{name: value}))


async def test_engine_that_is_not_there_is_a_sentence(tmp_path: Path, store: Store) -> None:
    done = await it0(tmp_path, "bot", **KEYS, DATABASE_URL=store.app_url, IT0_ENGINE="gpt")
    assert "IT0_ENGINE" in sentence(done)


@pytest.mark.parametrize("words", [["nonsense"], ["bot", "--nonsense"], ["user", "add"]])
async def test_wrong_usage_exits_with_2(tmp_path: Path, words: list[str]) -> None:
    done = await it0(tmp_path, *words)
    assert done.returncode == 2
    assert re.search("Usage|Error", done.stderr)


@contextmanager
def running(home: Path, role: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run ``it0 role`` beside the test; it must end well when it is told to."""
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot", role],
            cwd=home,
            env=environment(home, settings),
            stdout=log,
            stderr=log,
        )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0, (home / "log").read_text()
        finally:
            process.kill()
            process.wait()


async def test_worker_expires_what_is_past_due(tmp_path: Path, store: Store) -> None:
    yesterday = FakeClock(datetime.now(UTC) - timedelta(days=1))
    tenant, desk = await store.first(), make_desk(yesterday)
    ann = await add_user(tenant, yesterday, "ann")
    action = Action("run", "systemctl restart nginx", ("s1",), ("SHA256:k",), ("ops",))
    verdict = Verdict(Risk.L2, (Say("risk.restarts"),), action.command, "r1")
    approval, _ = await Approvals(desk).ask(await taken_work(tenant, ann, desk), 0, action, verdict)

    async def settled() -> bool:
        async with tenant.reading() as db:
            now = await stored.get(db, approval.id)
        return now is not None and now.status == "expired"

    with running(tmp_path, "worker", **KEYS, DATABASE_URL=store.app_url):
        await until(settled, 20)


async def test_worker_tells_of_its_health_on_a_port_of_its_own_and_of_nothing_else(
    tmp_path: Path, store: Store
) -> None:
    port = free_port()

    def answer(path: str) -> str:
        return spoken(port, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).decode().split("\r\n")[0]

    async def serves() -> bool:
        return "ready" in (tmp_path / "log").read_text()

    more = {"DATABASE_URL": store.app_url, "IT0_WORKER_PORT": str(port)}
    with running(tmp_path, "worker", **KEYS, **more):
        await until(serves, 20)
        for path, status in (
            ("/healthz", " 200 "),
            ("/readyz", " 200 "),
            ("/metrics", " 200 "),
            ("/", " 404 "),
        ):
            assert status in await asyncio.to_thread(answer, path), path


def spoken(port: int, sent: bytes) -> bytes:
    """Send bytes to a port and return what comes back."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(sent)
        return connection.recv(1000)


async def test_home_with_keys_and_no_data_and_noise_on_the_port_are_each_told_in_a_line(
    tmp_path: Path,
) -> None:
    with Home(tmp_path / "home") as home:
        make_keys(home)
    port = free_port()

    async def served() -> bool:
        return "it0 is ready" in log()

    def log() -> str:
        return (tmp_path / "log").read_text()

    with running(tmp_path, "up", IT0_HTTP_PORT=str(port)):
        await until(served, 30)
        assert [line for line in log().splitlines() if line.startswith("it0: ATTENTION: ")] != []
        assert '"home_has_keys_but_no_data"' in log()
        for number in range(5):
            answer = await asyncio.to_thread(
                spoken, port, b"GET /\x00 HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n"
            )
            assert b" 400 " in answer, number
        url = f"http://127.0.0.1:{port}/metrics"
        figures = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read().decode())
        assert 'it0_requests_refused_total{reason="malformed"} 5.0' in figures
        told = [line for line in log().splitlines() if "Error handling request" in line]
        assert len(told) == 1
        assert '"level": "warning"' in told[0]
        assert "Traceback" not in log()


NOISY = """
import logging
from bot.process.logs import NOISE, set_up_logs
set_up_logs("INFO")
told = []
NOISE.counted = lambda: told.append(1)
def log(name, error):
    try:
        raise error
    except Exception:
        logging.getLogger(name).exception("lost %s", "it")
for _ in range(3):
    log("asyncio", ConnectionResetError("gone"))
log("aiohttp.server", ValueError("a fault of ours"))
log("lib", ConnectionResetError("gone"))
logging.getLogger("asyncio").warning("slow")
print(len(told))
"""


def test_noise_is_a_line_and_a_fault_keeps_its_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", NOISY], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"
    noise, *others = map(json.loads, done.stderr.splitlines())
    assert (noise["level"], noise["event"]) == ("warning", "lost it: ConnectionResetError, 1 so far")
    assert "exception" not in noise
    assert ["Traceback" in each.get("exception", "") for each in others] == [True, True, False]
