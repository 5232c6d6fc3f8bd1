"""Clusters as people use them: at the command line, in chat, over a real SSH server with kubectl on it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.house import Client, House, words_of
from support.sshd import SSHD, Sshd, start_sshd

pytestmark = pytest.mark.skipif(not SSHD, reason="there is no OpenSSH server here")

KUBECTL = """\
#!/bin/sh
echo "$@" >> {calls}
case "$1" in
  cordon) sleep 30; echo "node/$2 cordoned" ;;
  *) echo "web-0   1/1   Running" ;;
esac
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the entry's kubectl notes its words, a line a call."""
    return tmp_path_factory.mktemp("calls") / "kubectl"


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory, calls: Path) -> Iterator[Sshd]:
    """Yield a server with a kubectl on its PATH. It takes bare commands: then its PATH counts."""
    folder = tmp_path_factory.mktemp("entry")
    (folder / "bin").mkdir()
    kubectl = folder / "bin" / "kubectl"
    kubectl.write_text(KUBECTL.format(calls=calls))
    kubectl.chmod(0o755)
    running = start_sshd(folder / "server", environment=f"PATH={folder / 'bin'}:/usr/bin:/bin")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, entry: Sshd) -> Iterator[House]:
    """Yield a running it0 with the cluster ``shop`` behind ``gate-1``."""
    running = House(tmp_path_factory.mktemp("house") / "home", CONNECT_TIMEOUT_S="3")
    running.start()
    try:
        it0(running, "credential", "add", "key", "--type", "ssh_key", "--file", "-", given=entry.client_key)
        where = ("--host", "127.0.0.1", "--port", str(entry.port), "--user", entry.user)
        added = it0(
            running, "server", "add", "gate-1", *where, "--credential", "key", "--restricted", "--json"
        )
        it0(running, "server", "trust", "gate-1", json.loads(added)["fingerprint"])
        it0(running, "cluster", "add", "shop", "--type", "k8s", "--entry", "gate-1", "--environment", "prod")
        yield running
    finally:
        running.close()


def it0(house: House, *words: str, given: bytes = b"") -> str:
    """Return what a command that must work prints."""
    done = house.command(*words, given=given.decode())
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
async def admin(house: House) -> AsyncIterator[Client]:
    """Yield the first admin, connected."""
    client = Client(house)
    await client.sign_in()
    await client.connect()
    yield client
    await client.close()


def seen(calls: Path) -> list[str]:
    """Return what kubectl was called with."""
    return calls.read_text().splitlines() if calls.exists() else []


async def test_command_line_lists_checks_and_refuses(house: House) -> None:
    listed = json.loads(it0(house, "cluster", "list", "--json"))
    assert [(row["name"], row["type"], row["environment"], row["entry"]) for row in listed] == [
        ("shop", "k8s", "prod", "gate-1")
    ]
    checked = json.loads(it0(house, "cluster", "check", "shop", "--json"))
    assert [(row["server"], row["ok"]) for row in checked] == [("gate-1", True)]
    refused = house.command("cluster", "remove", "nobody")
    assert (refused.returncode, "it0 cluster list" in refused.stderr) == (1, True)
    refused = house.command("server", "remove", "gate-1")
    assert (refused.returncode, "shop" in refused.stderr) == (1, True)


@pytest.mark.parametrize("words", ["/clusters", "list clusters", "列出集群"])
async def test_clusters_are_listed_in_both_languages(admin: Client, words: str) -> None:
    assert "shop" in words_of(await admin.ask(words))


async def test_chat_adds_and_removes_a_cluster_with_a_sentence_for_what_is_wrong(admin: Client) -> None:
    assert "metal" in words_of(await admin.ask("/cluster add metal bare_metal environment=dev"))
    assert "metal" in words_of(await admin.ask("/clusters"))
    assert "already" in words_of(await admin.ask("/cluster add metal bare_metal"))
    assert "/cluster add" in words_of(await admin.ask("/cluster grow metal"))
    assert "removed" in words_of(await admin.ask("/cluster remove metal"))
    assert "metal" not in words_of(await admin.ask("/clusters"))


async def test_look_at_a_cluster_is_answered_by_its_kubectl(admin: Client, calls: Path) -> None:
    reply = await admin.ask("/run shop kubectl get pods -n shop")
    assert "Running" in words_of(reply)
    assert seen(calls)[-1] == "get pods -n shop"


@pytest.mark.parametrize(
    "command", ["uptime", "kubectl get pods | wc -l", "kubectl --context other get pods", "kubectl edit po x"]
)
async def test_what_is_none_of_the_clusters_is_refused_before_anybody_is_asked(
    admin: Client, calls: Path, command: str
) -> None:
    before = seen(calls)
    reply = await admin.ask(f"/run shop {command}")
    assert (reply["kind"], "shop" in words_of(reply)) == ("reply", True)
    assert seen(calls) == before


async def test_all_servers_are_not_the_cluster(admin: Client, calls: Path) -> None:
    before = seen(calls)
    card = await admin.ask("/run all touch /tmp/never")
    names = [place["name"] for place in card["body"]["approval"]["servers"]]
    assert ("shop" in names, "gate-1" in names) == (False, True)
    await admin.click(f"reject:{card['body']['approval']['id']}")
    assert seen(calls) == before


async def test_killed_within_a_change_it_is_unknown_and_never_run_again(
    house: House, admin: Client, calls: Path
) -> None:
    card = await admin.ask("/run shop kubectl cordon node-1")
    approval: dict[str, Any] = card["body"]["approval"]
    place = approval["servers"][0]
    assert (place["name"], place["host"], place["environment"]) == ("shop", "127.0.0.1", "prod")
    await admin.click(f"approve:{approval['id']}")
    async with asyncio.timeout(20):
        while "cordon node-1" not in seen(calls):
            await asyncio.sleep(0.05)
    house.kill()
    house.start()
    await admin.drop()
    await admin.connect()
    await admin.until(lambda: admin.of_kind(card["conversation"], "reply"), 60)
    told = words_of(admin.of_kind(card["conversation"], "reply")[0])
    rows = (await admin.get("/api/v1/audit"))["rows"]
    results = [row["detail"]["results"] for row in rows if row["action"] == "command.result"]
    assert [(each["server"], each["state"]) for each in results[0]] == [("shop", "unknown")], told
    assert seen(calls).count("cordon node-1") == 1
