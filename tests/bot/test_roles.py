"""`it0 bot` and `it0 worker`: what they need is said in a sentence, and the worker's timers go off."""

import asyncio
import base64
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.desk import make_desk, taken_work
from support.house import FAST, ROOT
from support.place import until
from support.store import AUDIT_KEY, Store, add_user

from agent.approvals import Approvals
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
    return {**kept, **FAST, "PYTHONPATH": str(ROOT), "IT0_HOME": str(home / "home"), **settings}


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
