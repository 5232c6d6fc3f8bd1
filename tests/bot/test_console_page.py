"""The console's page in a real browser, against a double of its server."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect
from support.browser import CHROMIUM
from support.console_double import ConsoleDouble

VIEWS = (
    "chat",
    "servers",
    "clusters",
    "credentials",
    "approvals",
    "policy",
    "audit",
    "usage",
    "people",
    "keys",
    "channels",
)
WATCH = "addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective))"
Open = Callable[..., Awaitable[Page]]
pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(),
    reason=f"THE CONSOLE'S PAGE IS NOT TESTED: {CHROMIUM} is missing (apt install chromium)",
)


@pytest.fixture
async def double() -> AsyncIterator[ConsoleDouble]:
    """A server of its own for each test."""
    double = ConsoleDouble()
    await double.start()
    yield double
    await double.stop()


@pytest.fixture
async def open_page(browser: Browser, double: ConsoleDouble) -> AsyncIterator[Open]:
    """Open the page in a fresh profile; afterwards nothing may have gone wrong in its console."""
    contexts = []
    wrong: list[str] = []

    async def open_it(route: str = "", **options: Any) -> Page:
        context = await browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))
        contexts.append(context)
        await context.add_init_script(WATCH)
        page = await context.new_page()
        page.set_default_timeout(8000)
        page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto(f"{double.url}/#/{route}")
        return page

    yield open_it
    for context in contexts:
        await context.close()
    assert [text for text in wrong if not any(each in text for each in double.expected)] == []
    assert double.bad_csrf == []


async def say(page: Page, text: str) -> None:
    """Type and send with the keyboard."""
    await page.locator("#composer").fill(text)
    await page.locator("#composer").press("Enter")


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is so on the server's side."""
    async with asyncio.timeout(8):
        while not true():
            await asyncio.sleep(0.02)


async def test_says_and_sees_steps_and_the_reply(open_page: Open, double: ConsoleDouble) -> None:
    double.go_on.clear()
    page = await open_page()
    await say(page, "hello")
    await expect(page.locator(".entry.reply")).to_contain_text("You said: hello")
    await say(page, "check disk")  # in an open conversation: live pieces reach nobody who is not there yet
    await expect(page.locator(".step-running .live")).to_contain_text("/dev/vda1")
    await expect(page.locator(".running")).to_contain_text("it0 is working")
    double.go_on.set()
    reply = page.locator(".entry.reply").last
    await expect(reply).to_contain_text("db-1 is nearly full")
    await expect(reply.locator("strong").first).to_have_text("db-1")
    await expect(page.locator(".drafting, .thinking, .running:visible")).to_have_count(0)
    step = page.locator(".step-done")
    await expect(step).to_have_count(1)
    await step.locator("summary").click()
    await expect(step.locator(".command")).to_have_text("df -h")
    await expect(page.locator(".said.own")).to_have_count(2)
    assert re.search(r"#/chat/c\d+$", page.url)
    await page.reload()
    await expect(page.locator(".entry.reply").last).to_contain_text("db-1 is nearly full")
    await expect(page.locator(".said.own")).to_have_count(2)


async def test_follows_a_language_chosen_elsewhere_and_keeps_what_is_typed(
    open_page: Open, double: ConsoleDouble
) -> None:
    page = await open_page("chat/new")
    await page.locator("#composer").fill("half a sen")
    double.me["user"]["language"] = "zh"  # as /language does, here or in another chat
    await double.send({"type": "changed", "what": "people"})
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(page.locator("[data-language=zh]")).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("#composer")).to_have_value("half a sen")
    await page.get_by_role("link", name="服务器").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("服务器")


async def test_data_stays_data(open_page: Open, double: ConsoleDouble) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\"><script>1</script>\u202egnp.exe"
    double.append("c1", "said", {"text": evil}, user="alice")
    parts = [{"text": evil}, {"code": evil + "\u200b\x1b[31mred\x1b[0m\x07", "title": evil}]
    buttons = [{"label": evil, "value": "x:1", "style": "plain"}]
    double.append("c1", "reply", {"parts": parts, "buttons": buttons}, "t1")
    command = "cat /etc/passwd\u202e \u2066\u00a0\tx\nrm\u3164 -rf\u200d " + "y" * 5000
    approval = double.make_approval("c1", command=command, requester=evil, reasons=[evil], part=evil)
    double.append("c1", "card", {"approval": approval}, "t1")
    double.titles["c1"] = evil
    page = await open_page("chat/c1")
    shown = page.locator(".card .command")
    await expect(shown).to_be_visible()
    text = await shown.evaluate("(node) => node.textContent")
    assert text == (
        "cat /etc/passwd\\u202e \\u2066\\u00a0\\tx↵\nrm\\u3164 -rf\\u200d " + "y" * 5000
    )  # whole, and every hidden character visible
    await expect(page.locator(".entry.reply pre")).to_contain_text("\\u202egnp.exe\\u200bred\\u0007")
    assert "\u202e" not in await page.evaluate("document.body.textContent + document.title")
    assert await page.locator("#app img, #app script").count() == 0
    assert "owned" not in await page.title()


OWNED = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
EVIL = f"{OWNED}'\"`}}{{{{x}}}}\u202e\x1b[2J\u2066\u200bjavascript:alert(1)"
ITS_OWN = (
    *(
        "id",
        "csrf",
        "language",
        "languages",
        "role",
        "status",
        "level",
        "kind",
        "environment",
        "seq",
        "file_bytes",
    ),
    *("connection", "engine", "channel", "shell", "state", "plan", "slug"),
)
"""Fields that hold one of a few words, which the server itself has checked."""


def poisoned(value: Any, name: str = "") -> Any:
    """Return an answer in which every text that people or servers may have written is hostile."""
    match value:
        case dict():
            return {key: poisoned(each, key) for key, each in value.items()}
        case list():
            return [poisoned(each, name) for each in value]
        case str() if name not in ITS_OWN and not re.match(r"\d{4}-\d\d-\d\d", value):
            return value + EVIL
    return value


@pytest.mark.parametrize("view", VIEWS)
async def test_whatever_stands_in_any_field_stays_data_on_every_page(
    open_page: Open, double: ConsoleDouble, view: str
) -> None:
    file = {"id": f"f/../{EVIL}", "name": EVIL, "size": 9}
    double.append("c1", "notice", {"parts": [{"text": EVIL, "plain": True}], "buttons": [], "file": file})
    double.append("c1", "card", {"approval": double.make_approval("c1", command=EVIL)}, "t1")

    async def poison(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json=poisoned(await answer.json()))

    page = await open_page("chat/c1")
    await expect(page.locator(".card")).to_be_visible()
    await page.route(re.compile(r"/api/v1/(?!texts|me)"), poison)
    await page.goto(f"{double.url}/#/{'chat/c1' if view == 'chat' else view}")
    await expect(page.locator("main")).to_contain_text(
        {"usage": "UTC", "channels": "telegram-4242"}.get(view, "onerror")
    )
    for summary in await page.locator("main summary:visible").all():
        await summary.click()
    shown = await page.evaluate("document.body.textContent + document.title")
    assert [sign for sign in ("\u202e", "\x1b", "\u2066", "\u200b") if sign in shown] == []
    assert await page.locator("main img, main script, a[href^='javascript:']").count() == 0
    assert await page.title() != "owned"
    hrefs = await page.evaluate("[...document.querySelectorAll('a[href]')].map((a) => a.href)")
    assert [each for each in hrefs if not each.startswith(f"{double.url}/")] == []


async def test_what_was_not_acknowledged_is_sent_again_and_shown_once(
    open_page: Open, double: ConsoleDouble
) -> None:
    double.hold = True
    page = await open_page()
    await say(page, "hello there")
    await until(lambda: list(double.said.values()) == [1])
    await expect(page.locator(".pending-unsent")).to_contain_text("Sending")
    await page.reload()
    await expect(page.locator(".pending-unsent")).to_contain_text("hello there")
    double.hold = False
    await double.drop()
    await expect(page.locator(".entry.reply")).to_have_text(re.compile("You said: hello there"))
    await expect(page.locator(".said.own")).to_have_count(1)
    await expect(page.locator(".pending")).to_have_count(0)
    assert len(double.said) == 1  # one event id, however often it was sent
    assert sum(e["kind"] == "said" for log in double.logs.values() for e in log) == 1
    kept = "Object.keys(localStorage).filter((key) => key.startsWith('it0.outbox.')).length"
    assert await page.evaluate(kept) == 0


async def test_what_is_said_while_disconnected_is_kept(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page()
    await expect(page.locator(".connection-open")).to_be_visible()
    port = int(double.url.rsplit(":", 1)[1])
    double.expected = ["ERR_CONNECTION_REFUSED"]
    await double.stop()
    await expect(page.locator(".connection-waiting")).to_be_visible()
    await say(page, "are you there")
    await expect(page.locator(".pending-unsent")).to_contain_text("Will be sent")
    await double.start(port)
    await expect(page.locator(".entry.reply")).to_contain_text("You said: are you there")
    assert list(double.said.values()) == [1]


async def test_a_refused_message_says_why_and_can_be_edited(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page()
    await say(page, "refuse me")
    refused = page.locator(".pending-refused")
    await expect(refused).to_contain_text("That message is too long.")
    await refused.get_by_role("button", name="Edit and send again").click()
    await expect(page.locator("#composer")).to_have_value("refuse me")
    await expect(refused).to_have_count(0)


async def test_a_double_click_is_one_click_and_only_the_server_settles(
    open_page: Open, double: ConsoleDouble
) -> None:
    double.hold = True
    approval = double.make_approval("c1")
    double.append("c1", "card", {"approval": approval}, "t1")
    page = await open_page("chat/c1")
    approve = page.locator("[data-press=approve]")
    await approve.dblclick()
    await until(lambda: bool(double.clicks))
    await expect(approve).to_be_disabled()
    await expect(approve).to_contain_text("Sending")
    await expect(page.locator("[data-press=reject]")).to_be_disabled()
    await expect(page.locator(".card-approved")).to_have_count(0)
    assert list(double.clicks.values()) == [1]
    double.hold = False
    await double.drop()
    await until(lambda: list(double.clicks.values()) == [2])  # the same event, again
    await expect(approve).to_contain_text("Received")
    await double.settle(approval["id"], "approved", "alice")
    await expect(page.locator(".outcome-approved")).to_contain_text("Approved by alice")
    await expect(page.locator(".decide")).to_have_count(0)
    assert list(double.clicked.values()) == [f"approve:{approval['id']}"]


async def test_a_card_shows_what_others_decided(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page()
    await say(page, "restart nginx")
    card = page.locator(".card")
    await expect(card.locator(".level-2")).to_have_text("L2 · High risk")
    for words in ("web-1", "it0@10.0.0.11", "production", "Restarts a service", "bob", "Expires in 29:"):
        await expect(card).to_contain_text(words)
    await expect(page).to_have_title(re.compile(r"^\(1\) "))
    await expect(page.locator(".nav .count")).to_contain_text("1")
    await double.settle(next(iter(double.approvals)), "rejected", "carol")
    await expect(card.locator(".outcome-rejected")).to_contain_text("Rejected by carol")
    await expect(page.locator(".step-rejected")).to_contain_text("rejected")
    await expect(page).not_to_have_title(re.compile(r"^\("))
    mine = double.make_approval("c9", may_decide=False, why_not="Somebody else has to decide.", needed=2)
    await double.send({"type": "changed", "what": "approvals"})
    await page.goto(f"{double.url}/#/approvals")
    waits = page.locator(f'.card[data-approval="{mine["id"]}"]')
    await expect(waits).to_contain_text("Somebody else has to decide.")
    await expect(waits).to_contain_text("0 of 2 approvals")
    await expect(waits.locator(".decide")).to_have_count(0)


async def test_a_gap_is_closed_and_older_events_are_read(open_page: Open, double: ConsoleDouble) -> None:
    for number in range(1, 451):
        double.append("c1", "said", {"text": f"message {number}"}, user="alice")
    page = await open_page("chat/c1")
    await expect(page.locator(".said")).to_have_count(200)
    double.append("c1", "said", {"text": "missed"}, user="bob")
    await double.grow("c1", "said", {"text": "seen"})
    await expect(page.locator(".said")).to_have_count(202)
    assert await page.locator(".said .bubble").nth(200).inner_text() == "missed"
    await page.locator(".scroll").evaluate("(node) => { node.scrollTop = 0; }")
    await expect(page.locator(".said")).not_to_have_count(202)
    await page.locator(".scroll").evaluate("(node) => { node.scrollTop = 0; }")
    await expect(page.locator(".said")).to_have_count(452)
    numbers = await page.locator(".said").evaluate_all("(all) => all.map((n) => Number(n.dataset.seq))")
    assert numbers == list(range(1, 453))


async def test_stop_and_halt(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page()
    await say(page, "hang")
    await page.locator(".running").get_by_role("button", name="Stop").click()
    await expect(page.locator(".entry.reply")).to_contain_text("Stopped.")
    await expect(page.locator(".running")).to_be_hidden()
    assert len(double.stops) == 1
    await page.get_by_role("button", name="Halt").click()
    await page.locator("dialog [data-yes]").click()
    await expect(page.locator(".banner")).to_contain_text("alice halted it0")
    await page.get_by_role("button", name="Resume").click()
    await page.locator("dialog [data-yes]").click()
    await expect(page.locator(".banner")).to_be_hidden()
    assert [path for path, _ in double.posts] == ["halt", "resume"]


async def test_the_language_changes_everywhere(open_page: Open, double: ConsoleDouble) -> None:
    double.append("c1", "card", {"approval": double.make_approval("c1")}, "t1")
    page = await open_page("chat/c1")
    await expect(page.locator("[data-press=approve]")).to_have_text("Approve")
    await page.locator("[data-language=zh]").click()
    await expect(page.locator("[data-press=approve]")).to_have_text("批准")
    await expect(page.locator(".card .level")).to_have_text("L2 · 高风险")
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    assert double.posts == [("PATCH me", {"language": "zh"})]
    for view in VIEWS:
        await page.goto(f"{double.url}/#/{view}")
        await expect(page.locator("#main")).not_to_contain_text(re.compile(r"console\.\w"))


async def test_narrow_screens_never_scroll_sideways(open_page: Open, double: ConsoleDouble) -> None:
    command = "find / -name '" + "x" * 300 + "' -delete"
    double.append("c1", "said", {"text": "w" * 400}, user="alice")
    double.append("c1", "card", {"approval": double.make_approval("c1", command=command)}, "t1")
    reply = {"parts": [{"code": "a long line " * 40, "title": "web-1"}], "buttons": []}
    double.append("c1", "reply", reply, "t1")
    page = await open_page("chat", viewport={"width": 360, "height": 740}, has_touch=True)
    places = "[document.documentElement, ...document.querySelectorAll('#main, .scroll')]"
    wide = f"{places}.some((node) => node.scrollWidth > node.clientWidth)"
    for view in (*VIEWS, "chat/c1"):
        await page.goto(f"{double.url}/#/{view}")
        await expect(page.locator(f"body[data-view={view.split('/')[0]}]")).to_be_attached()
        await expect(page.locator(".loading")).to_have_count(0)
        assert not await page.evaluate(wide), view
    await expect(page.locator(".card .command")).to_be_visible()
    await expect(page.locator(".nav")).to_be_in_viewport()


async def test_everything_by_keyboard(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page("servers")
    await expect(page.locator("table").first).to_contain_text("web-1")
    keyboard = page.keyboard
    await keyboard.press("/")
    await expect(page.locator("#composer")).to_be_focused()
    await keyboard.type("first line")
    await keyboard.press("Shift+Enter")
    await keyboard.type("second line")
    await keyboard.press("Enter")
    await expect(page.locator(".entry.reply")).to_contain_text("You said: first line\nsecond line")
    await keyboard.press("ArrowUp")
    await expect(page.locator("#composer")).to_have_value("first line\nsecond line")
    await page.locator(".scroll").focus()
    await keyboard.press("?")
    await expect(page.locator("dialog")).to_contain_text("Keyboard shortcuts")
    await keyboard.press("Escape")
    await expect(page.locator("dialog")).to_have_count(0)
    for key, view in {"a": "approvals", "l": "audit", "s": "servers", "c": "chat"}.items():
        await keyboard.press("g")
        await keyboard.press(key)
        await expect(page.locator(f"body[data-view={view}]")).to_be_attached()


async def test_the_end_of_the_session_says_how_to_come_back(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page()
    await expect(page.locator(".connection-open")).to_be_visible()
    double.signed_in = False
    double.expected = ["401"]
    await double.drop()
    await expect(page.locator(".door")).to_contain_text("it0 user link alice")
    await page.reload()
    await expect(page.locator(".door")).to_contain_text("it0 user link")


async def test_a_viewer_is_offered_nothing_they_may_not_do(open_page: Open, double: ConsoleDouble) -> None:
    double.me["user"]["role"] = "viewer"
    page = await open_page("people")
    await expect(page.locator("main")).to_contain_text("This page is for admins.")
    await expect(page.locator("nav [aria-current]")).to_have_count(0)
    await page.get_by_role("link", name="Go to Chat").click()
    await expect(page.locator("body[data-view=chat]")).to_be_attached()
    await expect(page.locator(".nav a")).to_have_count(3)
    await expect(page.locator(".halt")).to_have_count(0)
    await page.goto(f"{double.url}/#/servers")
    await expect(page.locator("table")).to_contain_text("web-1")
    await expect(page.locator("#main :is(button, summary)")).to_have_count(0)
    await expect(page.locator(".tabs a")).to_have_count(2)
    await page.locator(".tabs a").last.click()
    await expect(page.locator("table")).to_contain_text("shop-metal")
    await expect(page.locator("#main :is(button, summary)")).to_have_count(0)
    for view in ("credentials", "usage", "keys", "channels"):
        await page.goto(f"{double.url}/#/{view}")
        await expect(page.locator("main")).to_contain_text("This page is for admins.")


async def test_adding_a_server_ends_with_its_fingerprint(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page("servers")
    await page.get_by_role("button", name="Add server").click()
    form = page.locator("dialog")
    for name, value in {"name": "web-9", "host": "10.0.0.99", "user": "it0"}.items():
        await form.locator(f"[name={name}]").fill(value)
    await form.locator("[name=credential]").select_option("fleet-key")
    await form.locator("button[type=submit]").click()
    await expect(form.locator(".fingerprint")).to_contain_text("SHA256:Qm4c0kV1")
    await expect(form).to_contain_text("ssh-keyscan -p 22 -- 10.0.0.99")
    await form.locator("#key-compared").check()
    await form.locator("button[type=submit]").click()
    await expect(page.locator(".toast")).to_contain_text("web-9 is trusted now.")
    assert [path for path, _ in double.posts] == ["servers", "servers/web-9/trust"]
    assert double.posts[1][1] == {"fingerprint": "SHA256:Qm4c0kV1wq3y8zB7n2mXlLpT6aJrD9hFsE5uGiKoYtA"}


async def test_a_server_is_described_whole(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page("servers")
    await page.get_by_role("button", name="Add server").click()
    form = page.locator("dialog")
    told = {"name": "web-9", "host": "10.0.0.99", "user": "it0", "tags": "team=shop，tier = web,"}
    for name, value in told.items():
        await form.locator(f"[name={name}]").fill(value)
    for name, choice in {
        "credential": "fleet-key",
        "jump": "db-1",
        "environment": "staging",
        "role": "web",
    }.items():
        await form.locator(f"[name={name}]").select_option(choice)
    fold = form.get_by_text("More options")
    await fold.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(form.get_by_label("Restricted shell")).to_be_focused()
    await page.keyboard.press("Space")
    await form.get_by_label("Shell", exact=True).select_option("sh")
    await form.get_by_label("Seconds between keep-alives").fill("20")
    await form.get_by_label("Allow old algorithms").check()
    await form.locator("button[type=submit]").click()
    await expect(form.locator(".fingerprint")).to_be_visible()
    sent = {
        "name": "web-9",
        "connection": "ssh",
        "host": "10.0.0.99",
        "port": 22,
        "user": "it0",
        "credential": "fleet-key",
        "jump": "db-1",
        "environment": "staging",
        "role": "web",
        "description": "",
        "tags": {"team": "shop", "tier": "web"},
        "restricted": True,
        "shell": "sh",
        "ssh_options": {"keepalive_s": 20, "legacy_algorithms": True},
        "cluster": "",
        "read_user": "",
        "read_credential": "",
    }
    assert double.posts == [("servers", sent)]


@pytest.mark.parametrize("width", [1280, 390])
async def test_what_is_wrong_with_a_server_is_said_where_it_can_be_seen(
    open_page: Open, double: ConsoleDouble, width: int
) -> None:
    page = await open_page("servers", viewport={"width": width, "height": 800})
    await page.get_by_role("button", name="Add server").click()
    form = page.locator("dialog")
    for name, value in {
        "name": "web-9",
        "host": "10.0.0.99",
        "user": "it0",
        "tags": "team=shop, oops",
    }.items():
        await form.locator(f"[name={name}]").fill(value)
    await form.locator("[name=credential]").select_option("fleet-key")
    submit, error = form.locator("button[type=submit]"), form.locator(".form-error")
    await submit.click()
    await expect(error).to_contain_text("“oops” is not a tag")
    await expect(form.locator("[name=tags]")).to_be_focused()
    await form.locator("[name=tags]").fill("team=shop")
    double.bad_server = ("server.bad_port", "The port was not taken.")
    double.expected = ["422"]
    await submit.click()
    await expect(error).to_have_text("The port was not taken.")
    for seen in (error, submit, form.locator("[name=port]")):
        await expect(seen).to_be_in_viewport(ratio=1)
    await expect(form.locator("[name=port]")).to_be_focused()
    await form.get_by_text("More options").click()
    await form.locator("[name=keepalive_s]").fill("0")
    await form.get_by_text("More options").click()
    await submit.click()  # the browser itself points at a field that was folded away
    await expect(form.locator("[name=keepalive_s]")).to_be_focused()
    assert not await page.evaluate(
        "(([d]) => d.scrollWidth > d.clientWidth)(document.querySelectorAll('dialog'))"
    )
    assert len(double.posts) == 1


async def test_server_of_which_nothing_was_seen_says_so_beside_its_credential(
    open_page: Open, double: ConsoleDouble
) -> None:
    double.servers = [{**each, "can": []} if each["name"] == "web-2" else each for each in double.servers]
    page = await open_page("servers", viewport={"width": 1400, "height": 800})
    access = page.locator(".access")
    await expect(access.nth(1)).to_contain_text("is not known: Check asks")
    for n, lines in ((0, "it0 may use"), (3, "fleet-key")):  # known; its key was not confirmed yet
        await expect(access.nth(n)).to_contain_text(lines)
        await expect(access.nth(n)).not_to_contain_text("not known")


async def test_a_server_is_changed_hardened_and_checked(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page("servers")
    row, form = page.locator("tbody tr").nth(2), page.locator("dialog")
    await expect(row).to_contain_text("reads as it0-ro with fleet-key")
    await row.get_by_role("button", name="Change").click()
    await expect(form.locator("[name=jump]")).to_have_value("bastion")
    await form.locator("[name=read_user]").fill("")
    await form.locator("[name=read_credential]").select_option("")
    await form.locator("[name=tags]").fill("tier=db")
    await form.locator("[name=cluster]").select_option("shop")
    await form.locator("button[type=submit]").click()
    await expect(page.locator(".toast")).to_contain_text("Done")
    changed = {"tags": {"tier": "db"}, "cluster": "shop", "read_user": "", "read_credential": ""}
    assert double.posts == [("PATCH servers/db-1", changed)]  # and nothing of what stayed as it was
    await row.get_by_label("More for db-1").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(form.locator(".output")).to_contain_text("sh harden.sh read-only")
    await page.keyboard.press("Escape")
    await row.get_by_role("button", name="Check").click()
    await expect(row.locator(".check-result")).to_contain_text("may use sudo for")


async def test_a_cluster_is_added_by_its_api_and_needs_no_entry_then(
    open_page: Open, double: ConsoleDouble
) -> None:
    page = await open_page("clusters")
    await expect(page.locator("tbody")).to_contain_text("by its API, with kube")
    await page.get_by_role("button", name="Add cluster").click()
    form = page.locator("dialog")
    await form.locator("[name=name]").fill("shop")
    await form.locator("[name=kubeconfig]").select_option("kube")
    await expect(form.locator("[name=entry]")).to_be_hidden()
    await form.locator("[name=kind]").select_option("docker_swarm")
    await expect(form.locator("[name=kubeconfig]")).to_be_hidden()
    await expect(form.locator("[name=entry]")).to_be_visible()
    await form.locator("[name=kind]").select_option("k8s")
    await form.locator("button[type=submit]").click()
    await expect(page.locator(".toast")).to_contain_text("Done")
    told = {"name": "shop", "kind": "k8s", "environment": "prod", "entry": "", "description": ""}
    assert double.posts[-1] == ("clusters", {**told, "kubeconfig": "kube"})


async def test_a_cluster_is_added_where_its_entry_is_wrong_it_says_so_there(
    open_page: Open, double: ConsoleDouble
) -> None:
    double.expected = ["422"]
    page = await open_page("clusters")
    await page.get_by_role("button", name="Add cluster").click()
    form = page.locator("dialog")
    await form.locator("[name=name]").fill("shop")
    await form.locator("[name=entry]").select_option("web-2")
    await form.locator("button[type=submit]").click()
    await expect(form.locator(".field:has([name=entry]) .form-error")).to_have_text(
        "web-2 cannot be its entry."
    )
    await expect(form.locator("[name=entry]")).to_be_focused()
    await form.locator("[name=kind]").select_option("bare_metal")
    await expect(form.locator("[name=entry]")).to_be_hidden()
    await form.locator("button[type=submit]").click()
    await expect(page.locator(".toast")).to_contain_text("Done")
    told = {"name": "shop", "kind": "bare_metal", "environment": "prod", "entry": "", "description": ""}
    assert double.posts[-1] == ("clusters", told)
    row = page.locator("tbody tr").first
    await row.get_by_role("button", name="Check").click()
    await expect(row.locator(".check-result")).to_contain_text("web-1 answers")
    await row.get_by_role("button", name="Remove").click()
    await page.locator("dialog [data-yes]").click()
    await until(lambda: double.posts[-1] == ("DELETE clusters/shop", {}))


async def test_a_credential_shows_its_end_is_replaced_and_leaves_no_secret_in_the_page(
    open_page: Open, double: ConsoleDouble
) -> None:
    page = await open_page("credentials")
    await expect(page.locator("tbody .state-rejected")).to_have_text("2 days left")
    await expect(page.locator("tbody .state-pending")).to_have_text("10 days left")
    await page.get_by_role("button", name="Replace").nth(1).click()
    secret, day = page.locator("dialog [name=secret]:enabled"), page.locator("dialog [name=expires_at]")
    handle = await secret.element_handle()
    assert handle
    assert await secret.get_attribute("autocomplete") == "new-password"
    await secret.fill("hunter2")
    await day.fill("2040-01-31")
    await page.locator("dialog button[type=submit]").click()
    await expect(page.locator("dialog")).to_have_count(0)
    sent = {"secret": "hunter2", "expires_at": "2040-01-31T23:59:59Z"}
    assert double.posts == [("credentials/db-password-2/rotate", sent)]
    assert await handle.input_value() == ""
    await page.get_by_role("button", name="Revoke").first.click()
    await page.locator("dialog [data-yes]").click()
    await expect(page.locator(".toast.bad")).to_contain_text("no credential now: web-1 and db-1")


async def test_a_key_is_made_its_token_shown_once_and_revoked(open_page: Open, double: ConsoleDouble) -> None:
    double.filled = False
    page = await open_page("keys")
    await expect(page.locator(".empty-state")).to_contain_text("Make one for each script")
    await page.locator(".empty-state").get_by_role("button", name="New key").click()
    await page.locator("dialog [name=name]").fill("nightly")
    double.filled = True
    await page.locator("dialog button[type=submit]").click()
    await expect(page.get_by_label("Token", exact=True)).to_have_value("it0_dGhpcyBpcyBhIHRva2Vu")
    assert double.posts == [("keys", {"name": "nightly", "role": "viewer", "expires_at": None})]
    await page.get_by_role("button", name="Done").click()
    assert "it0_dGhpcyBpcyBhIHRva2Vu" not in await page.content()
    await expect(page.locator("tbody tr").first).to_contain_text("revoked")
    await page.get_by_role("button", name="Revoke ci").click()
    await page.locator("dialog [data-yes]").click()
    await until(lambda: double.posts[-1] == ("DELETE keys/ci", {}))


async def test_usage_is_shown_by_day_with_what_is_used_of_the_plan(
    open_page: Open, double: ConsoleDouble
) -> None:
    page = await open_page("usage")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(4)
    for words in ("3 May 2030", "claude-haiku", "1,860,000", "54,600", "7.4070"):
        await expect(rows.first).to_contain_text(words)
    await expect(rows.last).to_contain_text("11.1105")
    share = await rows.nth(1).locator("progress").evaluate("(bar) => bar.value / bar.max")
    assert share == pytest.approx(1 / 3)
    await expect(page.locator(".meter.full")).to_contain_text("3 of 3 · at the limit")
    await expect(page.get_by_label("Servers: 4 of 5")).to_be_visible()
    double.filled = False
    await page.get_by_label("Which days").select_option("7")
    await expect(page.locator(".empty-state")).to_contain_text("/engine")


async def test_people_are_paired_by_a_code_and_a_bots_token_is_refused_at_its_field(
    open_page: Open, double: ConsoleDouble
) -> None:
    double.expected = ["422"]
    page = await open_page("people")
    await page.locator("tbody tr").nth(1).get_by_role("button", name="Pairing code").click()
    await expect(page.get_by_label("Pairing code", exact=True)).to_have_value("7F3K-92QD")
    await page.get_by_role("button", name="Done").click()
    await page.get_by_role("link", name="Channels").click()
    await page.get_by_role("button", name="Add Telegram bot").click()
    token = page.locator("dialog [name=token]")
    await token.fill("no token")
    await page.keyboard.press("Enter")
    await expect(page.locator(".field:has([name=token]) .form-error")).to_contain_text(
        "This is no bot's token"
    )
    await token.fill("4242:secret")
    await page.keyboard.press("Enter")
    await expect(page.locator("dialog")).to_have_count(0)
    assert double.posts[-1] == ("channels", {"channel": "telegram", "token": "4242:secret"})
    await expect(page.locator("tbody")).to_contain_text("telegram-4242")


async def test_a_grant_is_given_by_its_button_listed_with_its_end_and_revoked(
    open_page: Open, double: ConsoleDouble
) -> None:
    double.append("c1", "card", {"approval": double.make_approval("c1", read="It had read: db-1")}, "t1")
    double.append("c1", "card", {"approval": double.make_approval("c1", grant_minutes=0)}, "t1")
    page = await open_page("chat/c1")
    first, second = page.locator(".card").first, page.locator(".card").last
    await expect(first).to_contain_text("it lapses at ")
    await expect(first).to_contain_text("It had read: db-1")
    await expect(second.locator("[data-press=grant]")).to_have_count(0)
    await first.get_by_text("Approve + 15 min").click()
    await expect(first.locator(".outcome-approved")).to_be_attached()
    assert [button.split(":")[0] for button in double.clicked.values()] == ["grant"]
    await page.goto(f"{double.url}/#/approvals")
    await expect(page.locator(".grant")).to_contain_text("ends in")
    await expect(page.locator(".grant .command")).to_have_text("sudo systemctl restart nginx")
    await page.get_by_role("button", name="Revoke grant").click()
    await expect(page.locator(".grant")).to_have_count(0)
    assert double.grants == []


@pytest.mark.parametrize(("language", "names"), [("en", "so far: ann and bob"), ("zh", "批准人：ann、bob")])
async def test_a_card_names_who_approved_so_far(
    open_page: Open, double: ConsoleDouble, language: str, names: str
) -> None:
    double.me["user"]["language"] = language
    approval = double.make_approval("c1", needed=3, approvals=1, voters=["ann"])
    double.append("c1", "card", {"approval": dict(approval)}, "t1")
    page = await open_page("chat/c1")
    await expect(page.locator(".voters")).to_contain_text("ann")
    approval.update(approvals=2, voters=["ann", "bob"])
    await double.grow("c1", "settled", {"approval": dict(approval)})
    await expect(page.locator(".voters")).to_have_text(names)
    await page.goto(f"{double.url}/#/approvals")
    await expect(page.locator(".card .voters")).to_have_text(names)


async def test_one_page_too_many_says_so_and_comes_in_at_a_press(
    open_page: Open, double: ConsoleDouble
) -> None:
    double.crowded = True
    page = await open_page(viewport={"width": 390, "height": 800})
    await expect(page.locator(".toast.bad")).to_contain_text("20 pages open")
    line = page.locator(".connection-crowded")
    await expect(line).to_contain_text("Too many pages")
    await expect(page.locator(".languages button").last).to_be_in_viewport(ratio=1)
    double.crowded = False
    await line.click()
    await expect(page.locator(".connection-open")).to_be_attached()


async def test_sentences_are_never_markup(open_page: Open, double: ConsoleDouble) -> None:
    evil = f"on `web` **AP-9** {double.url}/x\n\n```\nfake\n```\n# big"
    parts = [{"text": evil, "plain": True}, {"text": f"**bold** {double.url}/secret/x"}]
    double.append("c1", "reply", {"parts": parts, "buttons": []}, "t1")
    page = await open_page("chat/c1")
    said = page.locator(".entry.reply .prose > p")
    await expect(said).to_have_count(2)
    assert await said.first.evaluate("(node) => node.textContent") == evil
    assert await said.first.locator("*").count() == 0
    await expect(said.nth(1).locator("strong")).to_have_text("bold")
    await expect(said.nth(1).locator("a")).to_have_count(1)
    await expect(page.locator(".entry.reply pre")).to_have_count(0)


async def test_change_of_a_file_is_shown_line_by_line(open_page: Open, double: ConsoleDouble) -> None:
    lines = ["write_file /srv/motd sha256 1 -> 2", "--- /srv/motd", "+++ /srv/motd", "@@ -1,2 +1,2 @@"]
    lines += [" Hello", "--- old", "+++ new\u202e", "+\ttab"]
    asked = double.make_approval("c1", kind="write", command="\n".join(lines))
    double.append("c1", "card", {"approval": asked}, "t1")
    page = await open_page("chat/c1")
    box = page.locator(".command-box")
    await expect(box).to_contain_text("The whole change")
    await expect(box.locator(".diff-old")).to_have_text("--- old")
    await expect(box.locator(".diff-new")).to_have_text(["+++ new\\u202e", "+\\ttab"])
    await expect(box.locator(".diff-line")).to_have_count(len(lines))
    await page.locator("[data-press=approve]").click()
    await expect(page.locator(".outcome-approved")).to_be_visible()
    await double.perform(str(asked["id"]), "done", 0)
    await expect(page.locator(".act-done")).to_contain_text("The change: done")
    await expect(page.locator("[data-press=undo]")).to_be_visible()


async def test_long_command_is_approved_only_after_its_end_was_in_view(
    open_page: Open, double: ConsoleDouble
) -> None:
    long = double.make_approval("c1", command="echo ok" + "\n" * 80 + "rm -rf /srv")
    wide = double.make_approval("c1", command="echo " + "x" * 20_000)
    brief = double.make_approval("c1", command="uptime")
    for approval in (long, wide, brief):
        double.append("c1", "card", {"approval": approval}, "t1")
    page = await open_page("chat/c1")
    card = page.locator(f'.card[data-approval="{brief["id"]}"]')
    await expect(card.locator("[data-press=approve]")).to_be_enabled()
    await expect(card.locator(".unread")).to_have_count(0)
    for approval in (long, wide):
        card = page.locator(f'.card[data-approval="{approval["id"]}"]')
        approve = card.locator("[data-press=approve]")
        await expect(card.locator(".unread")).to_contain_text("scroll it to its end")
        await expect(approve).to_be_disabled()
        await expect(card.locator("[data-press=reject]")).to_be_enabled()
        await card.locator(".command").evaluate("(node) => { node.scrollTop = node.scrollHeight / 2; }")
        await expect(approve).to_be_disabled()
        await card.locator(".command").focus()
        await page.keyboard.press("End")
        await expect(approve).to_be_enabled()
        await expect(card.locator(".unread")).to_have_count(0)
        await approve.click()
        await expect(card.locator(".outcome-approved")).to_be_visible()


async def test_card_tells_what_comes_of_it_the_models_words_and_gives_a_long_command_as_a_file(
    open_page: Open, double: ConsoleDouble
) -> None:
    command, sha = "echo " + "x" * 3000, "ab12" * 16
    beside = {"effects": ["It is slower for a while."], "rationale": "<b>Trust me</b>", "sha256": sha}
    approval = double.make_approval("c1", command=command, **beside)
    double.append("c1", "card", {"approval": approval}, "t1")
    page = await open_page("chat/c1")
    card = page.locator(f'.card[data-approval="{approval["id"]}"]')
    await expect(card.get_by_text("It is slower for a while.")).to_be_visible()
    await expect(card.locator("q.rationale")).to_have_text("<b>Trust me</b>")
    await expect(card.get_by_text("which it0 has not checked")).to_be_visible()
    await card.locator("summary").first.click()
    await expect(card.get_by_text(sha)).to_be_visible()
    async with page.expect_download() as waiting:
        await card.get_by_role("button", name="Download").click()
    kept = await waiting.value
    assert kept.suggested_filename == f"{approval['code']}.txt"
    assert Path(await kept.path()).read_text() == command


async def test_the_policys_entries_are_shown_and_removed(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page("policy")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(3)
    await expect(rows.first).to_contain_text("systemctl restart")
    await expect(rows.first).to_contain_text("production · 2 servers or more")
    await expect(rows.last).to_contain_text("L0–L2")
    await expect(rows.last).to_contain_text("acmectl deploy name (L2)")
    await rows.nth(1).get_by_role("button", name="Remove").click()
    await page.locator("dialog [data-yes]").click()
    await until(lambda: double.posts[-1:] == [("DELETE policy/this-report", {})])


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ["run", "trust"])
async def test_every_button_of_a_card_is_whole_on_a_phone(
    open_page: Open, double: ConsoleDouble, language: str, kind: str
) -> None:
    double.me["user"]["language"] = language
    minutes = 15 if kind == "run" else 0
    approval = double.make_approval("c1", kind=kind, grant_minutes=minutes)
    double.append("c1", "card", {"approval": approval}, "t1")
    page = await open_page("chat/c1", viewport={"width": 360, "height": 780})
    buttons = page.locator(".card .decide .btn")
    await expect(buttons).to_have_count(3 if minutes else 2)
    cut = "(nodes) => nodes.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
    assert await buttons.evaluate_all(cut) == []


async def test_a_card_tells_who_decides_and_its_end_by_the_readers_clock_until_it_is_decided(
    open_page: Open, double: ConsoleDouble
) -> None:
    ends = "2031-03-01T14:30:00+00:00"
    approval = double.make_approval("c1", deciders="2 admins other than bob", expires_at=ends)
    double.append("c1", "card", {"approval": dict(approval)}, "t1")
    page = await open_page("chat/c1", timezone_id="Asia/Shanghai")
    card = page.locator(".card")
    await expect(card).to_contain_text("2 admins other than bob")
    await expect(card).to_contain_text("22:30:00, and nothing runs")
    await double.settle(approval["id"], "expired", None)
    await expect(card.locator(".outcome-expired")).to_be_visible()
    await expect(card.get_by_text("Who decides")).to_be_hidden()
    await expect(card.get_by_text("If nobody decides")).to_be_hidden()


async def test_what_has_expired_is_asked_again_by_a_button_but_no_host_key_is(
    open_page: Open, double: ConsoleDouble
) -> None:
    double.titles["c1"] = "nginx"
    for kind in ("run", "trust"):
        approval = double.make_approval(
            "c1", kind=kind, status="expired", settled_at="2031-03-01T14:30:00+00:00"
        )
        double.append("c1", "card", {"approval": approval}, "t1")
    page = await open_page("chat/c1")
    await expect(page.locator(".card")).to_have_count(2)
    await page.get_by_role("button", name="Ask again").click()
    await until(lambda: "again:ap1" in double.clicked.values())


async def test_a_second_factor_that_is_missing_is_set_up_from_the_card(
    open_page: Open, double: ConsoleDouble
) -> None:
    approval = double.make_approval("c1")
    double.append("c1", "card", {"approval": approval}, "t1")
    page = await open_page("chat/c1")
    await expect(page.locator(".card")).to_be_visible()
    why = {"message": "You have none.", "why": "approval.step_up_enrol"}
    await double.send(
        {"type": "refused", "id": None, "code": "click", "button": f"approve:{approval['id']}", **why}
    )
    await expect(page.locator(".card-error")).to_have_text("You have none.")
    await expect(page.locator(".toast")).to_have_count(0)  # it would lie over the composer
    await expect(page.get_by_role("button", name="Set up a second factor")).to_be_visible()


async def test_whoever_was_late_reads_on_the_card_that_their_decision_changed_nothing(
    open_page: Open, double: ConsoleDouble
) -> None:
    approval = double.make_approval("c1")
    double.append("c1", "card", {"approval": dict(approval)}, "t1")
    page = await open_page("chat/c1")
    await expect(page.locator(".card")).to_be_visible()
    await double.settle(approval["id"], "rejected", "olga")
    late = {
        "message": "olga was first.",
        "why": "approval.was_rejected",
        "button": f"approve:{approval['id']}",
    }
    await double.send({"type": "refused", "id": None, "code": "click", **late})
    await expect(page.locator(".card .card-error")).to_have_text("olga was first.")
    await expect(page.locator(".card .outcome-rejected")).to_contain_text("olga")


@pytest.mark.parametrize(("width", "language"), [(768, "en"), (1024, "zh")])
async def test_a_tablet_shows_every_page_and_the_account_whole(
    open_page: Open, double: ConsoleDouble, width: int, language: str
) -> None:
    double.me["user"]["language"] = language
    page = await open_page("chat/new", viewport={"width": width, "height": 900})
    for view in VIEWS:
        await page.goto(f"{double.url}/#/{view}")
        await expect(page.locator(f"body[data-view={view}]")).to_be_attached()
        await expect(page.locator(".loading")).to_have_count(0)
        assert not await page.locator("#main").evaluate("(main) => main.scrollWidth > main.clientWidth"), view
    await expect(page.locator(".account summary")).to_be_in_viewport(ratio=1)


async def test_a_form_waits_for_the_list_of_what_it_offers(open_page: Open, double: ConsoleDouble) -> None:
    page, held = await open_page("chat/new"), asyncio.Event()

    async def hold(route: Route) -> None:
        await held.wait()
        await route.continue_()

    await page.route("**/api/v1/servers*", hold)
    await page.goto(f"{double.url}/#/servers")
    await page.get_by_role("button", name="Add server").click()
    held.set()
    await page.locator("dialog [name=jump]").select_option("db-1")
