"""One person in two tabs of a real browser, on a real it0: what begins in one is listed in the other."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, expect
from support.house import House
from test_two_people import enter, pytestmark, say

__all__ = ["pytestmark"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield a running it0."""
    running = House(tmp_path_factory.mktemp("tabs") / "home", WEBSOCKETS_PER_USER="2")
    running.start()
    try:
        yield running
    finally:
        running.close()


async def test_conversation_that_begins_in_one_tab_is_listed_in_the_other(
    house: House, browser: Browser
) -> None:
    first = await enter(browser, house, "admin")
    second = await first.context.new_page()
    await second.goto(house.url)
    await expect(second.locator(".connection-open")).to_be_attached()
    await expect(second.locator(".conversation")).to_have_count(0)
    await say(first, "check load on local")
    await expect(second.locator(".conversation-title")).to_have_text(["check load on local"])
    await say(first, "check disk on local")
    await expect(first.get_by_text("Filesystem").last).to_be_visible()
    await expect(second.locator(".conversation-title")).to_have_count(1)
    third = await first.context.new_page()
    await third.goto(house.url)
    await expect(third.locator(".toast.bad")).to_contain_text("2 pages of the console open")
    await second.close()
    await third.locator(".connection-crowded").click()
    await expect(third.locator(".connection-open")).to_be_attached()
    await expect(third.locator(".conversation-title")).to_have_count(1)


async def test_server_with_tags_and_options_is_added_in_the_page(house: House, browser: Browser) -> None:
    page = await enter(browser, house, "admin")
    await page.goto(f"{house.url}/#/servers")
    await page.get_by_role("button", name="Add server").click()
    form = page.locator("dialog")
    await form.locator("[name=name]").fill("here")
    await form.locator("[name=connection]").select_option("local")
    await expect(form.locator("[name=host]")).to_be_hidden()
    await form.locator("[name=tags]").fill("team=shop")
    await form.locator("button[type=submit]").click()
    await expect(page.locator("table").first).to_contain_text("team=shop")
