"""Decisions in words and second factors on Telegram, in front of a real it0."""

import re

import pyotp
import pytest
from support.house import signed_in
from support.telegram_people import Message
from test_telegram import ANN, Desk, desk, now

__all__ = ["desk"]

OWN = re.compile(r"In words: approve ([A-Z][1-9]-[1-9][0-9]{2})")
LOW = "systemctl reset-failed it0-none"
"""Of level 1."""


def own_code(card: Message) -> str:
    """Return the reader's own code, which stands on the card."""
    found = OWN.search(card.visible)
    assert found, card.visible
    return found[1]


async def enrolled(desk: Desk, name: str) -> str:
    """Let a person have a second factor of which no code was used; return its secret."""
    client = await signed_in(desk.house, name)
    status, made = await client.post("/api/v1/me/totp")
    assert status == 201, made
    code = {"code": pyotp.TOTP(made["secret"]).now()}
    assert (await client.post("/api/v1/me/totp/confirm", code))[0] == 204
    async with desk.house.database() as db:
        schema = await desk.house.schema()
        await db.execute(f'UPDATE "{schema}".totp SET last_step = 0, proven_until = NULL')
    await client.close()
    return str(made["secret"])


def gone(desk: Desk, chat: int, text: str) -> bool:
    """Return whether what a person wrote was deleted."""
    found = [m for m in desk.double.chats[chat].messages.values() if not m.token and m.text == text]
    assert found
    return all(message.deleted for message in found)


async def said(desk: Desk, text: str, answer: str, chat: int = ANN) -> Message:
    """Say something, and wait for a message with ``answer`` in it; others may come between."""
    before = len(desk.double.messages(chat))
    desk.double.say(chat, ANN, text)
    return await heard(desk, before, answer, chat)


async def heard(desk: Desk, before: int, answer: str, chat: int = ANN) -> Message:
    """Wait for a message with ``answer`` in it after so many."""
    found = await desk.double.until(
        lambda: [m for m in desk.double.messages(chat)[before:] if answer in m.visible]
    )
    return found[0]


@pytest.mark.parametrize("verb", ["approve", "批准"])
async def test_the_card_in_private_shows_a_code_by_which_words_approve(desk: Desk, verb: str) -> None:
    card = await said(desk, f"/run local {LOW}", "waits for approval")
    before = len(desk.double.messages(ANN))
    await said(desk, f"{verb} {own_code(card)}", "is approved")
    await heard(desk, before, "did not end well")  # nothing is there whose mark could be cleared
    await desk.double.until(lambda: not now(desk.double, card).buttons)
    assert "In words" not in now(desk.double, card).visible


async def test_a_yes_a_forward_and_an_edit_approve_nothing(desk: Desk) -> None:
    card = await said(desk, f"/run local {LOW}", "waits for approval")
    words = f"approve {own_code(card)}"
    await said(desk, "ok", "a yes alone approves nothing")
    before = len(desk.double.messages(ANN))
    desk.double.forward(ANN, ANN, words)
    await desk.next(before)
    before = len(desk.double.messages(ANN))
    desk.double.edit(desk.double.say(ANN, ANN, "/tasks"), words)
    await heard(desk, before, "edit")
    assert now(desk.double, card).buttons
    await said(desk, "拒绝", "was rejected")


async def test_a_code_is_asked_for_in_private_deleted_there_and_completes_the_tap(desk: Desk) -> None:
    await desk.command("tenant", "set", "step_up", "on")
    secret, group = await enrolled(desk, "admin"), -400
    desk.double.group(group, "ops", [ANN])
    command, mark = desk.write()
    card = await desk.ask(f"@it0_bot /run local {command}", group)
    assert "In words" not in card.visible
    before = len(desk.double.messages(ANN))
    desk.double.click(card, "Approve", ANN)
    assert command in (await heard(desk, before, "six digits")).visible
    code = pyotp.TOTP(secret).now()
    await said(desk, f"/totp@it0_bot {code}", "Others read along", group)
    assert mark.read_text() == ""
    await said(desk, code, "The code is right")
    assert gone(desk, ANN, code)
    await desk.double.until(lambda: mark.read_text() == "x\n")
    await desk.double.until(lambda: "approved by admin" in now(desk.double, card).visible)
    assert code not in desk.house.log.read_text() + await desk.command("audit", "export")
    await desk.command("tenant", "set", "step_up", "off")
    await desk.command("user", "forget-totp", "admin")


@pytest.mark.parametrize(
    ("language", "button", "words", "over"),
    [
        ("en", "Approve + 15 min", "has ended: admin has stopped everything.", "Work goes on"),
        pytest.param(
            "zh", "批准并授权 15 分钟", "已结束：admin 已全部停止。", "已恢复工作", marks=pytest.mark.long
        ),
    ],
)
async def test_the_chat_of_a_grant_says_once_that_it_ended_and_why(
    desk: Desk, language: str, button: str, words: str, over: str
) -> None:
    await said(desk, f"/language {language}", {"en": "English", "zh": "中文"}[language])
    command, mark = desk.write()
    card = await said(desk, f"/run local {command}", "· L2")
    before = len(desk.double.messages(ANN))
    desk.double.click(card, button, ANN)
    await desk.double.until(lambda: mark.read_text() == "x\n")
    desk.double.say(ANN, ANN, "/halt")
    await heard(desk, before, words)
    await said(desk, "/resume", over)
    assert (await said(desk, f"/run local {command}", "· L2")).buttons
    assert sum(words in message.visible for message in desk.double.messages(ANN)[before:]) == 1
    await said(desk, "/language en", "English")


@pytest.mark.parametrize(
    ("language", "button", "asks", "given"),
    [
        (
            "en",
            "Approve + 15 min",
            "let it run again unasked for 15 minutes",
            "may run exactly this on its servers",
        ),
        pytest.param(
            "zh",
            "批准并授权 15 分钟",
            "在 15 分钟内再次执行而无需审批",
            "给予临时授权",
            marks=pytest.mark.long,
        ),
    ],
)
async def test_the_code_gives_the_minutes_that_were_tapped(
    desk: Desk, language: str, button: str, asks: str, given: str
) -> None:
    await desk.command("tenant", "set", "step_up", "on")
    await said(desk, f"/language {language}", {"en": "English", "zh": "中文"}[language])
    secret = await enrolled(desk, "admin")
    command, mark = desk.write()
    card = await said(desk, f"/run local {command}", "· L2")
    before = len(desk.double.messages(ANN))
    desk.double.click(card, button, ANN)
    assert command in (await heard(desk, before, asks)).visible
    await said(desk, pyotp.TOTP(secret).now(), given)
    await desk.double.until(lambda: mark.read_text() == "x\n")
    desk.double.say(ANN, ANN, f"/run local {command}")
    await desk.double.until(lambda: mark.read_text() == "x\nx\n")
    await desk.command("tenant", "set", "step_up", "off")
    await desk.command("user", "forget-totp", "admin")
    await said(desk, "/language en", "English")
