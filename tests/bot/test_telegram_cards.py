"""Cards on Telegram: whole, with what helps to decide, and true in every place."""

import hashlib

from support.telegram_pairing import ANN, paired
from support.telegram_people import Message
from test_telegram import BOB, Desk, desk, now
from test_telegram_words import heard, said

__all__ = ["desk"]

CYD = 9


async def test_a_long_command_stands_whole_on_the_card_and_in_a_file_with_its_hash(desk: Desk) -> None:
    command = "touch " + " ".join(f"/tmp/it0-{n:04}" for n in range(900))
    before = len(desk.double.messages(ANN))
    desk.double.say(ANN, ANN, f"/run local {command}")
    await desk.double.until(lambda: any(m.buttons for m in desk.double.messages(ANN)[before:]))
    shown = desk.double.messages(ANN)[before:]
    files = [m.file for m in shown if m.file]
    assert [file.content for file in files] == [command.encode()]
    assert shown[-1].buttons
    assert not any(message.buttons for message in shown[:-1])
    words = "".join(message.visible for message in shown)
    assert all(f"/tmp/it0-{n:04}" in words for n in range(900))
    assert hashlib.sha256(command.encode()).hexdigest() in words
    desk.double.click(shown[-1], "Reject", ANN)
    await heard(desk, before + len(shown), "rejected by admin")
    assert not now(desk.double, shown[-1]).buttons


async def test_a_card_tells_what_comes_of_it_where_the_rule_knows(desk: Desk) -> None:
    card = await said(desk, "/run local apt-get install nginx", "waits for approval")
    assert "the package manager's history names it" in card.visible
    await said(desk, "reject", "was rejected")
    other = await said(desk, "/run local some-tool-of-ours --now", "waits for approval")
    assert "What comes of it" not in other.visible
    await said(desk, "reject", "was rejected")


async def test_who_has_approved_and_how_many_are_missing_stands_on_every_card(desk: Desk) -> None:
    for user, name in ((BOB, "bob"), (CYD, "cyd")):
        await desk.command("user", "add", name, "--role", "admin")
        desk.double.private(user, name)
        await paired(desk.house, desk.double, user, name)
    await desk.command("tenant", "set", "approvals_needed", "3")
    command, mark = desk.write()
    cards = await posted(desk, command)
    desk.double.click(cards[BOB], "Approve", BOB)
    for card in cards.values():
        await stands(desk, card, "Approved so far by bob; 2 more needed.")
    desk.double.click(cards[CYD], "Approve", CYD)
    for card in cards.values():
        await stands(desk, card, "1 more needed.")
    assert mark.read_text() == ""
    before = len(desk.double.messages(BOB))
    desk.double.click(cards[BOB], "Approve", BOB)
    await heard(desk, before, "You have voted on this already", BOB)
    desk.double.click(cards[ANN], "Approve", ANN)
    for card in cards.values():
        await stands(desk, card, "approved by admin")
    await desk.double.until(lambda: mark.read_text() == "x\n")


async def test_a_request_that_expires_says_so_on_every_card(desk: Desk) -> None:
    command, mark = desk.write()
    cards = await posted(desk, command)
    await over(desk)
    for card in cards.values():
        await stands(desk, card, "expired; nothing was run")
    await heard(desk, 0, "expired before it was approved")
    assert mark.read_text() == ""


async def test_what_expired_is_asked_again_by_a_tap_where_it_was_asked_for(desk: Desk) -> None:
    command, mark = desk.write()
    cards = await posted(desk, command)
    await over(desk)
    for user, card in cards.items():
        await stands(desk, card, "expired; nothing was run")
        shown = [words for row in now(desk.double, card).buttons for words, _ in row]
        assert shown == (["Ask again"] if user == ANN else [])
    before = len(desk.double.messages(ANN))
    desk.double.click(now(desk.double, cards[ANN]), "Ask again", ANN)
    fresh = await heard(desk, before, "waits for approval")
    assert command in fresh.visible
    assert mark.read_text() == ""


async def over(desk: Desk) -> None:
    """Let the time of what waits be over."""
    async with desk.house.database() as db:
        schema = await desk.house.schema()
        pending = f"SELECT id FROM {schema}.approval WHERE status = 'pending'"
        ids = [row["id"] for row in await db.fetch(pending)]
        await db.execute(f"UPDATE {schema}.approval SET expires_at = now() WHERE status = 'pending'")
        await db.execute("UPDATE it0_shared.timer SET due_at = now() WHERE ref = ANY($1)", ids)


async def posted(desk: Desk, command: str) -> dict[int, Message]:
    """Ask for a command as Ann; return everybody's card."""
    before = {user: len(desk.double.messages(user)) for user in (ANN, BOB, CYD)}
    desk.double.say(ANN, ANN, f"/run local {command}")
    return {user: await heard(desk, count, "waits for approval", user) for user, count in before.items()}


async def stands(desk: Desk, card: Message, words: str) -> None:
    """Wait until a card says something."""
    await desk.double.until(lambda: words in now(desk.double, card).visible)
