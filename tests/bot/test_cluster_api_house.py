"""A cluster by its API as people use it: at the command line, in chat, over a kill; its token is nowhere."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.house import Client, House, running_house, words_of
from support.kube_double import ADMIN, VIEWER, KubeDouble

NODE = "/api/v1/nodes/node-1"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeDouble]:
    """Yield an API."""
    with KubeDouble(tmp_path_factory.mktemp("api")).in_a_thread() as running:
        yield running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, api: KubeDouble) -> Iterator[House]:
    """Yield a running it0 with the cluster ``shop`` behind the API."""
    with running_house(tmp_path_factory.mktemp("house") / "home", CONNECT_TIMEOUT_S="3") as running:
        it0(running, "credential", "add", "kc", "--type", "kubeconfig", "--file", "-", given=api.kubeconfig())
        more = ("--kubeconfig", "kc", "--environment", "prod")
        it0(running, "cluster", "add", "shop", "--type", "k8s", *more)
        yield running


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


def patched(api: KubeDouble) -> int:
    """Return how often the node was changed."""
    return sum(method == "PATCH" and path.startswith(NODE) for method, path in api.asked)


async def test_command_line_adds_lists_checks_and_refuses(house: House, api: KubeDouble) -> None:
    (row,) = json.loads(it0(house, "cluster", "list", "--json"))
    assert (row["name"], row["entry"], row["kubeconfig"]) == ("shop", None, "kc")
    (check,) = json.loads(it0(house, "cluster", "check", "shop", "--json"))
    assert (check["ok"], "v1.32.4" in check["message"], "everything" in check["message"]) == (
        True,
        True,
        True,
    )
    listed = json.loads(it0(house, "credential", "list", "--json"))
    assert listed[0]["fingerprint"].startswith("SHA256:")
    plugin = api.kubeconfig(user={"token": None, "exec": {"command": "aws"}}).decode()
    refused = house.command("credential", "add", "x", "--type", "kubeconfig", "--file", "-", given=plugin)
    assert (refused.returncode, "service account" in refused.stderr) == (1, True)
    both = house.command("cluster", "add", "x", "--type", "k8s", "--kubeconfig", "kc", "--entry", "gate")
    assert (both.returncode, "exactly one" in both.stderr) == (1, True)


async def test_chat_adds_checks_and_removes_one(house: House, admin: Client, api: KubeDouble) -> None:
    given = api.kubeconfig(VIEWER)
    it0(house, "credential", "add", "seer", "--type", "kubeconfig", "--file", "-", given=given)
    assert "look" in words_of(await admin.ask("/cluster add look k8s kubeconfig=seer"))
    assert "may only look" in words_of(await admin.ask("/cluster check look"))
    assert "API" in words_of(await admin.ask("/clusters"))
    refused = house.command("credential", "revoke", "seer")
    assert (refused.returncode, "look" in refused.stderr) == (1, True)
    assert "removed" in words_of(await admin.ask("/cluster remove look"))


async def test_one_time_form_checks_the_kubeconfig_that_is_pasted(admin: Client, api: KubeDouble) -> None:
    link = words_of(await admin.ask("/credential pasted kubeconfig")).splitlines()[-1]
    async with aiohttp.ClientSession() as session:
        async with session.get(link) as page:
            assert "kubeconfig" in await page.text()
        wrong = api.kubeconfig(user={"token": None}).decode()
        async with session.post(link, data={"secret": wrong}) as refused:
            assert (refused.status, "neither a token" in await refused.text()) == (400, True)
        async with session.post(link, data={"secret": api.kubeconfig().decode()}) as taken:
            assert (taken.status, "SHA256:" in await taken.text()) == (200, True)


async def test_look_is_answered_and_what_the_api_refuses_is_told(admin: Client) -> None:
    assert "web-0   1/1" in words_of(await admin.ask("/run shop kubectl get pods"))
    assert "NotFound" in words_of(await admin.ask("/run shop kubectl logs nobody"))
    assert "entry server" in words_of(await admin.ask("/run shop kubectl exec web-0 -- ls"))


async def test_killed_within_a_change_it_is_unknown_and_never_sent_again(
    house: House, admin: Client, api: KubeDouble
) -> None:
    card = await admin.ask("/run shop kubectl label node node-1 rack=a")
    approval: dict[str, Any] = card["body"]["approval"]
    place = approval["servers"][0]
    assert (place["user"], place["host"], place["port"]) == ("kc", "127.0.0.1", api.port)
    api.slow_changes.add(NODE)
    await admin.click(f"approve:{approval['id']}")
    async with asyncio.timeout(20):
        while not patched(api):
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
    assert (patched(api), api.get("nodes", "node-1") is not None) == (1, True)


async def test_token_is_in_no_file_no_log_and_no_list_of_processes(house: House, admin: Client) -> None:
    await admin.ask("/run shop kubectl get nodes")
    found = subprocess.run(
        ["grep", "-rlaF", ADMIN, str(house.home)], capture_output=True, text=True, check=False
    )
    assert found.stdout == ""
    lists = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(ADMIN.encode() in each for each in lists)
