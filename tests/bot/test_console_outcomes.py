"""What became of things, on the console's page: cards, steps, and addresses that name nothing."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect
from support.console_double import DF, ConsoleDouble
from test_console_page import Open, double, open_page, pytestmark, say, until

__all__ = ["double", "open_page", "pytestmark"]

ENDS = [
    ("done", 0, "done", "step-done"),
    ("exit", 2, "exit 2", "step-exit"),
    ("stopped", None, "stopped", "step-stopped"),
    ("timeout", None, "timed out", "step-timeout"),
    ("unknown", None, "outcome unknown", "step-unknown"),
]


async def asked(page: Page, double: ConsoleDouble) -> str:
    """Have a command asked for in a conversation; return the approval's id."""
    await say(page, "restart nginx")
    await expect(page.locator(".step-waiting")).to_be_visible()
    return next(reversed(double.approvals))


@pytest.mark.parametrize(("state", "code", "word", "look"), ENDS)
async def test_a_step_that_waited_shows_its_act_to_its_end(
    open_page: Open, double: ConsoleDouble, state: str, code: int | None, word: str, look: str
) -> None:
    page = await open_page()
    approval = await asked(page, double)
    step = page.locator(".step")
    await step.locator("summary").click()
    await expect(step).to_contain_text("Waits for approval.")
    await double.settle(approval, "approved", "alice")
    await expect(step.locator(".step-word")).to_have_text("running")
    await expect(step.locator(".step-results")).to_be_hidden()
    await double.perform(approval, state, code)
    for _ in range(2):
        await expect(page.locator(f".{look} .step-word")).to_have_text(word)
        await expect(page.locator(".card .act")).to_contain_text(word)
        await expect(page.locator(".step-results")).not_to_contain_text("Waits")
        await page.reload()


async def test_what_was_not_run_after_all_says_why(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page()
    approval = await asked(page, double)
    await double.settle(approval, "approved", "alice")
    await double.perform(approval, "refused", why="The server has another user by now.")
    await expect(page.locator(".card .act")).to_contain_text("The server has another user by now.")
    await expect(page.locator(".step-refused")).to_be_attached()


async def test_live_output_stands_below_a_tall_card(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page()
    await asked(page, double)
    conversation, approval = next(iter(double.logs)), next(reversed(double.approvals))
    reasons = [f"Reason number {n}" for n in range(60)]
    card = double.make_approval(conversation, reasons=reasons, command="journalctl")
    for kind, body in (
        ("tool", {"no": 1, "tool": "run_command", "arguments": {}, "title": "journalctl"}),
        ("card", {"approval": card}),
        ("result", {"no": 1, "status": "waiting", "parts": [], "approval_id": card["id"]}),
    ):
        await double.grow(conversation, kind, body, "tall")
    await double.settle(card["id"], "approved", "alice")
    live = {"type": "live", "conversation": conversation, "turn": "act", "kind": "output"}
    for n in range(30):
        await double.send({**live, "data": {"step": 1, "server": "web-1", "text": f"line {n}\n"}})
    shown = page.locator(f".entry-card:has([data-approval={card['id']}]) > .live")
    await expect(shown).to_contain_text("line 29")
    await expect(shown).to_be_in_viewport()
    assert double.approvals[approval]["status"] == "pending"


async def test_long_output_says_where_it_was_cut(open_page: Open, double: ConsoleDouble) -> None:
    code = "…ing half a line\nwhole\n[… 12345 B …]\nend"
    double.append("c1", "reply", {"parts": [{"code": code, "title": "web-1"}], "buttons": []}, "t1")
    page = await open_page("chat/c1")
    marks = page.locator(".output .cut")
    await expect(marks).to_have_text([re.compile("beginning is left out"), re.compile("12,345 bytes")])


@pytest.mark.parametrize("how", ["elsewhere", "here"])
async def test_the_approvals_page_shows_the_outcome(open_page: Open, double: ConsoleDouble, how: str) -> None:
    approval = double.make_approval("c9")
    page = await open_page("approvals")
    card = page.locator(".cards .card")
    await expect(card.locator("[data-press=approve]")).to_be_enabled()
    if how == "elsewhere":
        await double.settle(approval["id"], "approved", "bob")
    else:
        await card.locator("[data-press=approve]").click()
    name = {"elsewhere": "bob", "here": "alice"}[how]
    await expect(card.locator(".outcome")).to_contain_text(f"Approved by {name}")
    await expect(card.locator("[data-press]")).to_have_count(0)
    await expect(page.locator("h2 .count").first).to_have_text("0")
    await expect(card.locator(".act")).to_contain_text("running")
    await double.perform(approval["id"], "exit", 3)
    await expect(card.locator(".act")).to_contain_text("exit 3")  # nobody tells this page: it asks


async def test_a_halt_is_said_on_the_card(open_page: Open, double: ConsoleDouble) -> None:
    double.make_approval("c9")
    double.me["halted_by"] = "bob"
    page = await open_page("approvals")
    card = page.locator(".cards .card")
    await expect(card).to_contain_text("bob halted it0")
    await expect(card.locator("[data-press=approve]")).to_be_disabled()
    await expect(card.locator("[data-press=reject]")).to_be_enabled()
    double.me["halted_by"] = None
    await double.send({"type": "changed", "what": "halt"})
    await expect(card.locator("[data-press=approve]")).to_be_enabled()


async def test_a_click_that_came_to_nothing_says_so_on_its_card(
    open_page: Open, double: ConsoleDouble
) -> None:
    approval = double.make_approval("c9")
    double.settle_clicks = False
    page = await open_page("approvals")
    await page.locator("[data-press=approve]").click()
    await expect(page.locator("[data-press=approve]")).to_have_text("Received…")
    words = {"id": None, "code": "click", "message": "Not now.", "button": f"approve:{approval['id']}"}
    await double.send({"type": "refused", **words})
    await expect(page.locator(".card .card-error")).to_have_text("Not now.")
    await expect(page.locator("[data-press=approve]")).to_be_enabled()


async def test_a_card_says_where_exactly_it_runs(open_page: Open, double: ConsoleDouble) -> None:
    six = {"name": "six", "host": "fd00::1", "user": "ops", "port": 22, "environment": "dev", "jump": None}
    far = {**six, "name": "far", "host": "10.0.0.9", "port": 2222, "jump": "bastion"}
    local = {**six, "name": "local", "host": "localhost", "port": None, "user": "it0"}
    double.make_approval("c9", servers=[six, far, local])
    page = await open_page("approvals")
    await expect(page.locator(".targets code")).to_have_text(
        ["ops@[fd00::1]:22", "ops@10.0.0.9:2222", "it0@localhost"]
    )
    await expect(page.locator(".targets li").nth(1)).to_contain_text("via bastion")


async def test_who_asked_may_withdraw(open_page: Open, double: ConsoleDouble) -> None:
    double.append("c1", "said", {"text": "restart"}, user="alice")
    words = {"may_decide": False, "why_not": "An admin decides this; they have been told."}
    mine = double.make_approval("c1", requester="alice", **words)
    double.append("c1", "card", {"approval": mine}, "t1")
    page = await open_page("chat/c1")
    await expect(page.locator(".why-not")).to_have_text(words["why_not"])
    await page.get_by_role("button", name="Withdraw").click()
    await until(lambda: double.stops == ["c1"])


async def test_addresses_that_name_nothing_say_so(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page("chat/nobody")
    await expect(page.locator(".log .empty-state")).to_contain_text("There is no such conversation.")
    await page.goto(f"{double.url}/#/nonsense")
    await expect(page.locator("main")).to_contain_text("There is nothing at this address.")
    await page.goto(f"{double.url}/#/chat/%E0%A4%A")
    await expect(page.locator(".log .empty-state")).to_be_visible()


async def test_a_dialog_closes_with_its_view(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page("people")
    await page.get_by_role("button", name="Add person").click()
    await expect(page.locator("dialog")).to_be_visible()
    await page.evaluate("location.hash = '#/servers'")
    await expect(page.locator("dialog")).to_have_count(0)
    await page.goto(f"{double.url}/#/chat/new")
    await say(page, "hello")
    await page.locator(".halt").click()
    await expect(page.locator(".entry.reply")).to_be_visible()
    await expect(page.locator("dialog")).to_be_visible()  # that it got its id is no other view


async def test_a_step_done_again_replaces_the_first(open_page: Open, double: ConsoleDouble) -> None:
    body = {"no": 1, "tool": "run_command", "arguments": {"command": "df -h"}, "title": "df -h"}
    double.append("c1", "said", {"text": "disk"}, user="alice")
    double.append("c1", "tool", body, "t1")
    double.append("c1", "tool", body, "t1")
    result: dict[str, Any] = {"no": 1, "status": "done", "parts": [{"code": DF, "title": "db-1"}]}
    double.append("c1", "result", {**result, "outcome": {"state": "exit", "exit_code": 1}}, "t1")
    double.append("c1", "reply", {"parts": [{"text": "So."}], "buttons": []}, "t1")
    page = await open_page("chat/c1")
    await expect(page.locator(".entry.reply")).to_be_visible()
    await expect(page.locator(".step")).to_have_count(1)
    await expect(page.locator(".step-exit .step-word")).to_have_text("exit 1")


async def test_the_audit_log_is_in_words(open_page: Open, double: ConsoleDouble) -> None:
    page = await open_page("audit")
    first = page.locator("tbody tr").first
    await expect(first).to_contain_text("Command begins")
    await expect(first).to_contain_text("systemctl restart nginx")
    await page.locator("[data-language=zh]").click()
    await expect(page.locator("tbody tr").first).to_contain_text("命令开始")


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_phone_begins_with_the_greeting(
    open_page: Open, double: ConsoleDouble, language: str
) -> None:
    double.me["user"]["language"] = language
    page = await open_page("chat", viewport={"width": 390, "height": 844})
    await expect(page.locator(".welcome h2")).to_be_visible()
    await expect(page.locator(".examples .btn")).to_have_count(3)
    await say(page, "hello")
    await expect(page.locator(".entry.reply")).to_be_visible()


async def test_cards_of_a_narrow_table_have_no_empty_labels(open_page: Open, double: ConsoleDouble) -> None:
    double.me["user"]["role"] = "viewer"
    page = await open_page("servers", viewport={"width": 390, "height": 844})
    await expect(page.locator("tbody tr").first).to_be_visible()
    empty = "[...document.querySelectorAll('td')].filter((td) => td.offsetHeight && !td.textContent.trim())"
    assert await page.evaluate(f"{empty}.map((td) => td.dataset.label)") == []
