"""The policy as people and programs reach it: the command line, the API, the chat, all on one it0."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.house import Client, House, audit_of, running_house, words_of
from support.staff import admin, connected, olga

__all__ = ["admin", "olga"]

ENTRY = {"program": "df", "level": 2, "reason": "Ask us."}
TOML = '[tighten.disk]\nprogram = "df"\nlevel = 2\nreason = "Ask us."\n'


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield a running it0."""
    with running_house(tmp_path_factory.mktemp("policy") / "home") as running:
        yield running


@pytest.fixture(autouse=True)
async def empty(admin: Client) -> None:
    """Begin each test without entries."""
    status, _ = await admin.post("/api/v1/policy", {})
    assert status == 200


async def it0(house: House, *words: str) -> Any:
    """Run a command and return its JSON."""
    done = await asyncio.to_thread(house.command, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_policy_of_the_command_line_holds_at_once_and_is_shown_as_it_is_set(
    house: House, admin: Client, tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").write_text(TOML)
    made = await it0(house, "policy", "set", str(tmp_path / "policy.toml"))
    assert made["entries"] == 1
    card = await admin.ask("/run local df -h")
    assert card["kind"] == "card"
    assert "Ask us." in json.dumps(card["body"]["approval"])
    shown = await asyncio.to_thread(house.command, "policy", "show")
    (tmp_path / "again.toml").write_text(shown.stdout)
    assert (await it0(house, "policy", "set", str(tmp_path / "again.toml")))["version"] == made["version"]
    await it0(house, "policy", "remove", "disk")
    assert "Filesystem" in words_of(await admin.ask("/run local df -h"))


async def test_simulation_at_the_command_line_tells_the_commands_that_change(
    house: House, admin: Client, tmp_path: Path
) -> None:
    await admin.ask("/run local df -i")
    (tmp_path / "policy.json").write_text(json.dumps({"tighten": {"disk": {**ENTRY, "level": 3}}}))
    found = await it0(house, "policy", "simulate", str(tmp_path / "policy.json"))
    told = next(each for each in found["changed"] if each["command"] == "df -i")
    assert (told["old"], told["new"], told["entry"], told["servers"]) == (0, 3, "disk", ["local"])
    plain = await asyncio.to_thread(house.command, "policy", "simulate", str(tmp_path / "policy.json"))
    assert "L0 → L3" in plain.stdout
    assert "df -i" in plain.stdout


async def test_api_sets_shows_simulates_and_removes(admin: Client) -> None:
    status, made = await admin.post("/api/v1/policy", {"tighten": {"disk": ENTRY}})
    assert (status, made["tighten"], made["changed_by"]) == (200, {"disk": ENTRY}, "admin")
    stale = {"version": made["version"] - 1, "tighten": {}}
    assert (await admin.post("/api/v1/policy", stale))[0] == 409
    status, found = await admin.post("/api/v1/policy/simulate", {"tighten": {}, "days": 7})
    assert status == 200
    assert found["asked"] >= 0
    assert (await admin.call("DELETE", "/api/v1/policy/disk"))[0] == 204
    assert (await admin.call("DELETE", "/api/v1/policy/disk"))[0] == 404
    row = (await audit_of(admin, "policy.set"))[0]
    assert (row["detail"]["old"], row["detail"]["new"], row["actor"]) == (
        {"tighten.disk": ENTRY},
        {},
        "admin",
    )


async def test_api_says_what_is_wrong_in_the_callers_words(admin: Client) -> None:
    status, told = await admin.post("/api/v1/policy", {"tighten": {"disk": {**ENTRY, "level": 7}}})
    assert (status, told["code"]) == (422, "policy.bad")
    assert "tighten.disk" in told["detail"]


async def test_operator_neither_sees_nor_changes_it(olga: Client) -> None:
    assert (await olga.call("GET", "/api/v1/policy"))[0] == 403
    assert (await olga.post("/api/v1/policy", {}))[0] == 403
    assert (await olga.post("/api/v1/policy/simulate", {}))[0] == 403
    assert "admin" in words_of(await olga.ask("/policy"))
    assert "admin" in words_of(await olga.ask(f"/policy set\n{TOML}"))


async def test_admin_makes_shows_tries_and_removes_it_in_chat(admin: Client) -> None:
    assert "no policy" in words_of(await admin.ask("/policy"))
    assert "1 entries" in words_of(await admin.ask(f"/policy set\n```toml\n{TOML}```"))
    assert "disk: df is at least L2" in words_of(await admin.ask("/policy"))
    await admin.ask("/run local df -k")
    assert "df -k" in words_of(await admin.ask('/policy simulate\n{"tighten": {}}'))
    assert "disk" in words_of(await admin.ask("/policy remove disk"))
    assert "no policy" in words_of(await admin.ask("/policy"))


@pytest.mark.parametrize("text", ["/policy set", "/policy set {}", "/policy grow", "/policy remove"])
async def test_half_a_command_changes_nothing_and_tells_how_it_is_written(admin: Client, text: str) -> None:
    before = len(await audit_of(admin, "policy.set"))
    assert "/policy simulate" in words_of(await admin.ask(text))
    assert len(await audit_of(admin, "policy.set")) == before


async def test_why_tells_a_viewer_what_decides_on_which_servers(house: House, admin: Client) -> None:
    await admin.post("/api/v1/policy", {"tighten": {"disk": ENTRY}})
    victor = await connected(house, "victor", "viewer")
    told = words_of(await victor.ask("/why sudo df -h on local"))
    assert "L2" in told
    assert "disk" in told
    assert "Ask us." in told
    outside = words_of(await victor.ask("why `redis-cli -h db9.example.com ping` on local"))
    assert "db9.example.com, which is not one of your servers" in outside
    await victor.close()


async def test_classify_goes_by_a_tenants_policy_and_servers(house: House, admin: Client) -> None:
    await admin.post("/api/v1/policy", {"tighten": {"disk": ENTRY}})
    done = await asyncio.to_thread(
        house.command, "classify", "--tenant", "default", given='"df -h"\n"ssh x id"'
    )
    raised, outside = map(json.loads, done.stdout.splitlines())
    assert (raised["level"], raised["entry"]) == (2, "disk")
    assert any("x, which is not one of your servers" in reason for reason in outside["reasons"])


FILES = {"program": "write_file", "path": "/srv/app", "level": 3, "reason": "Only by the pipeline."}


@pytest.mark.parametrize(
    ("language", "forbidden", "entry", "listed"),
    [
        ("en", "L3, forbidden", "entry “files” makes this L3", "write_file /srv/app is at least L3"),
        ("zh", "L3，禁止", "条目“files”将其定为 L3", "write_file /srv/app 至少为 L3"),
    ],
)
async def test_entry_for_files_is_told_in_chat_by_why_and_on_the_command_line(
    house: House,
    admin: Client,
    tmp_path: Path,
    language: str,
    forbidden: str,
    entry: str,
    listed: str,
) -> None:
    (tmp_path / "policy.json").write_text(json.dumps({"tighten": {"files": FILES}}))
    await it0(house, "policy", "set", str(tmp_path / "policy.json"))
    await admin.ask(f"/language {language}")
    told = words_of(await admin.ask("/why write_file /srv/app/a.conf on local"))
    refused = words_of(await admin.ask("/write local /srv/app/a.conf\nport = 1"))
    shown = words_of(await admin.ask("/policy"))
    await admin.ask("/language en")
    assert forbidden in told
    assert entry in told
    assert entry in refused
    assert listed in shown
    assert 'path = "/srv/app"' in (await asyncio.to_thread(house.command, "policy", "show")).stdout
