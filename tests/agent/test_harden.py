"""The script that narrows what it0 can do: well-formed, for people only, and true on a real server."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import asyncpg
import asyncssh
import pytest
from fakes.tools import server
from support.bench import Bench, key_of, make_bench
from support.sshd import SSHD, Sshd, a_target, start_sshd
from support.store import Store

from agent.engines.direct import read
from agent.engines.targets import Intent
from agent.fleet.forms import NewServer
from agent.fleet.harden import KINDS, Plan, script
from agent.fleet.servers import Fleet
from agent.shell.ssh import SshShell
from bot.embedded.datafolder import SUPERUSER
from core.ids import new_id
from core.messages import Code
from core.ports import Login, Order
from core.work import Role

WHOLE = Plan(server("web-1"), KINDS, "ssh-ed25519 AAAA it0", "ssh-ed25519 BBBB it0", [("192.0.2.9", 22)])
CHOICES = [kinds for count in range(1, len(KINDS) + 1) for kinds in combinations(KINDS, count)]
SHELLCHECK = shutil.which("shellcheck")
CONTAINED = (
    os.getuid() == 0
    and bool(SSHD and shutil.which("visudo") and shutil.which("useradd"))
    and subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
)
"""Whether accounts can be made here where only the test sees them."""


def text_of(*kinds: str, **more: Any) -> str:
    """Return the script for these kinds."""
    return script(Plan(server("web-1", **more), kinds or KINDS, "ssh-ed25519 AAAA it0", "ssh-ed25519 B it0"))


@pytest.mark.skipif(not SHELLCHECK, reason="there is no shellcheck here: apt-get install shellcheck")
def test_every_script_is_clean_for_shellcheck() -> None:
    for kinds in CHOICES:
        text = text_of(*kinds)
        if text.startswith("#!/bin/sh"):
            done = subprocess.run(
                [SHELLCHECK or "", "-"], input=text, capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stdout) == (0, ""), kinds


def test_script_ends_at_the_first_error_and_names_no_place_that_was_not_filled() -> None:
    text = script(WHOLE)
    assert "set -eu\n" in text
    assert "@SERVER@" not in text
    assert not {word for word in text.split() if word.startswith("@") and word.endswith("@")}


def test_keys_are_held_to_what_it0_asks_for_and_to_the_servers_behind() -> None:
    text = script(WHOLE)
    forced = 'restrict,command=\\"/bin/sh -s\\"'
    assert f"account 'it0-ro' \"{forced} $key\"" in text
    assert f'account \'it0-op\' "{forced},port-forwarding,permitopen=\\"192.0.2.9:22\\" $key"' in text
    assert "command=" not in text_of(restricted=True)


def test_one_kind_that_is_no_account_is_printed_as_it_is() -> None:
    assert text_of("cluster-role").startswith("# What it0 may read")
    assert "secrets" not in text_of("cluster-role").split("apiVersion", 1)[1]
    assert text_of("postgresql").startswith("-- A role that reads")


def test_words_print_and_only_accounts_act(tmp_path: Path) -> None:
    file = tmp_path / "harden.sh"
    file.write_text(text_of("operating", "postgresql", "mysql"))
    printed = subprocess.run(["sh", file, "mysql"], capture_output=True, text=True, check=True)
    assert printed.stdout == text_of("mysql")
    assert subprocess.run(["sh", file, "all"], capture_output=True, check=False).returncode == 2


async def test_database_role_is_made_twice_and_reads_but_does_not_write(store: Store) -> None:
    admin = await asyncpg.connect(store.cluster.url(SUPERUSER, store.name))
    try:
        for _ in range(2):
            await admin.execute(text_of("postgresql"))
        await admin.execute("CREATE TABLE public.kept (n int); INSERT INTO public.kept VALUES (7)")
        set_up = await admin.fetchval("SELECT rolconfig::text FROM pg_roles WHERE rolname = 'it0_ro'")
        assert "default_transaction_read_only=on" in set_up
        await admin.execute("SET SESSION AUTHORIZATION it0_ro")
        assert await admin.fetchval("SELECT n FROM public.kept") == 7
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await admin.execute("INSERT INTO public.kept VALUES (8)")
    finally:
        await admin.close()


# --- on a real server --------------------------------------------------------------------------------------


@asynccontextmanager
async def hardened(folder: Path) -> AsyncIterator[tuple[Sshd, SshShell, dict[str, bytes]]]:
    """Yield an sshd whose accounts the script made, twice, in a mount namespace of its own."""
    keys = {name: asyncssh.generate_private_key("ssh-ed25519") for name in ("it0-ro", "it0-op")}
    lines = [key.export_public_key().decode().strip() for key in keys.values()]
    text = script(Plan(server("web-1"), ("read-only", "operating"), *lines))
    (folder / "harden.sh").write_text(text)
    shutil.copytree("/etc", folder / "etc", symlinks=True)
    inside = (
        f"mount --bind {folder}/etc /etc && mount -t tmpfs none /home"
        f" && sh {folder}/harden.sh && sh {folder}/harden.sh && exec {SSHD} -D -e -f {folder}/inside"
    )
    outside = start_sshd(folder)
    outside.stop()
    config = (folder / "config").read_text()
    kept = [
        line for line in config.splitlines() if not line.startswith(("AuthorizedKeys", "SetEnv", "StrictM"))
    ]
    (folder / "inside").write_text("\n".join([*kept, "StrictModes yes", ""]))
    process = subprocess.Popen(["unshare", "-m", "sh", "-c", inside], stderr=subprocess.DEVNULL)
    shell = SshShell(connect_timeout_s=5)
    try:
        place = Sshd(outside.port, folder, folder, b"", outside.host_key, process)
        await _until_listening(outside.port)
        yield place, shell, {name: key.export_private_key("openssh") for name, key in keys.items()}
    finally:
        await shell.close()
        process.kill()
        process.wait()


async def _until_listening(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise AssertionError("the hardened sshd does not listen")


def test_account_that_is_root_is_left_alone(tmp_path: Path) -> None:
    for program in ("id", "mktemp", "rm"):
        (tmp_path / program).symlink_to(shutil.which(program) or "")
    done = subprocess.run(
        ["/bin/sh"], input=text_of(read_user="root"), env={"PATH": str(tmp_path)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "root is root: name another account for it0\n")


@pytest.mark.skipif(not CONTAINED, reason="needs root, unshare, useradd, sudo and sshd to try it on a server")
async def test_accounts_on_a_real_server_do_what_they_should_and_no_more(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    async with hardened(tmp_path) as (place, shell, keys):

        async def run(user: str, command: str) -> tuple[str, int | None, str]:
            login = Login(user, "ssh_key", keys[user], user, 1)
            target = a_target(place.server(ssh_user=user, id=user), login)
            result = await shell.run(target, Order(new_id(), command, 20))
            return result.state, result.exit_code, result.stdout

        assert await run("it0-ro", "id -un") == ("done", 0, "it0-ro\n")
        assert (await run("it0-ro", "sudo -n id"))[1] != 0
        assert "systemctl" in (await run("it0-op", "sudo -nl"))[2]
        assert (await run("it0-op", "sudo -n id"))[1] != 0
        assert (await run("it0-op", "sudo -n systemctl restart nginx -f"))[1] != 0
        for user in keys:
            moved = await run(user, "mv ~/.ssh ~/.gone || echo x >> ~/.ssh/authorized_keys")
            assert moved[1] != 0
        known, pinned = (
            asyncssh.import_private_key(keys["it0-ro"]),
            asyncssh.import_public_key(place.host_key),
        )
        async with asyncssh.connect(
            "127.0.0.1", place.port, username="it0-ro", client_keys=[known], known_hosts=([pinned], [], []),
            config=None, client_host_keys=None,
        ) as connection:  # fmt: skip
            with pytest.raises(asyncssh.Error):
                await connection.start_sftp_client()


# --- how it is reached -------------------------------------------------------------------------------------


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench with a server that is reached by a key."""
    made = await make_bench(store)
    secret = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh")
    tenant, user = made.work.tenant, made.work.user
    await made.fleet.credentials.add(tenant, user, "main", "ssh_key", secret)
    await made("add_server", name="web", host="192.0.2.1", user="ops", credential="main")
    return made


async def test_chat_shows_the_script_with_the_public_key_and_runs_nothing(bench: Bench) -> None:
    answer = await bench("harden_server", name="web")
    assert (answer.status, key_of(answer)) == ("done", "harden.shown")
    shown = answer.parts[1]
    assert isinstance(shown, Code)
    fleet: Fleet = bench.fleet
    public = await fleet.credentials.public_key(
        bench.work.tenant, (await fleet.server(bench.work.tenant, "web")).credential_id
    )
    assert public.startswith("ssh-ed25519 ")
    assert shown.code.count(public) == 2
    assert "PRIVATE" not in shown.code
    assert bench.shell.started == []


async def test_own_machine_has_none_and_only_admins_see_it(bench: Bench) -> None:
    tenant, user = bench.work.tenant, bench.work.user
    await bench.fleet.add_server(tenant, user, NewServer("here", connection="local"))
    assert key_of(await bench("harden_server", name="here")) == "harden.local"
    bench.as_role(Role.OPERATOR)
    assert key_of(await bench("harden_server", name="web")) == "error.admins_only"


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("/server harden web-1", {"name": "web-1"}),
        ("/server harden WEB-1 mysql", {"name": "web-1", "kinds": ["mysql"]}),
        ("harden web-1", {"name": "web-1"}),
        ("加固 web-1", {"name": "web-1"}),
        ("请加固服务器 web-1", {"name": "web-1"}),
    ],
)
def test_words_for_it_in_both_languages(text: str, arguments: dict[str, Any]) -> None:
    reading = read(text, [server("web-1")])
    assert reading == Intent("harden_server", arguments)


@pytest.mark.parametrize(
    "text", ["/server harden", "/server harden web-2", "/server harden web-1 all", "harden web-2"]
)
def test_near_misses_harden_nothing(text: str) -> None:
    assert not isinstance(read(text, [server("web-1")]), Intent)
