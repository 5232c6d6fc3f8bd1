"""The shell against a real OpenSSH server and the bot's own machine, and its fake by the same contract."""

import asyncio
import gc
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from fakes.shell import Answer, ScriptedShell
from hypothesis import given
from hypothesis import strategies as st
from support.sshd import SSHD, Sshd, a_server, a_target, free_port, relay_to, start_sshd

from agent.shell.hostkeys import fingerprint
from agent.shell.local import Local
from agent.shell.output import Kept, Output
from agent.shell.ssh import SshShell
from agent.shell.wrapper import Opening, Report, marker, outcome_script, parse_report, run_script, stop_script
from core.errors import HostKeyChanged, HostKeyUnknown, Refused, ServerUnreachable
from core.ids import new_id
from core.ports import Login, Order, Shell, Target

ROOT = Path(__file__).resolve().parents[2]
needs_sshd = pytest.mark.skipif(not SSHD, reason="there is no OpenSSH server here")


def order(command: str, timeout_s: float = 10, run_id: str = "", cwd: str = "") -> Order:
    """Return an order with an id of its own."""
    return Order(run_id or new_id(), command, timeout_s, cwd)


def error_of(result: Any) -> str:
    """Return the key of a result's error."""
    return str(result.error["say"]) if result.error else ""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait half a second between TERM and KILL, and for a broken connection, instead of five."""
    monkeypatch.setattr("agent.shell.wrapper.TERM_TICKS", 5)
    monkeypatch.setattr("agent.shell.ssh.SETTLE_S", 1.0)


@dataclass
class Place:
    """Where the contract is tried. script: what a fake has to be told beforehand."""

    shell: Shell
    target: Target
    script: Callable[..., None] = lambda *args, **fields: None
    real: bool = True


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if not SSHD:
        pytest.skip("there is no OpenSSH server here")
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
async def shell() -> AsyncIterator[SshShell]:
    shell = SshShell(connect_timeout_s=5)
    yield shell
    await shell.close()


@pytest.fixture(params=["sshd", "local", "fake"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "fake":
        fake = ScriptedShell()
        yield Place(fake, a_target(a_server(host_key="ssh-ed25519 AAAA"), None), fake.on, real=False)
        return
    shell = SshShell(connect_timeout_s=5, local=Local(home=tmp_path))
    if request.param == "local":
        yield Place(shell, a_target(a_server(connection="local"), None))
    else:
        yield Place(shell, request.getfixturevalue("sshd").target())
    await shell.close()


class TestContract:
    """What everything behind ``core.ports.Shell`` does."""

    async def test_exit_code_and_both_streams_come_back_apart(self, place: Place) -> None:
        command = "echo out; echo err >&2; exit 3"
        place.script(command, exit_code=3, stdout="out\n", stderr="err\n")
        result = await place.shell.run(place.target, order(command))
        assert (result.state, result.exit_code, result.ok) == ("done", 3, False)
        assert (result.stdout, result.stderr, result.dropped, result.error) == ("out\n", "err\n", 0, None)
        assert (result.server_id, result.server) == (place.target.server.id, place.target.server.name)
        assert result.duration_ms is not None

    async def test_output_is_shown_as_it_comes(self, place: Place) -> None:
        command = "printf 'Grüße, 世界\\n'"
        place.script(command, stdout="Grüße, 世界\n")
        shown: list[tuple[str, str]] = []
        result = await place.shell.run(place.target, order(command), lambda *piece: shown.append(piece))
        assert result.ok
        assert "".join(text for stream, text in shown if stream == "stdout") == "Grüße, 世界\n"

    async def test_the_same_run_is_never_started_twice(self, place: Place, tmp_path: Path) -> None:
        counter = tmp_path / "counter"
        command = f"echo x >>{counter}"
        place.script(command)
        once = order(command)
        results = await asyncio.gather(*(place.shell.run(place.target, once) for _ in range(5)))
        results.append(await place.shell.run(place.target, once))
        assert sorted(r.state for r in results) == ["done"] + ["failed"] * 5
        assert {error_of(r) for r in results if r.state == "failed"} == {"shell.run_twice"}
        if place.real:
            assert counter.read_text() == "x\n"
        else:
            assert len(place.shell.started) == 1  # type: ignore[attr-defined]

    async def test_the_same_run_id_on_two_servers_is_two_runs(self, place: Place) -> None:
        place.script("true")
        once = order("true")
        other = replace(place.target, server=replace(place.target.server, id="server-2", name="web-2"))
        assert (await place.shell.run(place.target, once)).ok
        assert (await place.shell.run(other, once)).ok

    async def test_outcome_knows_the_exit_code_afterwards(self, place: Place) -> None:
        place.script("exit 4", exit_code=4)
        done = order("exit 4")
        await place.shell.run(place.target, done)
        result = await place.shell.outcome(place.target, done.run_id)
        assert (result.state, result.exit_code) == ("done", 4)

    async def test_outcome_knows_how_long_it_took(self, place: Place) -> None:
        if not place.real:
            pytest.skip("the fake keeps no marker")
        done, late = order("sleep 0.5"), order("sleep 30", 20)
        await place.shell.run(place.target, done)
        task = asyncio.create_task(place.shell.run(place.target, late))
        await asyncio.sleep(1)
        await place.shell.stop(place.target, late.run_id)
        await task
        for run_id, state in ((done.run_id, "done"), (late.run_id, "stopped")):
            result = await place.shell.outcome(place.target, run_id)
            assert result.state == state
            assert 400 <= (result.duration_ms or 0) < 8000

    async def test_outcome_of_a_run_that_goes_on_is_running(self, place: Place) -> None:
        command = "sleep 0.7; exit 5"
        place.script(command, exit_code=5, after_s=0.7)
        long = order(command)
        task = asyncio.create_task(place.shell.run(place.target, long))
        await asyncio.sleep(0.3)
        assert (await place.shell.outcome(place.target, long.run_id)).state == "running"
        assert (await task).exit_code == 5

    async def test_a_run_said_never_to_have_started_never_starts(self, place: Place) -> None:
        late = order("true")
        result = await place.shell.outcome(place.target, late.run_id)
        assert (result.state, error_of(result)) == ("failed", "shell.never_started")
        assert (await place.shell.run(place.target, late)).state == "failed"

    async def test_stop_ends_a_run(self, place: Place) -> None:
        place.script("sleep 30", hang=True)
        long = order("sleep 30", 20)
        task = asyncio.create_task(place.shell.run(place.target, long))
        await asyncio.sleep(0.3)
        assert await place.shell.stop(place.target, long.run_id)
        result = await task
        assert (result.state, error_of(result)) == ("stopped", "shell.stopped")
        assert (await place.shell.outcome(place.target, long.run_id)).state == "stopped"

    async def test_stop_of_a_run_that_has_ended_leaves_its_outcome(self, place: Place) -> None:
        place.script("true")
        done = order("true")
        await place.shell.run(place.target, done)
        assert await place.shell.stop(place.target, done.run_id)
        assert (await place.shell.outcome(place.target, done.run_id)).state == "done"

    async def test_a_run_out_of_time_is_ended(self, place: Place) -> None:
        place.script("echo begun; sleep 30", stdout="begun\n", hang=True)
        began = time.monotonic()
        late = order("echo begun; sleep 30", 0.5)
        result = await place.shell.run(place.target, late)
        assert (result.state, result.stdout, error_of(result)) == ("timeout", "begun\n", "shell.timeout")
        assert time.monotonic() - began < 0.5 + 2
        assert (await place.shell.outcome(place.target, late.run_id)).state == "timeout"

    async def test_cancelling_stops_the_command(self, place: Place) -> None:
        place.script("sleep 30", hang=True)
        long = order("sleep 30", 20)
        task = asyncio.create_task(place.shell.run(place.target, long))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await place.shell.outcome(place.target, long.run_id)).state == "stopped"

    async def test_a_run_that_is_left_goes_on(self, place: Place) -> None:
        command = "sleep 0.8; exit 5"
        place.script(command, exit_code=5, after_s=0.8)
        long = order(command)
        task = asyncio.create_task(place.shell.run(place.target, long))
        await asyncio.sleep(0.3)
        await place.shell.leave()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await place.shell.outcome(place.target, long.run_id)).state == "running"
        result = await outcome_at_last(place, long.run_id)
        assert (result.state, result.exit_code) == ("done", 5)

    async def test_reaching_a_server_runs_nothing(self, place: Place) -> None:
        await place.shell.reach(place.target)
        if place.target.server.connection == "ssh":
            unknown = replace(place.target.server, host_key=None)
            with pytest.raises(HostKeyUnknown):
                await place.shell.reach(replace(place.target, server=unknown))


@pytest.fixture(params=["sshd", "local"])
async def real(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    shell = SshShell(connect_timeout_s=5, output_cap_bytes=4096, local=Local(home=tmp_path))
    if request.param == "local":
        yield Place(shell, a_target(a_server(connection="local"), None))
    else:
        yield Place(shell, request.getfixturevalue("sshd").target())
    await shell.close()


class TestOnRealShells:
    """What a fake cannot show."""

    async def test_the_environment_is_the_fixed_list_and_nothing_else(
        self, real: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VAULT_MASTER_KEY", "secret")
        wanted = order("env -0 | tr '\\0' '\\n'")
        lines = (await real.shell.run(real.target, wanted)).stdout.splitlines()
        env = dict(line.split("=", 1) for line in lines)
        of_bash = {"PWD", "SHLVL", "_", "OLDPWD"}
        pagers = {"PAGER", "GIT_PAGER", "SYSTEMD_PAGER", "MANPAGER"}
        fixed = {"HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "PATH", "LESSSECURE", "IT0_RUN"}
        assert set(env) - of_bash == fixed | pagers
        assert {env[name] for name in pagers} == {"cat"}
        assert env["IT0_RUN"] == marker(wanted.run_id, real.target.server.id)
        assert (env["LC_ALL"], env["LESSSECURE"]) == ("C.UTF-8", "1")

    async def test_kubeconfig_comes_from_the_inventory(self, real: Place) -> None:
        target = replace(real.target, server=replace(real.target.server, tags={"kubeconfig": "/k's/config"}))
        assert (await real.shell.run(target, order("echo $KUBECONFIG"))).stdout == "/k's/config\n"

    async def test_stdin_is_empty_and_there_is_no_terminal(self, real: Place) -> None:
        result = await real.shell.run(real.target, order("cat; readlink /proc/self/fd/0; tty"))
        assert result.stdout == "/dev/null\nnot a tty\n"

    async def test_the_command_arrives_as_it_was_written(self, real: Place) -> None:
        command = "printf '%s|' \"it's\" '$HOME' `echo b` \\\\ \"a\nb\"; echo '世界' \"}\"; exit 9"
        result = await real.shell.run(real.target, order(command))
        assert (result.stdout, result.exit_code) == ("it's|$HOME|b|\\|a\nb|世界 }\n", 9)

    async def test_the_profile_names_the_shell(self, real: Place) -> None:
        plain = replace(real.target, server=replace(real.target.server, shell="sh"))
        tell = "echo ${BASH_VERSION:-none}; set -o | grep -c posix; shopt login_shell 2>&1"
        assert (await real.shell.run(real.target, order(tell))).stdout.splitlines()[0] != "none"
        assert "not found" in (await real.shell.run(plain, order(tell))).stdout

    async def test_the_command_has_the_accounts_umask_and_default_signals(self, real: Place) -> None:
        result = await real.shell.run(real.target, order("umask; grep SigIgn /proc/self/status"))
        mask, ignored = result.stdout.splitlines()
        assert mask in ("0022", "0002")
        libcs_own = ~0x7FFFFFFF  # signal 32 and up: no shell can set them, so whoever began us did
        assert int(ignored.split()[1], 16) & ~libcs_own == 0

    async def test_a_folder_is_entered_first(self, real: Place, tmp_path: Path) -> None:
        (tmp_path / "it's").mkdir()
        assert (await real.shell.run(real.target, order("pwd", cwd=f"{tmp_path}/it's"))).stdout.endswith(
            "it's\n"
        )
        missing = order("pwd", cwd="/no/such/folder")
        result = await real.shell.run(real.target, missing)
        assert (result.state, error_of(result)) == ("failed", "shell.no_cwd")

    @pytest.mark.usefixtures("impatient")
    async def test_stop_ends_the_whole_group_and_strays(self, real: Place, tmp_path: Path) -> None:
        note = f"echo $$ >>{tmp_path}/pids"
        child = f"sh -c '{note}; sleep 60; :' &"
        stray = f"setsid sh -c '{note}; trap \"\" TERM; sleep 60; :' &"
        long = order(f"{note}; {child} (sh -c '{note}; sleep 60; :' &) ; {stray} sleep 60", 50)
        task = asyncio.create_task(real.shell.run(real.target, long))
        await asyncio.sleep(0.6)
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        assert len(pids) == 4
        assert await real.shell.stop(real.target, long.run_id)
        assert (await task).state == "stopped"
        assert not [pid for pid in pids if is_alive(pid)]

    @pytest.mark.usefixtures("impatient")
    async def test_a_command_that_ignores_term_is_killed(self, real: Place) -> None:
        result = await real.shell.run(real.target, order("trap '' TERM; while :; do sleep 0.1; done", 0.5))
        assert (result.state, result.exit_code) == ("timeout", 137)

    async def test_a_daemon_left_behind_does_not_hold_the_run(self, real: Place) -> None:
        began = time.monotonic()
        result = await real.shell.run(real.target, order("sleep 5 & echo up", 20))
        assert (result.state, result.exit_code, result.stdout) == ("done", 0, "up\n")
        assert time.monotonic() - began < 3

    async def test_a_flood_is_drained_within_bounds(self, real: Place) -> None:
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pieces: list[str] = []
        command = "echo first; head -c 150000000 /dev/zero | tr '\\0' x; echo last; exit 6"
        result = await real.shell.run(real.target, order(command, 60), lambda _, text: pieces.append(text))
        assert (result.state, result.exit_code) == ("done", 6)
        assert result.stdout.startswith("first\nxxx")
        assert result.stdout.endswith("xxxlast\n")
        assert len(result.stdout) < 4096 + 30
        assert result.dropped == 150_000_011 - 4096
        seconds = (result.duration_ms or 0) / 1000
        assert len(pieces) <= 20 * seconds + 4
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 50_000  # kB

    async def test_a_flood_without_end_is_ended_in_time(self, real: Place) -> None:
        began = time.monotonic()
        result = await real.shell.run(real.target, order("yes", 1))
        assert result.state == "timeout"
        assert time.monotonic() - began < 1 + 2

    async def test_a_killed_bot_does_not_end_the_command(
        self, real: Place, sshd: Sshd, tmp_path: Path
    ) -> None:
        # It writes more than a pipe holds after the bot is gone, so SIGPIPE or a full pipe would show.
        writes = "head -c 300000 /dev/zero || exit 50; for i in 1 2 3; do echo $i >&2; sleep 0.1; done"
        command = f"echo begun >{tmp_path}/begun; sleep 0.8; {writes}; exit 7"
        run_id = new_id()
        bot = start_bot(real, sshd, tmp_path, run_id, command)
        await until(lambda: (tmp_path / "begun").exists())
        bot.send_signal(signal.SIGKILL)
        bot.wait()
        assert (await real.shell.outcome(real.target, run_id)).state == "running"
        result = await outcome_at_last(real, run_id)
        assert (result.state, result.exit_code) == ("done", 7)

    async def test_a_bot_that_leaves_and_exits_does_not_end_the_command(
        self, real: Place, sshd: Sshd, tmp_path: Path
    ) -> None:
        """asyncio kills the children that it still has when it ends."""
        command = f"echo begun >{tmp_path}/begun; sleep 1; exit 8"
        run_id = new_id()
        bot = start_bot(real, sshd, tmp_path, run_id, command, leave_after_s=0.5)
        await asyncio.to_thread(bot.wait)
        assert (tmp_path / "begun").exists()
        result = await outcome_at_last(real, run_id)
        assert (result.state, result.exit_code) == ("done", 8)

    async def test_a_process_that_vanished_without_a_code_is_unknown(self, real: Place) -> None:
        lost = order("kill -9 $(ps -o ppid= -p $$); kill -9 $$", 10)
        await real.shell.run(real.target, lost)
        result = await real.shell.outcome(real.target, lost.run_id)
        assert (result.state, error_of(result)) == ("unknown", "shell.unknown")

    async def test_old_markers_are_removed_and_nothing_else(self, sshd: Sshd, shell: SshShell) -> None:
        base, week = sshd.home / ".it0" / "run", time.time() - 8 * 86_400
        marked, foreign, plain = base / "old.server", base / "not.ours", base / "sockets"
        for folder, name in ((marked, "exit"), (foreign, "data"), (plain, "exit")):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("0\n")
            os.utime(folder, (week, week))
        await shell.run(sshd.target(), order("true"))
        await until(lambda: not marked.exists())
        await asyncio.sleep(0.1)
        assert (foreign / "data").exists()
        assert (plain / "exit").exists()

    @pytest.mark.parametrize(
        ("bad", "key"),
        [
            (order("true", run_id="../x"), "shell.bad_run_id"),
            (order("a\0b"), "shell.bad_command"),
            (order("a\ud800"), "shell.bad_command"),
            (order("  "), "shell.empty_command"),
        ],
    )
    async def test_what_no_shell_can_take_is_refused(self, real: Place, bad: Order, key: str) -> None:
        result = await real.shell.run(real.target, bad)
        assert (result.state, error_of(result)) == ("failed", key)


BOT = """
import asyncio, sys
sys.path[:0] = ["{root}", "{root}/tests"]
from pathlib import Path
from agent.shell.local import Local
from agent.shell.ssh import SshShell
from core.ports import Login, Order
from support.sshd import a_server, a_target
server = a_server(**{server!r})
login = Login(server.ssh_user, "ssh_key", {key!r}, "c", 1)
target = a_target(server, login)

async def main():
    shell = SshShell(local=Local(home=Path({home!r})))
    run = asyncio.create_task(shell.run(target, Order({run_id!r}, {command!r}, 30)))
    await asyncio.wait({{run}}, timeout={leave_after_s})
    await shell.leave()
    run.cancel()
    await asyncio.wait({{run}})
    await shell.close()

# Python 3.12's default, which ends children as it goes.
if sys.version_info < (3, 12):
    asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
asyncio.run(main())
"""


def start_bot(
    place: Place, sshd: Sshd, home: Path, run_id: str, command: str, leave_after_s: float = 30
) -> "subprocess.Popen[bytes]":
    """Start a process of its own that runs ``command`` through the shell, and leaves it after a while."""
    words = bot_words(place.target.server.connection, sshd, home, run_id, command)
    code = BOT.format(root=ROOT, leave_after_s=leave_after_s, **words)
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def bot_words(kind: str, sshd: Sshd, home: Path, run_id: str, command: str) -> dict[str, Any]:
    """Return the places of ``BOT``."""
    server = (
        {"connection": "local"}
        if kind == "local"
        else {"id": sshd.server().id, "port": sshd.port, "host_key": sshd.host_key, "ssh_user": sshd.user}
    )
    return {"server": server, "key": sshd.client_key, "home": str(home), "run_id": run_id, "command": command}


def is_alive(pid: int) -> bool:
    """Return whether a process runs (zombies do not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


async def until(true: Callable[[], bool], within_s: float = 5) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.02)


async def outcome_at_last(place: Place, run_id: str) -> Any:
    """Return the outcome once it is no longer running."""
    async with asyncio.timeout(10):
        while (result := await place.shell.outcome(place.target, run_id)).state == "running":
            await asyncio.sleep(0.1)
    return result


@needs_sshd
class TestConnections:
    """What is trusted, what is bounded, and what is shared."""

    async def test_a_changed_host_key_is_refused(self, sshd: Sshd, shell: SshShell) -> None:
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        result = await shell.run(sshd.target(host_key=other), order("touch /tmp/it0-never"))
        assert (result.state, error_of(result)) == ("failed", "error.host_key_changed")
        params = result.error["params"] if result.error else {}
        assert params == {
            "server": "web-1",
            "expected": fingerprint(other),
            "seen": fingerprint(sshd.host_key),
        }

    async def test_a_host_key_of_another_type_is_a_changed_key(self, sshd: Sshd, shell: SshShell) -> None:
        other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode().strip()
        result = await shell.run(sshd.target(host_key=other), order("true"))
        assert error_of(result) == "error.host_key_changed"
        assert result.error is not None
        assert result.error["params"]["seen"] == fingerprint(sshd.host_key)

    @pytest.mark.parametrize("host_key", [None, "", "no key"])
    async def test_an_unconfirmed_host_key_is_refused_before_the_vault_is_opened(
        self, sshd: Sshd, shell: SshShell, host_key: str | None
    ) -> None:
        async def vault() -> Login:
            raise AssertionError("opened")

        target = replace(sshd.target(host_key=host_key), login=vault)
        result = await shell.run(target, order("true"))
        assert (result.state, error_of(result)) == ("failed", "error.host_key_unknown")

    async def test_the_key_that_a_server_shows_can_be_seen_without_trust(
        self, sshd: Sshd, shell: SshShell
    ) -> None:
        assert await shell.host_key(sshd.target(host_key=None)) == sshd.host_key
        assert fingerprint(sshd.host_key).startswith("SHA256:")

    async def test_an_rsa_host_key_is_pinned_as_well(self, tmp_path: Path, shell: SshShell) -> None:
        server = start_sshd(tmp_path, key_type="ssh-rsa")
        try:
            assert await shell.host_key(server.target()) == server.host_key
            assert (await shell.run(server.target(), order("true"))).ok
        finally:
            server.stop()

    async def test_a_wrong_login_is_told_apart(self, sshd: Sshd, shell: SshShell) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh")
        for kind, secret in (("ssh_password", b"wrong"), ("ssh_key", key)):
            login = Login(sshd.user, kind, secret, "c", 1)
            result = await shell.run(sshd.target(login, id=kind), order("true"))
            assert (result.state, error_of(result)) == ("failed", "shell.login_refused")
        broken = Login(sshd.user, "ssh_key", b"no key", "c", 1)
        assert error_of(await shell.run(sshd.target(broken, id="b"), order("true"))) == "shell.bad_key"

    async def test_a_password_opens_a_server_and_is_forgotten(self, shell: SshShell) -> None:
        async with password_server() as (port, host_key):
            login = Login("root", "ssh_password", "geheim-世界".encode(), "c", 1)
            target = a_target(a_server(port=port, host_key=host_key, restricted=True), login)
            result = await shell.run(target, order("anything"))
            assert (result.state, result.exit_code, result.stdout) == ("done", 4, "ran anything\n")
            conn = next(iter(shell._pool._all)).conn
            kept = [o for o in gc.get_objects() if isinstance(o, Login) and o.secret == login.secret]
            assert conn is not None
            assert "geheim" not in repr(vars(conn)) + repr(vars(conn._options))
            assert kept == [login]

    async def test_a_credential_that_may_not_be_used_starts_nothing(
        self, sshd: Sshd, shell: SshShell
    ) -> None:
        async def vault() -> Login:
            raise Refused("credential.revoked")

        result = await shell.run(replace(sshd.target(id="revoked"), login=vault), order("true"))
        assert (result.state, error_of(result)) == ("failed", "credential.revoked")
        result = await shell.run(replace(sshd.target(id="none"), login=None), order("true"))
        assert (result.state, error_of(result)) == ("failed", "shell.no_credential")

    async def test_cancelling_while_it_connects_is_at_once(self, sshd: Sshd, shell: SshShell) -> None:
        async with relay_to(sshd.port) as relay:
            relay.hanging = True
            task = asyncio.create_task(shell.run(sshd.target(port=relay.port), order("true")))
            await asyncio.sleep(0.2)
            task.cancel()
            began = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - began < 0.5

    async def test_a_channel_that_opens_after_a_cancellation_is_closed(
        self, sshd: Sshd, shell: SshShell
    ) -> None:
        async with relay_to(sshd.port) as relay:
            target = sshd.target(port=relay.port)
            await shell.reach(target)
            conn = next(iter(shell._pool._all)).conn
            relay.hanging = True
            task = asyncio.create_task(shell.run(target, order("true")))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            relay.hanging = False
            assert conn is not None
            await until(lambda: not conn._channels)
            assert (await shell.run(target, order("true"))).ok

    async def test_many_that_run_out_of_time_at_once_are_all_ended(self, sshd: Sshd, shell: SshShell) -> None:
        late = [order("sleep 60", 0.5) for _ in range(8)]
        results = await asyncio.gather(*(shell.run(sshd.target(), one) for one in late))
        assert {result.state for result in results} == {"timeout"}

    async def test_a_stop_before_the_start_keeps_it_from_starting(self, sshd: Sshd, shell: SshShell) -> None:
        busy = [order("sleep 1") for _ in range(8)]
        tasks = [asyncio.create_task(shell.run(sshd.target(), one)) for one in busy]
        await asyncio.sleep(0.4)
        waiting = order("true")
        queued = asyncio.create_task(shell.run(sshd.target(), waiting))
        await asyncio.sleep(0.1)
        assert await shell.stop(sshd.target(), waiting.run_id)
        result = await queued
        assert (result.state, error_of(result)) == ("failed", "shell.called_off")
        assert all(result.ok for result in await asyncio.gather(*tasks))

    async def test_silence_before_the_login_is_bounded(self, sshd: Sshd) -> None:
        shell = SshShell(connect_timeout_s=0.5)
        async with relay_to(sshd.port) as relay:
            relay.hanging = True
            began = time.monotonic()
            target = sshd.target(port=relay.port)
            result = await shell.run(target, order("true"))
            assert (result.state, error_of(result)) == ("failed", "error.server_unreachable")
            with pytest.raises(ServerUnreachable):
                await shell.host_key(target)
            assert (await shell.outcome(target, new_id())).state == "unknown"
            assert time.monotonic() - began < 1.5 + 2
        await shell.close()

    async def test_a_refused_connection_says_so(self, sshd: Sshd, shell: SshShell) -> None:
        result = await shell.run(sshd.target(port=free_port()), order("true"))
        assert (result.state, error_of(result)) == ("failed", "error.server_unreachable")
        assert result.error is not None
        assert result.error["params"]["reason"]["say"] == "shell.reason_refused"
        assert not await shell.stop(sshd.target(port=free_port()), new_id())

    async def test_a_cut_connection_is_followed_by_the_marker(self, sshd: Sshd, shell: SshShell) -> None:
        async with relay_to(sshd.port) as relay:
            target = sshd.target(port=relay.port)
            task = asyncio.create_task(shell.run(target, order("echo begun; sleep 1.2; exit 7")))
            await asyncio.sleep(0.6)
            relay.cut()
            result = await task
            assert (result.state, result.exit_code, result.stdout) == ("done", 7, "begun\n")
            assert error_of(result) == "shell.output_lost"

    @pytest.mark.usefixtures("impatient")
    async def test_a_cut_connection_that_stays_cut_is_unknown(self, sshd: Sshd, shell: SshShell) -> None:
        async with relay_to(sshd.port) as relay:
            target = sshd.target(port=relay.port)
            task = asyncio.create_task(shell.run(target, order("sleep 2", 10)))
            await asyncio.sleep(0.5)
            relay.hanging = True
            relay.cut()
            result = await task
            assert (result.state, error_of(result)) == ("unknown", "shell.lost")

    async def test_a_server_that_hangs_in_the_middle_is_unknown_in_time(
        self, sshd: Sshd, shell: SshShell
    ) -> None:
        async with relay_to(sshd.port) as relay:
            target = sshd.target(port=relay.port)
            began = time.monotonic()
            task = asyncio.create_task(shell.run(target, order("echo begun; sleep 3", 1)))
            await asyncio.sleep(0.5)
            relay.hanging = True
            result = await task
            assert (result.state, error_of(result), result.stdout) == (
                "unknown",
                "shell.timeout_left",
                "begun\n",
            )
            assert time.monotonic() - began < 1 + 2

    async def test_a_kept_connection_that_died_is_made_anew(self, sshd: Sshd, shell: SshShell) -> None:
        assert (await shell.run(sshd.target(), order("true"))).ok
        sshd.cut()
        assert (await shell.run(sshd.target(), order("true"))).ok

    async def test_a_jump_server_and_the_target_are_both_verified(
        self, sshd: Sshd, shell: SshShell, tmp_path: Path
    ) -> None:
        jump = start_sshd(tmp_path)
        try:
            through = sshd.target(jump=jump.target(name="jump"))
            assert (await shell.run(through, order("echo there"))).stdout == "there\n"
            assert await shell.host_key(through) == sshd.host_key
            for before, behind in ((sshd.host_key, sshd.host_key), (jump.host_key, jump.host_key)):
                wrong = sshd.target(jump=jump.target(name="jump", host_key=before), host_key=behind)
                result = await shell.run(wrong, order("true"))
                assert (result.state, error_of(result)) == ("failed", "error.host_key_changed")
            unknown = sshd.target(jump=jump.target(name="jump", host_key=None))
            result = await shell.run(unknown, order("true"))
            assert (error_of(result), result.error and result.error["params"]) == (
                "error.host_key_unknown",
                {"server": "jump"},
            )
        finally:
            jump.stop()

    async def test_a_jump_server_that_dies_leaves_it_unknown(
        self, sshd: Sshd, shell: SshShell, tmp_path: Path
    ) -> None:
        jump = start_sshd(tmp_path)
        task = asyncio.create_task(shell.run(sshd.target(jump=jump.target()), order("sleep 1; exit 3")))
        await asyncio.sleep(0.7)
        jump.stop()
        assert (await task).state == "unknown"

    async def test_one_connection_is_made_for_many_and_the_vault_opened_once(
        self, sshd: Sshd, shell: SshShell
    ) -> None:
        opened = 0

        async def vault() -> Login:
            nonlocal opened
            opened += 1
            await asyncio.sleep(0.05)
            return sshd.login()

        async with relay_to(sshd.port) as relay:
            target = replace(sshd.target(port=relay.port), login=vault)
            results = await asyncio.gather(*(shell.run(target, order("sleep 0.2")) for _ in range(12)))
            assert all(result.ok for result in results)
            assert (opened, relay.connections) == (1, 1)

    async def test_a_server_that_takes_one_session_only_gets_more_connections(
        self, tmp_path: Path, shell: SshShell
    ) -> None:
        server = start_sshd(tmp_path, extra="MaxSessions 1")
        try:
            long = order("sleep 30", 20)
            task = asyncio.create_task(shell.run(server.target(), long))
            await asyncio.sleep(0.5)
            assert await shell.stop(server.target(), long.run_id)
            assert (await task).state == "stopped"
        finally:
            server.stop()

    async def test_another_credential_version_gets_another_connection(
        self, sshd: Sshd, shell: SshShell
    ) -> None:
        async with relay_to(sshd.port) as relay:
            target = sshd.target(port=relay.port)
            for other in (target, replace(target, credential_version="2"), replace(target, tenant_id="t2")):
                assert (await shell.run(other, order("true"))).ok
            assert relay.connections == 3

    @pytest.mark.parametrize("how", ["server", "credential", "idle"])
    async def test_connections_are_closed_when_they_are_no_longer_wanted(self, sshd: Sshd, how: str) -> None:
        shell = SshShell(idle_s=0.2 if how == "idle" else 60)
        await shell.run(sshd.target(), order("true"))
        assert len(sshd.children()) > 0
        if how == "server":
            shell.forget("tenant-1", sshd.server().id)
        elif how == "credential":
            shell.forget_credential("credential-1")
        await until(lambda: not sshd.children())
        await shell.close()

    async def test_nothing_of_the_users_own_ssh_is_used(
        self, sshd: Sshd, shell: SshShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".ssh").mkdir()
        (tmp_path / ".ssh" / "config").write_text(
            "Host *\n  ForwardAgent yes\n  ProxyCommand false\n  Port 1\n"
        )
        (tmp_path / ".ssh" / "id_ed25519").write_bytes(sshd.client_key)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        options: list[dict[str, Any]] = []
        real = asyncssh.connect
        monkeypatch.setattr(asyncssh, "connect", lambda *a, **k: options.append(k) or real(*a, **k))
        result = await shell.run(sshd.target(), order("echo ${SSH_AUTH_SOCK:-no agent}; set | grep -c ^SSH_"))
        assert result.stdout == "no agent\n0\n"
        conn = next(iter(shell._pool._all)).conn
        assert conn is not None
        assert conn._agent is None
        assert conn._agent_forward_path is None
        none = ("config", "agent_path", "client_keys", "pkcs11_provider", "gss_host", "x509_trusted_certs")
        assert {options[0][name] for name in none} == {None}
        assert options[0]["agent_forwarding"] is options[0]["x11_forwarding"] is False
        wrong = Login(sshd.user, "ssh_password", b"x", "c", 1)
        assert not (await shell.run(sshd.target(wrong, id="other"), order("true"))).ok

    async def test_a_noisy_login_shell_does_not_get_into_the_output(
        self, sshd: Sshd, shell: SshShell
    ) -> None:
        noise = "echo welcome; echo careful >&2; exec"
        server = start_sshd(sshd.folder / "noisy", extra=f"ForceCommand {noise} $SSH_ORIGINAL_COMMAND")
        try:
            result = await shell.run(server.target(), order("echo out; echo err >&2"))
            assert (result.stdout, result.stderr) == ("out\n", "err\n")
        finally:
            server.stop()

    async def test_an_account_without_a_shell_starts_nothing(self, sshd: Sshd, shell: SshShell) -> None:
        server = start_sshd(sshd.folder / "nologin", extra="ForceCommand echo not available; exit 1")
        try:
            result = await shell.run(server.target(), order("true"))
            assert (result.state, error_of(result), result.stderr) == (
                "failed",
                "shell.not_started",
                "not available",
            )
        finally:
            server.stop()

    async def test_a_restricted_server_gets_the_bare_command(self, sshd: Sshd, shell: SshShell) -> None:
        target = sshd.target(restricted=True)
        done = order("echo $IT0_RUN-; echo err >&2; exit 2")
        result = await shell.run(target, done)
        assert (result.state, result.exit_code, result.stdout, result.stderr) == ("done", 2, "-\n", "err\n")
        assert (await shell.outcome(target, done.run_id)).state == "unknown"
        long = order("sleep 1", 10)
        task = asyncio.create_task(shell.run(target, long))
        await asyncio.sleep(0.3)
        assert not await shell.stop(target, long.run_id)
        assert error_of(await task) == "shell.stop_left"
        assert (await shell.run(target, order("sleep 1", 0.2))).state == "unknown"

    @pytest.mark.filterwarnings("ignore:Diffie-Hellman", "ignore:.*deprecated")
    async def test_old_algorithms_and_compression_can_be_allowed(
        self, tmp_path: Path, shell: SshShell
    ) -> None:
        extra = "KexAlgorithms diffie-hellman-group14-sha1\nCiphers aes128-cbc\nMACs hmac-sha1"
        server = start_sshd(tmp_path, extra=extra)
        try:
            assert (await shell.run(server.target(), order("true"))).state == "failed"
            old = {"legacy_algorithms": True, "compression": True, "keepalive_s": 5, "connect_timeout_s": 3}
            assert (await shell.run(server.target(ssh_options=old), order("true"))).ok
        finally:
            server.stop()


@asynccontextmanager
async def password_server() -> AsyncIterator[tuple[int, str]]:
    """Yield (port, host key) of a server that takes a password by keyboard-interactive only."""

    class Guard(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return False

        def kbdint_auth_supported(self) -> bool:
            return True

        def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
            return "", "", "", [("Password: ", False)]

        def validate_kbdint_response(self, username: str, responses: Any) -> bool:
            return list(responses) == ["geheim-世界"]

    def answer(process: Any) -> None:
        process.stdout.write(f"ran {process.command}\n")
        process.exit(4)

    key = asyncssh.generate_private_key("ssh-ed25519")
    listener = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[key], server_factory=Guard, process_factory=answer
    )
    yield listener.get_port(), " ".join(key.export_public_key().decode().split()[:2])
    listener.close()
    await listener.wait_closed()


SHELLS = [
    pytest.param([found, *words[1:]], id=words[0])
    for words in (["dash"], ["bash"], ["busybox", "sh"])
    if (found := shutil.which(words[0]))
]


@pytest.mark.parametrize("words", SHELLS)
class TestEveryShellOfAServer:
    """The wrapper means the same in dash, bash and busybox."""

    async def test_runs_stops_and_knows(self, words: list[str], tmp_path: Path) -> None:
        shell = SshShell(local=Local(home=tmp_path, shell=words))
        target = a_target(a_server(connection="local"), None)
        done = order("echo out; echo err >&2; exit 3")
        result = await shell.run(target, done)
        assert (result.state, result.exit_code, result.stdout, result.stderr) == ("done", 3, "out\n", "err\n")
        assert error_of(await shell.run(target, done)) == "shell.run_twice"
        result = await shell.run(target, order("trap '' TERM; (setsid sleep 2 &) ; kill -9 $$"))
        assert (result.state, result.exit_code, result.stderr) == ("done", 137, "")
        late = await shell.run(target, order("echo begun; sleep 60", 0.4))
        assert (late.state, late.exit_code, late.stdout, late.stderr) == ("timeout", 143, "begun\n", "")

    def test_half_a_script_runs_nothing(self, words: list[str], tmp_path: Path) -> None:
        script = run_script(order(f"touch {tmp_path}/ran"), "r.s", "abc")
        for length in (len(script) // 2, len(script) - 3):
            subprocess.run(
                [*words, "-s"],
                input=script[:length],
                env={"HOME": str(tmp_path)},
                check=False,
                capture_output=True,
            )
        assert list(tmp_path.iterdir()) == []

    def test_without_setsid_or_a_home_nothing_runs(self, words: list[str], tmp_path: Path) -> None:
        wanted = order(f"touch {tmp_path}/ran")
        script = run_script(wanted, "r.s", "abc")
        bare = script.replace(b"command -v setsid", b"command -v no-such-setsid")
        for text, home, word in ((bare, tmp_path, b"no-setsid"), (script, "/dev/null", b"no-marker")):
            said = subprocess.run(
                [*words, "-s"], input=text, env={"HOME": str(home)}, capture_output=True, check=False
            )
            assert said.stdout == said.stderr == b"it0-abc " + word + b"\n"
        assert list(tmp_path.iterdir()) == []


class TestPieces:
    """The pure parts."""

    @given(st.lists(st.binary(max_size=40), max_size=20), st.integers(8, 64))
    def test_what_is_kept_is_the_beginning_and_the_end(self, chunks: list[bytes], cap: int) -> None:
        kept, whole = Kept(cap), b"".join(chunks)
        for chunk in chunks:
            kept.add(chunk)
        head, tail = kept.parts()
        assert len(head) + len(tail) == len(whole) - kept.dropped <= cap
        assert whole.startswith(head)
        assert whole.endswith(tail)
        assert "\0" not in kept.text()

    @given(st.text(alphabet="aß世🎉", max_size=60), st.integers(8, 64))
    def test_no_character_is_cut_in_two(self, text: str, cap: int) -> None:
        kept = Kept(cap)
        kept.add(text.encode())
        assert "\ufffd" not in kept.text()

    @given(st.binary(max_size=60), st.binary(max_size=60), st.integers(1, 9))
    def test_the_first_line_is_found_however_it_is_cut(self, noise: bytes, after: bytes, size: int) -> None:
        opening = Opening("00ff")
        stream = noise + b"it0-00ff started\n" + after
        rest = b"".join(opening.feed(stream[i : i + size]) for i in range(0, len(stream), size))
        assert (opening.word, rest) == ("started", after)

    async def test_a_listener_that_fails_does_not_harm_the_run(self) -> None:
        def broken(stream: str, text: str) -> None:
            raise RuntimeError

        output = Output(100, broken)
        output.add("stdout", b"text")
        await asyncio.sleep(0.05)
        output.add("stdout", b" more")
        output.close()
        assert output.text("stdout") == "text more"

    def test_reports(self) -> None:
        assert parse_report("x\nended 3 - 125\n") == Report("ended", 3, "", 1250)
        assert parse_report("ended never - -\n") == Report("ended", None, "")
        assert parse_report("ended 0 - -12\n") == Report("ended", 0, "")  # a clock that was set back
        assert parse_report("running - stopped -\n") == Report("running", None, "stopped")
        assert parse_report("rm -rf /\n") is None

    def test_scripts_never_signal_everything(self, tmp_path: Path) -> None:
        """A damaged marker must not become ``kill -- -1``."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        script = stop_script("r.s", "abc", "stopped").replace(b"kill -s", b"echo KILL >&2; : ")
        asked = []
        for number, pid in enumerate(("1", "0", "-1", "x", "")):
            mark = tmp_path / str(number) / ".it0" / "run" / "r.s"
            mark.mkdir(parents=True)
            (mark / "pid").write_text(f"{pid} 1 {boot}\n")
            asked.append(
                subprocess.Popen(
                    ["sh", "-s"],
                    env={"HOME": str(tmp_path / str(number))},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            )
        for process in asked:
            assert process.stdin
            process.stdin.write(script)
            process.stdin.close()
            process.stdin = None
        for process in asked:
            said, complaint = process.communicate()
            assert b"KILL" not in complaint
            assert b"gone" in said

    def test_every_script_is_one_block(self) -> None:
        for script in (outcome_script("r.s", "n"), stop_script("r.s", "n", "timeout")):
            assert script.startswith(b"{\n")
            assert script.endswith(b"}\n")

    def test_fake_scripts_by_server_and_function(self) -> None:
        fake = ScriptedShell()
        fake.on("df.*", stdout="full")
        fake.on("df.*", lambda target, order: Answer(stdout=order.command), server="db-1")
        here, there = (
            a_target(a_server(host_key="k"), None),
            a_target(a_server(name="db-1", host_key="k"), None),
        )
        assert fake._answer(here, order("df -h")).stdout == "full"
        assert fake._answer(there, order("df -h")).stdout == "df -h"


class TestTree:
    """What the tree must not hold, and must."""

    def test_verification_is_never_switched_off(self) -> None:
        needle = "known_hosts" + "=None"
        for path in [p for p in ROOT.rglob("*.py") if ".venv" not in p.parts]:
            text = path.read_text(errors="replace").replace(" ", "")
            assert needle not in text, path
            assert "known_hosts" + '":None' not in text, path

    def test_every_sentence_of_the_shell_is_in_both_languages(self) -> None:
        texts = tomllib.loads((ROOT / "bot/texts/shell.toml").read_text())
        for key, words in texts.items():
            assert set(words) == {"en", "zh"}, key
        for path in (ROOT / "agent/shell").glob("*.py"):
            used = set(re.findall(r'"((?:shell|error)\.[a-z_]+)"', path.read_text()))
            assert used - {"shell.listener_failed"} <= set(texts), path
        for error in (ServerUnreachable, HostKeyChanged, HostKeyUnknown):
            assert error.key in texts
