"""Two people in two browsers, on a real it0: one asks, the other decides, both see it.

With IT0_SCREENSHOTS=FOLDER the views are photographed for the docs, in both languages.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from support.browser import CHROMIUM
from support.house import House

SCREENSHOTS = os.environ.get("IT0_SCREENSHOTS", "")
pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(),
    reason=f"TWO PEOPLE IN TWO BROWSERS ARE NOT TESTED: {CHROMIUM} is missing (apt install chromium)",
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield a running it0."""
    running = House(tmp_path_factory.mktemp("two") / "home")
    running.start()
    try:
        yield running
    finally:
        running.close()


async def enter(browser: Browser, house: House, name: str, **options: object) -> Page:
    """Sign a person in by a link, in a browser of their own."""
    link = (await asyncio.to_thread(house.command, "user", "link", name)).stdout.strip()
    shape = {"viewport": {"width": 1280, "height": 800}} | options
    context = await browser.new_context(**shape)  # type: ignore[arg-type]
    page = await context.new_page()
    page.set_default_timeout(10_000)
    await page.goto(link)
    await page.locator("button").click()
    await expect(page.locator("main")).to_be_visible()
    await page.goto(f"{house.url}/#/chat/new")  # a narrow screen begins with the list
    await expect(page.locator("#composer")).to_be_visible()
    return page


async def say(page: Page, text: str) -> None:
    """Type and send."""
    await page.locator("#composer").fill(text)
    await page.locator("#composer").press("Enter")


async def photograph(page: Page, name: str) -> None:
    """Keep what the page shows, where somebody asked for it."""
    if SCREENSHOTS:
        await page.wait_for_timeout(600)
        await page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


async def test_one_asks_another_approves_and_both_see_it(house: House, browser: Browser) -> None:
    await asyncio.to_thread(house.command, "user", "add", "olga", "--role", "operator")
    admin, olga = await enter(browser, house, "admin"), await enter(browser, house, "olga")
    await say(olga, "check disk on local")
    await expect(olga.get_by_text("Filesystem").last).to_be_visible()
    made = Path(f"/tmp/hello-{os.getpid()}")
    await say(olga, f"/run local touch {made}")
    await expect(olga.get_by_text("touch").last).to_be_visible()
    assert not made.exists()
    await admin.goto(f"{house.url}/#/approvals")
    approve = admin.get_by_role("button", name="Approve").first
    await expect(approve).to_be_visible()
    await admin.wait_for_timeout(600)
    await photograph(admin, "approvals-en")
    await approve.click()
    await expect(olga.get_by_text("approved", exact=False).last).to_be_visible()
    await expect(olga.get_by_text("done", exact=False).last).to_be_visible()
    await expect(olga.get_by_text("carried out", exact=False).last).to_be_visible()
    assert made.exists()
    made.unlink()
    await photograph(olga, "chat-en")


async def test_every_view_stands_in_both_languages(house: House, browser: Browser) -> None:
    await asyncio.to_thread(house.command, "user", "add", "韩梅梅", "--role", "admin", "--language", "zh")
    for name, language in (("admin", "en"), ("韩梅梅", "zh")):
        page = await enter(browser, house, name)
        wrong: list[str] = []
        page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))  # type: ignore[misc]
        await say(page, "check memory on local" if language == "en" else "检查 local 的内存")
        await expect(page.get_by_text("Mem:").last).to_be_visible()
        await say(page, "restart nginx on local" if language == "en" else "重启 local 的 nginx")
        await expect(page.get_by_text("systemctl restart nginx").last).to_be_visible()
        await photograph(page, f"card-{language}")
        for view in ("servers", "approvals", "audit", "people"):
            await page.goto(f"{house.url}/#/{view}")
            await expect(page.locator("main")).to_be_visible()
            await photograph(page, f"{view}-{language}")
        assert wrong == []


async def test_narrow_screen_shows_the_chat_without_sideways_scrolling(
    house: House, browser: Browser
) -> None:
    page = await enter(browser, house, "admin", viewport={"width": 390, "height": 844})
    await say(page, "check disk on local")
    await expect(page.get_by_text("Filesystem").last).to_be_visible()
    wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not wide
    await photograph(page, "chat-narrow")


async def test_killed_process_comes_back_to_the_same_page(house: House, browser: Browser) -> None:
    page = await enter(browser, house, "admin")
    await say(page, "check load on local")
    await expect(page.get_by_text("load average").last).to_be_visible()
    house.kill()
    await say(page, "check disk on local")
    house.start()
    await expect(page.get_by_text("Filesystem").last).to_be_visible(timeout=40_000)
