"""The second factor on the console: a real browser on a real it0, with an authenticator app beside it."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.async_api import Browser, Page, expect
from support.browser import CHROMIUM
from support.house import House, audit_of, running_house, signed_in
from test_two_people import enter, photograph, say

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(),
    reason=f"THE SECOND FACTOR IS NOT TESTED IN A BROWSER: {CHROMIUM} is missing (apt install chromium)",
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield a running it0."""
    with running_house(tmp_path_factory.mktemp("stepup") / "home") as running:
        yield running


async def command(house: House, *words: str) -> None:
    """Run ``it0 …`` beside it."""
    done = await asyncio.to_thread(house.command, *words)
    assert done.returncode == 0, done.stderr


async def dialog(page: Page) -> None:
    """Open one's second factor."""
    await page.locator(".account summary").click()
    await page.get_by_role("button", name="Second factor").click()
    await expect(page.locator("dialog[open]")).to_be_visible()


async def enrolled(page: Page) -> str:
    """Set a second factor up as a person does; return its secret."""
    await dialog(page)
    await expect(page.locator("svg.qr path")).to_have_attribute("d", re.compile("^M4 4h1v1h-1z"))
    secret = await page.get_by_label("Secret").input_value()
    await page.get_by_label("Code from the app").fill(pyotp.TOTP(secret).now())
    await photograph(page, "second-factor-en")
    await page.get_by_role("button", name="Confirm").click()
    await expect(page.get_by_text("Your second factor is set up.").last).to_be_visible()
    assert secret not in await page.content()
    return secret


async def unused(house: House, secret: str) -> str:
    """Return a code that counts: as if time had gone on since the last one."""
    async with house.database() as db:
        await db.execute(f'UPDATE "{await house.schema()}".totp SET last_step = 0')
    return pyotp.TOTP(secret).now()


async def test_it_is_set_up_asked_for_at_the_click_and_removed(
    house: House, browser: Browser, tmp_path: Path
) -> None:
    await command(house, "tenant", "set", "step_up", "on")
    page, mark = await enter(browser, house, "admin"), tmp_path / "mark"
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    secret = await enrolled(page)
    async with house.database() as db:
        await db.execute(f'UPDATE "{await house.schema()}".totp SET proven_until = NULL')
    await say(page, f"/run local touch {mark}")
    await page.get_by_role("button", name=re.compile("^Approve")).click()
    box = page.locator("dialog[open]")
    await expect(box.get_by_text("wants a second factor")).to_be_visible()
    await box.get_by_label("Code from the app").fill("000000")
    await box.get_by_role("button", name="Approve").click()
    await expect(box.get_by_text("This code is not right")).to_be_visible()
    assert not mark.exists()
    await box.get_by_label("Code from the app").fill(await unused(house, secret))
    await box.get_by_role("button", name="Approve").click()
    await expect(page.get_by_text("carried out", exact=False).last).to_be_visible()
    assert mark.exists()
    await dialog(page)
    await page.get_by_label("Code from the app").fill(await unused(house, secret))
    await page.get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("Your second factor is removed.")).to_be_visible()
    await command(house, "tenant", "set", "step_up", "off")
    assert wrong == []


async def test_an_admin_removes_anothers_who_is_told(house: House, browser: Browser) -> None:
    await command(house, "user", "add", "olga", "--role", "operator")
    olga = await enter(browser, house, "olga")
    await enrolled(olga)
    page = await enter(browser, house, "admin")
    await page.goto(f"{house.url}/#/people")
    await page.get_by_role("button", name="Remove second factor").click()
    await page.locator("[data-yes]").click()
    await expect(page.get_by_role("button", name="Remove second factor")).to_have_count(0)
    admin = await signed_in(house, "admin")
    assert [row["actor"] for row in await audit_of(admin, "totp.take_away")] == ["admin"]
    notices = olga.get_by_role("navigation", name="Conversations").get_by_role("link")
    await notices.filter(has_text="it0").click()
    await expect(olga.get_by_text("admin has removed your second factor").last).to_be_visible()
    await enrolled(olga)
    await command(house, "user", "forget-totp", "olga")
    assert next(row["actor"] for row in await audit_of(admin, "totp.take_away")) != "admin"
    await admin.close()
