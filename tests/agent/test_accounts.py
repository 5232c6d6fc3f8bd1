"""What accounts can do: asked by one harmless command, kept and told; and reading by another account."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.tools import server
from support.bench import KEY, Bench, key_of, make_bench
from support.store import Store, actions

from agent.fleet.accounts import account_of, question, told
from agent.fleet.forms import NewServer
from agent.risk import classify
from agent.shell.hostkeys import fingerprint
from agent.shell.local import Local
from agent.shell.ssh import SshShell
from bot.texts.catalogue import load_catalogue
from core.errors import BadInput, Refused
from core.store import preferences, runs
from core.work import Risk, RunTarget, Server

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
ID = "uid=1000(ops) gid=1000(ops) groups=1000(ops){}\n"
PASSWD = "ops:x:1000:1000:,,,:/home/ops:{}\n"
MAY = "Matching Defaults entries for ops on web:\n    env_reset{}\n\n"
MAY += "User ops may run the following commands on web:\n"
ROOT = "uid=0(root) gid=0(root) groups=0(root)\n"

SEEN: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "uid=0(root) gid=0(root) groups=0(root)\n",
        MAY.format("") + "    (ALL : ALL) ALL\n",
        "",
        {"is_root": True},
    ),
    (ID.format(",27(sudo)"), MAY.format("") + "    (ALL : ALL) NOPASSWD: ALL\n", "", {"sudo": "all"}),
    (ID.format(",27(sudo)"), "", "sudo: a password is required\n", {"sudo": "password"}),
    (ID.format(",27(sudo)"), MAY.format("") + "    (ALL : ALL) ALL\n", "", {"sudo": "password"}),
    (ID.format(""), MAY.format(", !authenticate") + "    (ALL) ALL\n", "", {"sudo": "all"}),
    (
        ID.format(""),
        MAY.format("") + "    (root) NOPASSWD: /usr/bin/systemctl restart\n        nginx, PASSWD: /bin/su\n",
        "",
        {"sudo": "some", "may": ("/usr/bin/systemctl restart nginx",)},
    ),
    (ID.format(""), "", "bash: sudo: command not found\n", {"sudo": "none", "groups": ()}),
    (ID.format(",998(docker)"), "", "", {"groups": ("docker",)}),
    (ID.format(""), PASSWD.format("/bin/rbash"), "", {"shell": "/bin/rbash"}),
    (ID.format(""), PASSWD.format("/bin/bash"), "", {"shell": ""}),
]


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench with a server that has two accounts."""
    made = await make_bench(store)
    await two_accounts(made)
    return made


async def two_accounts(bench: Bench, **more: Any) -> Server:
    """Add a server with a second account for what reads."""
    tenant, user = bench.work.tenant, bench.work.user
    for name in ("main", "reading"):
        await bench.fleet.credentials.add(tenant, user, name, "ssh_password", name.encode())
    new = NewServer("web", "192.0.2.1", user="ops", credential="main", **more)
    new = replace(new, read_user="ro", read_credential="reading")
    return (await bench.fleet.add_server(tenant, user, new, fingerprint(KEY)))[0]


async def users_of_runs(bench: Bench) -> dict[str, str]:
    """Return as whom each command was run."""
    async with bench.work.tenant.reading() as db:
        found = [await runs.get(db, row["id"]) for row in await db.all(runs.NEWEST, count=50)]
    return {each[0]["command"]: target.os_user for each in found if each for target in each[1]}


@pytest.mark.parametrize(("first", "second", "errors", "expected"), SEEN)
def test_answer_is_read_for_what_it_tells(
    first: str, second: str, errors: str, expected: dict[str, Any]
) -> None:
    result = RunTarget("1", "web", "done", 0, stdout=first + second, stderr=errors, os_user="ops")
    account = account_of(result, AT)
    assert account is not None
    assert {name: getattr(account, name) for name in expected} == expected


def test_answer_that_is_none_tells_nothing() -> None:
    assert account_of(RunTarget("1", "web", "done", 1, stdout="Welcome\n"), AT) is None


@pytest.mark.parametrize("user", ["ops", "root", "a.b", "machine$", "_x-1"])
@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_question_changes_nothing_by_the_rules_of_the_gate(user: str, environment: Any) -> None:
    for restricted in (True, False):
        asked = question(server("web", environment, ssh_user=user, restricted=restricted))
        assert classify(asked, environment, 1).level == Risk.L0, asked


async def test_check_asks_both_accounts_keeps_the_answer_and_audits_it(bench: Bench) -> None:
    bench.shell.on("id; sudo -nl; getent passwd ops", stdout=ID.format(",998(docker)"))
    bench.shell.on("id; sudo -nl; getent passwd ro", stdout=ID.format(""))
    answer = await bench("check_server", name="web")
    assert (answer.status, key_of(answer)) == ("done", "server.reachable")
    kept = await bench.fleet.server(bench.work.tenant, "web")
    assert [kept.accounts[kind]["groups"] for kind in ("main", "read")] == [["docker"], []]
    assert await users_of_runs(bench) == {
        f"id; sudo -nl; getent passwd {name}": name for name in ("ops", "ro")
    }
    assert [a for a in await actions(bench.work.tenant) if a.startswith(("command", "server.acc"))] == [
        *["command.intent", "command.result"] * 2,
        "server.account",
    ]


async def test_what_was_seen_is_told_with_its_time_in_both_languages(bench: Bench) -> None:
    bench.shell.on("id.*", stdout=ROOT)
    await bench("check_server", name="web")
    kept = await bench.fleet.server(bench.work.tenant, "web")
    texts = load_catalogue()
    english = [texts(part, "en") for part in told(kept)]
    assert english[0].startswith("it0 logs in as ops, which can do anything there (seen ")
    assert "可以做任何事" in texts(told(kept)[0], "zh")
    assert (await bench("list_servers", name="web")).parts[2:] == told(kept)


async def test_account_that_does_not_answer_is_said_and_nothing_is_made_up(bench: Bench) -> None:
    bench.shell.on("id.*", exit_code=127, stderr="rbash: id: command not found")
    answer = await bench("check_server", name="web")
    assert [part.key for part in answer.parts] == ["server.reachable", "account.silent", "account.silent"]  # type: ignore[union-attr]
    assert (await bench.fleet.server(bench.work.tenant, "web")).accounts == {}


async def test_what_was_seen_does_not_hold_for_another_account(bench: Bench) -> None:
    bench.shell.on("id.*", stdout=ID.format(""))
    await bench("check_server", name="web")
    kept = await bench.fleet.server(bench.work.tenant, "web")
    changed = await bench.fleet.change_server(bench.work.tenant, bench.work.user, kept, {"user": "root"})
    assert kept.accounts
    assert changed.accounts == {}


async def test_reads_use_the_second_account_and_changes_the_main_one(bench: Bench) -> None:
    await bench("run_command", command="uptime", servers=["web"])
    asked = await bench("run_command", command="systemctl restart nginx", servers=["web"])
    approval = await bench.asked(asked)
    assert approval.action.os_users == ("ops",)
    approval = replace(approval, status="approved")
    assert await bench.gate.perform(bench.work, approval) is None
    assert await users_of_runs(bench) == {"uptime": "ro", "systemctl restart nginx": "ops"}


async def test_expired_reading_credential_is_refused_and_the_main_account_is_not_taken_instead(
    bench: Bench,
) -> None:
    await bench.fleet.credentials.revoke(bench.work.tenant, bench.work.user, "reading")
    answer = await bench("run_command", command="uptime", servers=["web"])
    assert (answer.status, key_of(answer)) == ("refused", "credential.expired")
    assert bench.shell.started == []


async def test_revoked_reading_credential_names_its_servers_and_the_new_one_takes_over(bench: Bench) -> None:
    tenant, user = bench.work.tenant, bench.work.user
    assert await bench.fleet.credentials.using(tenant, "reading") == ["web"]
    await bench.fleet.credentials.revoke(tenant, user, "reading")
    await bench.fleet.credentials.add(tenant, user, "reading", "ssh_password", b"other")
    answer = await bench("run_command", command="uptime", servers=["web"])
    assert answer.status == "done"


@pytest.mark.parametrize(
    "half",
    [{"read_user": "ro"}, {"read_credential": "reading"}, {"read_user": "ops", "read_credential": "main"}],
)
async def test_second_account_is_whole_or_none(bench: Bench, half: dict[str, str]) -> None:
    tenant, user = bench.work.tenant, bench.work.user
    new = NewServer("other", "192.0.2.2", user="ops", credential="main", **half)  # type: ignore[arg-type]
    with pytest.raises(BadInput) as caught:
        await bench.fleet.add_server(tenant, user, new)
    assert caught.value.say.key == "server.bad_read_account"


async def test_second_account_is_taken_away_again(bench: Bench) -> None:
    tenant, user = bench.work.tenant, bench.work.user
    kept = await bench.fleet.server(tenant, "web")
    await bench.fleet.change_server(tenant, user, kept, {"read_user": "", "read_credential": ""})
    await bench("run_command", command="uptime", servers=["web"])
    assert await users_of_runs(bench) == {"uptime": "ops"}


async def test_confirmed_host_key_is_followed_by_the_question(store: Store) -> None:
    bench = await make_bench(store)
    tenant, user = bench.work.tenant, bench.work.user
    await bench.fleet.credentials.add(tenant, user, "main", "ssh_password", b"main")
    bench.shell.on("id.*", stdout=ID.format(""))
    answer = await bench("add_server", name="web", host="192.0.2.1", user="ops", credential="main")
    assert await bench.gate.perform(bench.work, await bench.asked(answer)) is None
    assert (await bench.fleet.server(tenant, "web")).accounts["main"]["sudo"] == "none"


async def test_nothing_is_asked_in_a_halted_tenant(bench: Bench) -> None:
    async with bench.work.tenant.transaction() as tx:
        await preferences.put(tx, "halted_by", "ann", bench.desk.clock(), None)
    kept = await bench.fleet.server(bench.work.tenant, "web")
    assert [w.key for w in await bench.gate.probing.learn(bench.work.tenant, bench.work.user, kept)] == [
        "error.halted"
    ]
    assert bench.shell.started == []


@pytest.fixture
async def real(store: Store, tmp_path: Path) -> AsyncIterator[Bench]:
    """Return a bench whose one server is this machine."""
    shell = SshShell(connect_timeout_s=5, local=Local(home=tmp_path))
    made = await make_bench(store, shell)
    await made.knows("127.0.0.1")
    yield made
    await shell.close()


async def test_this_machines_own_answer_is_understood(real: Bench) -> None:
    answer = await real("check_server", name="web")
    assert answer.status == "done"
    assert [part.key for part in answer.parts][1:] == ["account.main"]  # type: ignore[union-attr]


async def test_unknown_server_is_refused(bench: Bench) -> None:
    with pytest.raises(Refused):
        await bench.fleet.server(bench.work.tenant, "nothing")
    assert key_of(await bench("check_server", name="nothing")) == "error.no_such_server"


async def test_nothing_is_asked_in_a_suspended_tenant(store: Store) -> None:
    bench = await make_bench(store)
    web = await two_accounts(bench)
    tenant, probing = bench.work.tenant, bench.gate.probing
    await store.as_owner("UPDATE it0_shared.tenant SET status = 'suspended' WHERE slug = 'first'")
    for asking in (probing.check(tenant, bench.work.user, web), probing.probe(tenant, bench.work.user, web)):
        with pytest.raises(Refused) as caught:
            await asking
        assert caught.value.say.key == "error.tenant_suspended"
    assert bench.shell.started == []
