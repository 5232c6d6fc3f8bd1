"""A model behind a real it0, in a browser: what it thinks, says, asks for and waits for."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect
from support.house import House
from support.model_double import Fault, ModelDouble, Status, Thought, run_on, serving
from test_two_people import enter, pytestmark, say

__all__ = ["pytestmark"]

REPORT = """**Done.** What I found:

- the disk has room
  - all of it
- nginx was restarted

1. first
2. second

| what | state |
|---|---|
| a \\| b | **fine** |

> quoted

```sh
systemctl status nginx
```
<b>no markup</b>"""


@pytest.fixture(scope="module")
async def model() -> AsyncIterator[ModelDouble]:
    """Yield the model's API."""
    async with serving(ModelDouble()) as double:
        yield double


@pytest.fixture(scope="module")
async def house(model: ModelDouble, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Yield a running it0 with a model."""
    home = tmp_path_factory.mktemp("model") / "home"
    running = House(home, ANTHROPIC_API_KEY="sk-secret-of-ours", ANTHROPIC_BASE_URL=model.url)
    running.start()
    try:
        yield running
    finally:
        running.close()


async def test_the_page_shows_what_it_thinks_says_and_does_between(
    house: House, model: ModelDouble, browser: Browser
) -> None:
    model.script = [
        [Thought("Only a look."), "I look first.", run_on("local", "echo seen")],
        ["Now the change.", run_on("local", "sh -c 'echo changed'")],
        REPORT,
    ]
    page = await enter(browser, house, "admin")
    await say(page, "look, and then restart it")
    await page.locator("[data-press=approve]:enabled").click()
    await expect(page.locator(".entry.reply strong").first).to_have_text("Done.")
    for _ in range(2):
        shown = page.locator(".entry.spoken")
        await expect(shown.nth(0)).to_contain_text("I look first.")
        await expect(shown.nth(0).locator(".thinking")).to_contain_text("Only a look.")
        await expect(shown.nth(1)).to_contain_text("Now the change.")
        await expect(page.locator(".step")).to_have_count(2)
        await expect(page.locator(".drafting")).to_have_count(0)
        await page.reload()


async def test_markdown_is_shown_as_what_it_means_and_never_as_markup(
    house: House, model: ModelDouble, browser: Browser
) -> None:
    model.script = [REPORT]
    page = await enter(browser, house, "admin")
    await say(page, "report")
    reply = page.locator(".entry.reply .prose")
    await expect(reply.locator("> ul > li")).to_have_count(2)
    await expect(reply.locator("ul ul li")).to_have_text(["all of it"])
    await expect(reply.locator("ol li")).to_have_text(["first", "second"])
    await expect(reply.locator("td")).to_have_text(["a | b", "fine"])
    await expect(reply.locator("td strong")).to_have_text("fine")
    await expect(reply.locator("blockquote")).to_have_text("quoted")
    await expect(reply.locator("pre")).to_have_text("systemctl status nginx")
    await expect(reply).to_contain_text("<b>no markup</b>")


@pytest.mark.parametrize(("language", "words"), [("en", "Trying again"), ("zh", "秒后重试")])
async def test_waiting_for_the_model_is_said_and_a_void_draft_is_taken_away(
    house: House, model: ModelDouble, browser: Browser, language: str, words: str
) -> None:
    page = await enter(browser, house, "admin")
    await page.locator(".languages button", has_text="EN" if language == "en" else "中文").click()
    cut = Fault(["This beginning is void"], "cut", 4)
    model.script = [Status(529, "overloaded_error", "2"), cut, "The whole answer."]
    await say(page, "and now?")
    await expect(page.get_by_role("status").filter(has_text=words)).to_be_visible()
    await expect(page.locator(".entry.reply").last).to_contain_text("The whole answer.")
    await expect(page.locator("body")).not_to_contain_text("This beginning is void")
    await expect(page.get_by_role("status").filter(has_text=words)).to_have_count(0)


async def test_doctor_says_how_the_model_is(house: House, model: ModelDouble) -> None:
    found = (await asyncio.to_thread(house.command, "doctor")).stdout
    assert re.search(r"OK +engine claude_api", found)
    model.refuses = Status(401, "authentication_error")
    found = (await asyncio.to_thread(house.command, "doctor")).stdout
    model.refuses = None
    assert re.search(r"WARNING +engine claude_api .*ANTHROPIC_API_KEY", found)
    assert "sk-secret-of-ours" not in found + house.log.read_text()
