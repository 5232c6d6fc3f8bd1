"""An approved act is under way from the click to its end, on a real it0: at the socket and in a browser."""

import asyncio
import getpass
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, expect
from support.house import Client, House
from test_two_people import enter, pytestmark, say

from bot.texts.render import place
from core.store.acts import outcome_of
from core.work import Server

__all__ = ["pytestmark"]

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield a running it0."""
    running = House(tmp_path_factory.mktemp("acts") / "home")
    running.start()
    try:
        yield running
    finally:
        running.close()


class Watcher(Client):
    """A client that keeps what was said to run, frame by frame."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.running: list[Any] = []

    def _take(self, frame: dict[str, Any]) -> None:
        super()._take(frame)
        if frame["type"] == "events":
            self.running.append(frame["running"])


@pytest.fixture
async def client(house: House) -> AsyncIterator[Watcher]:
    """Yield a signed-in client."""
    client = Watcher(house)
    link = house.command("user", "link", "admin").stdout.strip()
    await client.sign_in(link.rpartition("token=")[2])
    await client.connect()
    yield client
    await client.close()


async def test_the_socket_tells_of_an_act_from_the_click_on(house: House, client: Watcher) -> None:
    card = await client.ask("/run local sh -c 'sleep 4; exit 3'")
    conversation, approval = card["conversation"], card["body"]["approval"]
    assert approval["act"] is None
    await client.until(lambda: client.running[-1] is None)
    await client.click(f"approve:{approval['id']}")
    settled = (await client.until(lambda: client.of_kind(conversation, "settled")))[0]
    assert settled["body"]["approval"]["act"]["state"] == "running"
    assert client.running[-1] == card["turn"]
    said = await client.ask("/help", conversation)  # something else comes and goes meanwhile
    assert said["kind"] == "reply"
    await client.until(lambda: client.running[-1] == card["turn"])
    later = Watcher(house)
    await later.sign_in(await client.link_for("admin"))
    await later.connect()
    await later.open(conversation)
    await later.until(lambda: later.running[-1:] == [card["turn"]])
    await later.close()
    performed = (await client.until(lambda: client.of_kind(conversation, "performed")))[0]
    assert performed["body"]["approval"]["act"] == {"state": "exit", "exit_code": 3, "why": None}
    await client.until(lambda: client.running[-1] is None)
    asked = await client.get(f"/api/v1/approvals?ids={approval['id']},nothing")
    assert [one["act"]["state"] for one in asked["approvals"]] == ["exit"]


async def test_a_step_tells_its_exit_code_and_its_approval(client: Watcher) -> None:
    said = await client.ask("/run local ls /nowhere-at-all")
    result = client.of_kind(said["conversation"], "result")[0]["body"]
    assert result["outcome"] == {"state": "exit", "exit_code": 2}
    card = await client.ask("/run local touch /tmp/x")
    await client.until(lambda: client.of_kind(card["conversation"], "result"))
    result = client.of_kind(card["conversation"], "result")[0]["body"]
    assert result["approval_id"] == card["body"]["approval"]["id"]


async def test_a_conversation_that_is_not_there_is_refused_by_its_name(client: Watcher) -> None:
    await client.open("nobody")
    refusal = await client.until(lambda: client.refused and client.refused[-1])
    assert (refusal["code"], refusal["conversation"]) == ("error.no_such_conversation", "nobody")


async def test_a_refused_click_names_its_button(client: Watcher) -> None:
    for _ in range(2):
        client.refused.clear()
        await client.click("approve:nothing")
        refusal = await client.until(lambda: client.refused and client.refused[-1])
        assert refusal["button"] == "approve:nothing"


async def test_the_audit_log_names_people_servers_and_commands(client: Watcher) -> None:
    await client.ask("/run local echo audited")
    rows = (await client.get("/api/v1/audit"))["rows"]
    row = next(row for row in rows if row["action"] == "command.intent")
    assert (row["command"], row["about"], row["actor"]) == ("echo audited", "local", "it0 (admin)")
    sign_in = next(row for row in rows if row["action"] == "user.sign_in")
    assert (sign_in["actor"], sign_in["about"]) == ("admin", "")


async def test_the_pages_of_fleet_people_and_keys_stand_on_the_real_api(
    house: House, browser: Browser
) -> None:
    page = await enter(browser, house, "admin")
    for view in ("clusters", "credentials", "usage", "people", "channels"):
        await page.goto(f"{house.url}/#/{view}")
        await expect(page.locator(f"body[data-view={view}] h1")).to_be_visible()
        await expect(page.locator(".loading")).to_have_count(0)
        await expect(page.locator(".bad")).to_have_count(0)
    await page.goto(f"{house.url}/#/keys")
    await page.get_by_role("button", name="New key").first.click()
    await page.locator("dialog [name=name]").fill("nightly")
    await page.locator("dialog button[type=submit]").click()
    await expect(page.get_by_label("Token", exact=True)).to_have_value(re.compile("^it0_"))
    await page.get_by_role("button", name="Done").click()
    await page.goto(f"{house.url}/#/servers")
    await page.get_by_role("button", name="Change").click()
    await page.locator("dialog [name=description]").fill("where it0 lives")
    await page.locator("dialog button[type=submit]").click()
    await expect(page.locator("tbody")).to_contain_text("where it0 lives")
    await page.get_by_role("button", name="Check").click()
    await expect(page.locator(".check-line.good")).to_be_visible()


async def test_the_page_offers_stop_from_the_click_and_stops(house: House, browser: Browser) -> None:
    page = await enter(browser, house, "admin")
    await say(page, "/run local sh -c 'sleep 60'")
    await page.locator("[data-press=approve]:enabled").click()
    await expect(page.locator(".running")).to_contain_text("it0 is working", timeout=3000)
    await expect(page.locator(".step-word")).to_have_text("running")
    await page.reload()
    await expect(page.locator(".running")).to_contain_text("it0 is working")
    await page.locator(".running button").click()
    await expect(page.locator(".step-word")).to_have_text("stopped")
    await expect(page.locator(".card .act")).to_contain_text("stopped")
    await expect(page.locator(".running")).to_be_hidden()
    await expect(page.locator(".step")).not_to_contain_text("Nothing has run yet")


async def test_the_approvals_page_of_another_tab_shows_the_end(house: House, browser: Browser) -> None:
    page = await enter(browser, house, "admin")
    await say(page, "/run local sh -c 'exit 4'")
    await expect(page.locator(".card")).to_be_visible()
    code = await page.locator(".card .card-code").inner_text()
    other = await page.context.new_page()
    await other.goto(f"{house.url}/#/approvals")
    card = other.locator(".cards .card", has_text=code)
    await expect(card.locator(".targets code")).to_have_text([f"{getpass.getuser()}@localhost"])
    await page.locator("[data-press=approve]:enabled").click()
    await expect(card.locator(".outcome")).to_contain_text("Approved by admin")
    await expect(card.locator(".act")).to_contain_text("exit 4")
    await expect(page.locator(".step-word")).to_have_text("exit 4")


@pytest.mark.parametrize(("language", "words"), [("en", "no longer works"), ("zh", "已失效")])
async def test_links_that_lead_nowhere_say_what_to_do(house: House, language: str, words: str) -> None:
    headers = {**HTML, "Accept-Language": language}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{house.url}/login", data={"token": "used"}) as response:
            page = await response.text()
            assert response.status == 401
        assert words in page
        assert "it0 user link" in page
        async with session.get(f"{house.url}/secret/default.gone") as response:
            page = await response.text()
            assert response.status == 404
        assert words in page
        assert "/credential" in page
        async with session.get(f"{house.url}/secret/gone") as response:
            assert words in await response.text()
        async with session.get(f"{house.url}/login") as response:
            page = await response.text()
            assert response.status == 400
        assert "it0 user link" in page
        assert "style.css" in page
    async with aiohttp.ClientSession() as session, session.get(f"{house.url}/login") as response:
        assert response.content_type == "text/plain"


async def test_who_asked_is_told_who_decides_and_may_withdraw(house: House, browser: Browser) -> None:
    await asyncio.to_thread(house.command, "user", "add", "oleg", "--role", "operator")
    page = await enter(browser, house, "oleg")
    await say(page, "/run local rm -rf /srv/nothing")
    await expect(page.locator(".why-not")).to_have_text("An admin decides this; they have been told.")
    await page.get_by_role("button", name="Withdraw").click()
    await expect(page.locator(".card .outcome")).to_contain_text("Cancelled by oleg")
    await expect(page.locator(".step-word")).to_have_text("cancelled")


async def test_a_card_names_the_port_and_the_jump_server() -> None:
    more = ("dev", None, "it0", None, None, {}, {}, "active", "", None)
    jump = Server("j", "bastion", "ssh", "10.0.0.1", 22, *more)
    far = replace(jump, id="f", name="far", host="10.0.0.2", port=2222, jump_server_id="j")
    shown = place({"j": jump, "f": far}, "f", "ops")
    assert shown["port"] == 2222
    assert (shown["user"], shown["host"], shown["jump"]) == ("ops", "10.0.0.2", "bastion")
    local = place({"l": replace(jump, id="l", connection="local")}, "l", "")
    assert (local["user"], local["port"]) == (getpass.getuser(), None)


@pytest.mark.parametrize(
    ("results", "state", "code"),
    [
        ([("done", 0), ("done", 0)], "done", 0),
        ([("done", 0), ("done", 2), ("failed", None)], "exit", 2),
        ([("done", 2), ("timeout", None)], "timeout", None),
        ([("stopped", None), ("unknown", None)], "unknown", None),
    ],
)
def test_a_command_stands_as_badly_as_where_it_went_worst(
    results: list[tuple[str, int | None]], state: str, code: int | None
) -> None:
    stored = [{"state": one, "exit_code": number} for one, number in results]
    assert outcome_of(stored) == {"state": state, "exit_code": code}
