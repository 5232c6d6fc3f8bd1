"""Grants where people meet them: the API, the command line, the console and the chats."""

import asyncio
import json
from pathlib import Path

import pytest
from support.house import Client, House

STOP = "systemctl stop nginx"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory):
    """Start an it0 of the module's own."""
    running = House(tmp_path_factory.mktemp("grants") / "home")
    running.start()
    yield running
    running.close()


@pytest.fixture(scope="module")
async def client(house: House):
    """Return an admin's page."""
    page = Client(house)
    await page.sign_in()
    await page.connect()
    yield page
    await page.close()


async def asked(client: Client, command: str) -> dict:
    """Ask for a command of level 2, and return its card's approval."""
    card = await client.ask(f"/run local {command}")
    assert card["kind"] == "card", card
    return dict(card["body"]["approval"])


async def command(house: House, *words: str) -> tuple[int, str]:
    """Run ``it0``; return its exit code and what it said."""
    done = await asyncio.to_thread(house.command, *words)
    return done.returncode, done.stdout + done.stderr


async def test_api_gives_lists_and_revokes_a_grant(house: House, client: Client) -> None:
    approval = await asked(client, f"{STOP}-one")
    assert approval["grant_minutes"] == 15
    assert "lapses" in approval["then"]
    await client.post(f"/api/v1/approvals/{approval['id']}/grant")
    (grant,) = (await client.get("/api/v1/grants"))["grants"]
    assert (grant["id"], grant["code"], grant["command"]) == (approval["id"], approval["code"], f"{STOP}-one")
    assert [server["name"] for server in grant["servers"]] == ["local"]
    assert grant["givers"] == [grant["requester"]]
    assert (await client.ask(f"/run local {STOP}-one"))["kind"] == "notice"  # it runs unasked
    await client.call("DELETE", f"/api/v1/grants/{grant['id']}")
    assert (await client.get("/api/v1/grants"))["grants"] == []
    assert (await client.ask(f"/run local {STOP}-one"))["kind"] == "card"


@pytest.mark.timeout(300)  # each command is a process of its own
async def test_command_line_gives_lists_and_revokes_a_grant(house: House, client: Client) -> None:
    approval = await asked(client, f"{STOP}-two")
    name = approval["requester"]
    assert (await command(house, "approval", "approve", approval["code"], "--as", name, "--grant"))[0] == 0
    code, listed = await command(house, "approval", "grants", "--json")
    assert code == 0
    assert approval["code"] in [each["code"] for each in json.loads(listed)]
    assert f"{STOP}-two" in listed
    assert (await command(house, "approval", "revoke", approval["code"], "--as", name))[0] == 0
    code, why = await command(house, "approval", "revoke", approval["code"], "--as", name)
    assert code == 1
    assert "No grant" in why
    assert (await command(house, "approval", "reject", "A0-000", "--as", name, "--grant"))[0] == 2


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("key", "good", "bad"), [("grant_minutes", "60", "61"), ("l1_goes_ahead", "off", "maybe")]
)
async def test_settings_take_what_they_may(house: House, key: str, good: str, bad: str) -> None:
    assert (await command(house, "tenant", "set", key, good))[0] == 0
    code, why = await command(house, "tenant", "set", key, bad)
    assert code == 1
    assert key in why
    assert (await command(house, "tenant", "set", "grant_minutes", "15"))[0] == 0


async def test_api_changes_the_settings_within_their_bounds(client: Client) -> None:
    _, changed = await client.call("PATCH", "/api/v1/tenant", {"grant_minutes": 5, "l1_goes_ahead": True})
    assert changed["preferences"]["grant_minutes"] == 5
    assert changed["preferences"]["l1_goes_ahead"] is True
    _, changed = await client.call("PATCH", "/api/v1/tenant", {"grant_minutes": 15, "l1_goes_ahead": False})
    assert changed["preferences"]["grant_minutes"] == 15


@pytest.mark.timeout(300)
async def test_suspended_tenant_runs_nothing_on_a_grant_and_its_chat_says_why(
    house: House, client: Client, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    append = f"sh -c 'echo x >> {mark}'"
    approval = await asked(client, append)
    place = approval["conversation"]
    await client.post(f"/api/v1/approvals/{approval['id']}/grant")
    await client.until(lambda: mark.exists())
    await client.ask(f"/run local {append}")
    await client.until(lambda: mark.read_text() == "x\nx\n")
    try:
        assert (await command(house, "tenant", "suspend", "default"))[0] == 0
        said = await client.until(lambda: ended(client, place, approval["code"]))
        assert "this tenant is suspended" in said[0]
        assert "suspended" in str((await client.ask(f"/run local {append}"))["body"])
    finally:
        assert (await command(house, "tenant", "resume", "default"))[0] == 0
    assert (await client.ask(f"/run local {append}"))["kind"] == "card"
    assert (await client.get("/api/v1/grants"))["grants"] == []
    assert (mark.read_text(), len(ended(client, place, approval["code"]))) == ("x\nx\n", 1)


def ended(client: Client, conversation: str, code: str) -> list[str]:
    """Return what a conversation's page says of a grant's end."""
    said = [str(event["body"]) for event in client.of_kind(conversation, "notice")]
    return [text for text in said if f"Grant {code} has ended" in text]


async def test_revoke_in_chat_says_what_it_takes(client: Client) -> None:
    said = await client.ask("/revoke")
    assert "/grants" in str(said["body"])
    unknown = await client.ask("/revoke Z9-999")
    assert "No grant" in str(unknown["body"])
