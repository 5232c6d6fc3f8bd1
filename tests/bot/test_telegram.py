"""Telegram in front of a real it0: a process of its own, and Telegram's API as a double at its edge."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from support.house import Client, House
from support.telegram_double import TelegramDouble, serving
from support.telegram_pairing import ANN, CODE, TOKEN, paired
from support.telegram_people import Message

from channels.telegram.adapter import SECRET_HEADER, webhook_secret

BOB, GROUP, FORUM = 8, -100, -1001234567890


@dataclass
class Desk:
    """A running it0 with its bot, and Ann, its admin, in a private chat."""

    house: House
    double: TelegramDouble
    marks: Path

    def write(self, seconds: float = 0) -> tuple[str, Path]:
        """Return a command of level 2 that leaves a line in a file of its own, and the file."""
        mark = self.marks / str(len(list(self.marks.iterdir())))
        mark.touch()
        return f"sh -c 'sleep {seconds}; echo x >> {mark}'", mark

    async def ask(self, text: str, chat: int = ANN, user: int = ANN, topic: int | None = None) -> Message:
        """Say something and return what it0 says next in that place."""
        before = len(self.double.messages(chat, topic))
        self.double.say(chat, user, text, topic_id=topic)
        return await self.next(before, chat, topic)

    async def next(self, before: int, chat: int = ANN, topic: int | None = None) -> Message:
        """Return the message that comes after so many."""
        said = await self.double.until(lambda: self.double.messages(chat, topic)[before:])
        return said[0]

    async def forgotten(self) -> None:
        """Wait until no message is known to stand that shows a turn."""
        async with asyncio.timeout(5), self.house.database() as db:
            while await db.fetchval("SELECT count(*) FROM it0_shared.passing"):
                await asyncio.sleep(0.05)

    async def command(self, *words: str) -> str:
        """Run ``it0 …`` beside it."""
        return (await asyncio.to_thread(self.house.command, *words)).stdout


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """Yield a running it0 with a bot."""
    folder = tmp_path_factory.mktemp("telegram")
    (folder / "marks").mkdir()
    async with serving(TelegramDouble(token=TOKEN, username="it0_bot")) as double:
        house = House(folder / "home", TELEGRAM_BOT_TOKEN=TOKEN, TELEGRAM_API_URL=double.url)
        await asyncio.to_thread(house.start)
        try:
            double.private(ANN, "Ann Lee")
            await paired(house, double, ANN, "admin")
            yield Desk(house, double, folder / "marks")
        finally:
            house.close()


async def test_a_read_is_answered_with_its_output_as_data(desk: Desk) -> None:
    reply = await desk.ask("/run local echo '<b>not bold</b> *nor this*'")
    assert "<b>not bold</b> *nor this*" in reply.visible
    assert "<pre>" in reply.text


async def test_a_change_is_a_card_with_buttons_and_runs_once_after_the_tap(desk: Desk) -> None:
    command, mark = desk.write()
    card = await desk.ask(f"/run local {command}")
    assert command in card.visible
    assert "waits for approval" in card.visible
    labels = [[label for label, _ in row] for row in card.buttons]
    assert labels == [["Approve", "Approve + 15 min"], ["Reject"]]
    before = len(desk.double.messages(ANN))
    for _ in range(3):
        desk.double.click(card, "Approve", ANN)
    await desk.double.until(lambda: len(desk.double.messages(ANN)) == before + 3)
    said = [m.visible for m in desk.double.messages(ANN)[before:]]
    assert sum("carried out" in text for text in said) == 1
    assert sum("your decision changed nothing" in text for text in said) == 2
    await desk.double.until(lambda: not now(desk.double, card).buttons)
    assert "approved by admin" in now(desk.double, card).visible
    assert mark.read_text() == "x\n"


def now(double: TelegramDouble, message: Message) -> Message:
    """Return a message as it stands now."""
    return next(m for m in double.messages(message.chat_id) if m.message_id == message.message_id)


async def test_a_button_passes_by_a_running_turn(desk: Desk) -> None:
    command, mark = desk.write()
    card = await desk.ask(f"/run local {command}")
    desk.double.say(ANN, ANN, "/run local sleep 4")
    await asyncio.sleep(0.5)
    desk.double.click(card, "Approve", ANN)
    async with asyncio.timeout(3):
        while mark.read_text() != "x\n":
            await asyncio.sleep(0.05)
    await desk.double.until(lambda: "sleep 4" in desk.double.messages(ANN)[-1].visible)


async def test_an_update_that_comes_again_is_answered_once(desk: Desk) -> None:
    before = len(desk.double.messages(ANN))
    update = desk.double.say(ANN, ANN, "/run local echo once-only")
    await desk.next(before)
    for _ in range(3):
        desk.double.repeat(update)
    await desk.ask("/run local echo after")
    said = [m.visible for m in desk.double.messages(ANN)[before:]]
    assert sum("once-only" in text for text in said) == 1


async def test_long_output_is_split_or_sent_as_a_file_and_nothing_is_lost(desk: Desk) -> None:
    before = len(desk.double.messages(ANN))
    await desk.ask("/run local seq 1 2500")
    said = await desk.double.until(lambda: whole(desk.double.messages(ANN)[before:], 2500))
    assert all(len(m.visible) <= 4096 for m in said)
    before = len(desk.double.messages(ANN))
    await desk.ask("/run local seq 100000 109000")
    file = await desk.double.until(lambda: [m for m in desk.double.messages(ANN)[before:] if m.file])
    assert file[0].file is not None
    assert "109000" in file[0].file.content.decode()


def whole(messages: list[Message], last: int) -> list[Message]:
    """Return ``messages`` if they hold every number up to ``last``, in order."""
    numbers = [int(n) for m in messages for n in re.findall(r"^\d+$", m.visible, re.MULTILINE)]
    return messages if numbers == list(range(1, last + 1)) else []


async def test_flood_control_is_waited_out_and_the_message_comes_once(desk: Desk) -> None:
    desk.double.flood(2, ANN)
    reply = await desk.ask("/run local echo patience")
    assert "patience" in reply.visible
    assert desk.double.violations == []


@pytest.mark.parametrize("fault", ["fail", "cut"])
async def test_a_fault_of_telegram_delays_a_reply_and_does_not_lose_it(desk: Desk, fault: str) -> None:
    more = (502, "Bad Gateway") if fault == "fail" else ()
    getattr(desk.double, fault)("sendMessage", *more)
    before = len(desk.double.messages(ANN))
    desk.double.say(ANN, ANN, f"/run local echo late-{fault}")
    reply = await desk.next(before)
    assert f"late-{fault}" in reply.visible


async def test_a_group_that_became_a_supergroup_goes_on_there_with_all_that_holds_for_it(desk: Desk) -> None:
    old, new = -600, -1001234567893
    desk.double.group(old, "small", [ANN])
    desk.double.group(new, "grown", [ANN])
    assert "is quiet" in (await desk.ask("/quiet@it0_bot on", old)).visible
    grown = "Bad Request: group chat was upgraded to a supergroup chat"
    desk.double.fail("sendMessage", 400, grown, parameters={"migrate_to_chat_id": new})
    desk.double.say(old, ANN, "/run@it0_bot local echo moved")
    assert "moved" in (await desk.next(0, new)).visible
    assert "is quiet" in (await desk.ask("/quiet@it0_bot", new)).visible
    async with desk.house.database() as db:
        places = await db.fetch(
            f"SELECT thread FROM {await desk.house.schema()}.conversation WHERE thread LIKE ANY($1)",
            [f"{old}:%", f"{new}:%"],
        )
    assert [row["thread"] for row in places] == [f"{new}:0"]


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "Forbidden: bot was kicked from the group chat"), (400, "Bad Request: TOPIC_CLOSED")],
)
async def test_what_a_chat_will_never_take_is_set_aside_and_holds_up_nothing(
    desk: Desk, status: int, words: str
) -> None:
    group = -700 - status
    desk.double.group(group, "closed", [ANN])
    aside = await set_aside(desk)
    desk.double.fail("sendMessage", status, words)
    desk.double.say(group, ANN, "/run@it0_bot local echo untold")
    async with asyncio.timeout(10):
        while await set_aside(desk) == aside:
            await asyncio.sleep(0.05)
    assert "told again" in (await desk.ask("/run@it0_bot local echo told again", group)).visible
    assert "set aside" in (await desk.ask("/doctor")).visible


async def set_aside(desk: Desk) -> int:
    """Return how many parcels wait for somebody to look at them."""
    async with desk.house.database() as db:
        return int(await db.fetchval("SELECT count(*) FROM it0_shared.outbox WHERE state = 'set_aside'"))


async def test_a_poll_that_breaks_off_or_meets_another_one_is_asked_again(desk: Desk) -> None:
    other = "Conflict: terminated by other getUpdates request"
    before = calls(desk, "getupdates")
    desk.double.cut("getUpdates", times=2)
    desk.double.fail("getUpdates", 409, other)
    desk.double.say(ANN, ANN, "/run local echo waker")  # the poll that waits now ends with it
    await desk.double.until(lambda: calls(desk, "getupdates") > before + 4, timeout_s=30)
    assert "heard again" in (await desk.ask("/run local echo heard again")).visible
    async with aiohttp.ClientSession() as session, session.get(desk.house.url + "/readyz") as response:
        assert (await response.json())["channels"]["telegram-default"] == "ok"


async def test_what_is_said_in_a_chat_is_answered_in_its_order(desk: Desk) -> None:
    before = len(desk.double.messages(ANN))
    for number in range(4):
        desk.double.say(ANN, ANN, f"/run local echo number-{number}")
    said = await desk.double.until(lambda: (m := desk.double.messages(ANN)[before:])[3:] and m)
    assert [re.findall(r"number-\d", m.visible)[-1] for m in said] == [f"number-{n}" for n in range(4)]


async def test_form_that_telegram_cannot_read_is_sent_as_plain_text(desk: Desk) -> None:
    desk.double.fail("sendMessage", 400, "Bad Request: can't parse entities: unexpected end tag")
    reply = await desk.ask("/run local echo plain")
    assert "plain" in reply.visible
    assert "<pre>" not in reply.text


async def test_a_stranger_knocks_and_an_admins_tap_lets_them_in(desk: Desk) -> None:
    desk.double.private(BOB, "Bob Stone", "zh")
    before = len(desk.double.messages(ANN))
    desk.double.say(BOB, BOB, "/run local id")
    knock = await desk.next(before)
    assert "Bob Stone (8)" in knock.visible
    desk.double.say(BOB, BOB, "hello?")  # told once, asked once
    desk.double.click(knock, "Operator", ANN)
    admitted = await desk.next(before + 1)
    assert "Bob Stone is let in as" in admitted.visible
    await desk.double.until(lambda: len(desk.double.messages(BOB)) == 2)
    assert "配对成功" in desk.double.messages(BOB)[-1].visible
    reply = await desk.ask("/run local echo bob", BOB, BOB)
    assert "bob" in reply.visible
    assert [row for row in await audit(desk) if row.startswith("user.admit admin")]


async def audit(desk: Desk) -> list[str]:
    """Return the audit's rows as "action actor"."""
    async with desk.house.database() as db:
        schema = await desk.house.schema()
        rows = await db.fetch(
            f"SELECT a.action, u.name FROM {schema}.audit a LEFT JOIN {schema}.user u ON u.id = a.actor_id"
        )
    return [f"{row['action']} {row['name']}" for row in rows]


async def test_a_wrong_pairing_code_is_said_so(desk: Desk) -> None:
    desk.double.private(10, "Max")
    reply = await desk.ask("/start AAAAA-BBBBB", 10, 10)
    assert "does not hold" in reply.visible


async def test_in_a_group_it_hears_who_means_it_and_each_topic_is_a_conversation(desk: Desk) -> None:
    desk.double.group(GROUP, "ops", [ANN])
    desk.double.say(GROUP, ANN, "/run@other_bot local id")
    desk.double.say(GROUP, ANN, "nice weather")
    reply = await desk.ask("@it0_bot /run local echo meant", GROUP)
    assert "meant" in reply.visible
    assert len(desk.double.messages(GROUP)) == 1
    desk.double.group(FORUM, "forum", [ANN], forum=True)
    one, two = desk.double.topic(FORUM, "one"), desk.double.topic(FORUM, "two")
    for topic, word in ((one, "first"), (two, "second")):
        reply = await desk.ask(f"/run@it0_bot local echo {word}", FORUM, ANN, topic)
        assert word in reply.visible
        assert len(desk.double.messages(FORUM, topic)) == 1


async def test_a_topic_is_followed_once_it_was_addressed_there_and_other_topics_are_not(desk: Desk) -> None:
    forum = -1001234567891
    desk.double.group(forum, "second forum", [ANN, 12], forum=True)
    ours, theirs = desk.double.topic(forum, "ours"), desk.double.topic(forum, "theirs")
    await desk.ask("/run@it0_bot local echo begun", forum, ANN, ours)
    desk.double.say(forum, ANN, "/run local echo unheard", topic_id=theirs)
    desk.double.say(forum, 12, "check disk on local", topic_id=ours)
    desk.double.say(forum, ANN, "@bob_1 your turn", topic_id=ours)
    reply = await desk.ask("/run local echo followed", forum, ANN, ours)
    assert "followed" in reply.visible
    assert len(desk.double.messages(forum, ours)) == 2
    assert not desk.double.messages(forum, theirs)


async def test_a_turn_that_runs_is_shown_in_a_group_by_one_message_that_goes_when_it_ends(desk: Desk) -> None:
    group = -500
    desk.double.group(group, "progress", [ANN])
    shown = await desk.ask("/run@it0_bot local top -b -d 2 -n 4 -p 1", group)
    answer = await desk.next(1, group)
    await desk.double.until(lambda: now(desk.double, shown).deleted)
    assert "load average" in answer.visible
    assert not now(desk.double, answer).deleted
    await desk.forgotten()


async def test_a_quiet_topic_is_not_followed_and_shows_no_progress(desk: Desk) -> None:
    forum = -1001234567892
    desk.double.group(forum, "quiet forum", [ANN], forum=True)
    topic = desk.double.topic(forum, "ours")
    reply = await desk.ask("/quiet@it0_bot on", forum, ANN, topic)
    assert "is quiet" in reply.visible
    desk.double.say(forum, ANN, "/run local echo unheard", topic_id=topic)
    reply = await desk.ask("/run@it0_bot local top -b -d 2 -n 4 -p 1", forum, ANN, topic)
    assert "load average" in reply.visible
    reply = await desk.ask("/quiet@it0_bot off", forum, ANN, topic)
    assert len(desk.double.messages(forum, topic)) == 3


async def test_in_a_group_an_answer_to_a_message_goes_on_with_its_conversation(desk: Desk) -> None:
    group = -400
    desk.double.group(group, "chains", [ANN])
    first = await desk.ask("/run@it0_bot local echo chain-one", group)
    await desk.ask("/new@it0_bot", group)
    before = len(desk.double.messages(group))
    desk.double.say(group, ANN, "/run local echo chain-two", reply_to=first.message_id)
    assert "chain-two" in (await desk.next(before, group)).visible
    async with desk.house.database() as db:
        rows = await db.fetch(
            f"SELECT conversation_id FROM {await desk.house.schema()}.event WHERE kind = 'said'"
            " AND (body->>'text' LIKE '%echo chain-one' OR body->>'text' LIKE '%echo chain-two')"
        )
    assert len(rows) == 2
    assert len({row["conversation_id"] for row in rows}) == 1


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdef",
        "password=hunter2-hunter2",
    ],
)
async def test_a_pasted_secret_is_deleted_in_the_chat_and_its_owner_told(desk: Desk, secret: str) -> None:
    before = len(desk.double.messages(ANN))
    update = desk.double.say(ANN, ANN, secret)
    reply = await desk.next(before)
    pasted = desk.double.updates[update][0]["message"]["message_id"]
    assert desk.double.chats[ANN].messages[pasted].deleted
    assert "seems to hold a secret" in reply.visible
    assert "delete it yourself" not in reply.visible
    assert secret not in desk.house.log.read_text() + await desk.command("audit", "export")


async def test_where_it_may_not_delete_a_pasted_secret_it_says_so(desk: Desk) -> None:
    desk.double.group(-300, "secrets", [ANN])
    reply = await desk.ask("@it0_bot password=hunter2-hunter2", -300)
    assert "seems to hold a secret" in reply.visible
    assert "delete it yourself" in reply.visible


async def test_a_stranger_in_a_group_leaves_no_content_and_runs_nothing(desk: Desk) -> None:
    desk.double.group(-200, "open", [ANN, 11])
    desk.double.person(11, "Mallory")
    desk.double.say(-200, 11, "@it0_bot /run local echo secret-of-mallory")
    await desk.ask("@it0_bot /run local echo ann", -200)
    async with desk.house.database() as db:
        schema = await desk.house.schema()
        held = await db.fetchval(f"SELECT count(*) FROM {schema}.event WHERE body::text LIKE '%mallory%'")
    assert held == 0


async def test_a_photo_is_said_not_to_be_read(desk: Desk) -> None:
    before = len(desk.double.messages(ANN))
    desk.double.send_photo(ANN, ANN)
    assert "(photo), so nothing was done" in (await desk.next(before)).visible
    desk.double.send_photo(ANN, ANN, caption="check disk on local")
    said = await desk.double.until(lambda: (m := desk.double.messages(ANN)[before + 1 :])[1:] and m)
    assert any("beside it was taken" in m.visible for m in said)
    assert any("Filesystem" in m.visible for m in said)


async def stored(desk: Desk, mark: str) -> list[str]:
    """Return the texts of the messages in which ``mark`` stands."""
    async with desk.house.database() as db:
        rows = await db.fetch(
            f"SELECT body->>'text' AS text FROM {await desk.house.schema()}.event"
            " WHERE kind = 'said' AND body::text LIKE $1 ORDER BY at, seq",
            f"%{mark}%",
        )
    return [row["text"] for row in rows]


async def test_a_text_file_becomes_part_of_its_message_framed_as_data(desk: Desk) -> None:
    before = len(desk.double.messages(ANN))
    desk.double.send_file(ANN, ANN, "app.conf", b"workers = 4 # mark-a\n", caption="what is this")
    await desk.next(before)
    [text] = await stored(desk, "mark-a")
    assert re.fullmatch(
        r"what is this\n\n<data-([0-9a-f]{12})>\napp.conf\nworkers = 4 # mark-a\n\n</data-\1>", text
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"x" * 49_153, "larger than 49152 bytes"),
        (b"\xff\xd8\xff", "no text in UTF-8"),
        (b"a\x00b", "no text in UTF-8"),
    ],
)
async def test_a_file_that_is_not_read_is_said_so_with_the_reason(
    desk: Desk, content: bytes, why: str
) -> None:
    before = len(desk.double.messages(ANN))
    desk.double.send_file(ANN, ANN, "dump.bin", content)
    reply = await desk.next(before)
    assert "dump.bin" in reply.visible
    assert why in reply.visible


async def test_a_file_that_telegram_does_not_hand_over_is_said_so_and_no_token_is_shown(desk: Desk) -> None:
    desk.double.fail("getFile", 400, "Bad Request: wrong file_id")
    before = len(desk.double.messages(ANN))
    desk.double.send_file(ANN, ANN, "lost.txt", b"mark-b")
    assert "did not hand lost.txt over" in (await desk.next(before)).visible
    before = len(desk.double.messages(ANN))
    desk.double.send_file(ANN, ANN, "a/../b.txt", b"mark-b")  # at whose address there is nothing
    reply = await desk.next(before)
    assert "did not hand" in reply.visible
    assert TOKEN not in desk.house.log.read_text() + reply.visible


async def test_while_a_file_does_not_come_other_chats_are_heard_and_its_own_keeps_its_order(
    desk: Desk,
) -> None:
    desk.double.private(14, "Cleo")
    await paired(desk.house, desk.double, 14, "admin")
    desk.double.hang("getFile")
    before = len(desk.double.messages(ANN))
    desk.double.send_file(ANN, ANN, "slow.txt", b"mark-e", caption="mark-e first")
    desk.double.say(ANN, ANN, "mark-e second")
    assert "elsewhere" in (await desk.ask("/run local echo elsewhere", 14, 14)).visible
    assert len(desk.double.messages(ANN)) == before
    await desk.double.until(lambda: len(desk.double.messages(ANN)[before:]) == 3, timeout_s=30)
    assert "did not hand slow.txt over" in "".join(m.visible for m in desk.double.messages(ANN)[before:])
    assert await stored(desk, "mark-e") == ["mark-e first", "mark-e second"]


async def test_a_kill_while_a_file_is_fetched_loses_neither_message_nor_file(desk: Desk) -> None:
    desk.double.hang("getFile")
    before, asked = len(desk.double.messages(ANN)), calls(desk, "getfile")
    desk.double.send_file(ANN, ANN, "kept.txt", b"mark-f", caption="look")
    await desk.double.until(lambda: calls(desk, "getfile") > asked)
    desk.house.kill()
    await asyncio.to_thread(desk.house.start)
    await desk.next(before)
    [text] = await stored(desk, "mark-f")
    assert "kept.txt" in text


def calls(desk: Desk, method: str) -> int:
    """Return how often a method of the API was called."""
    return sum(call.method.lower() == method for call in desk.double.calls)


async def test_a_command_takes_no_file_and_a_secret_in_a_file_is_kept_nowhere(desk: Desk) -> None:
    before = len(desk.double.messages(ANN))
    desk.double.send_file(ANN, ANN, "in.txt", b"mark-d", caption="/run local echo alone")
    said = await desk.double.until(lambda: (m := desk.double.messages(ANN)[before:])[1:] and m)
    assert any("alone" in m.visible for m in said)
    assert any("without a command" in m.visible for m in said)
    before = len(desk.double.messages(ANN))
    desk.double.send_file(ANN, ANN, "id_rsa", b"-----BEGIN RSA PRIVATE KEY-----\nmark-d\n", caption="use it")
    assert "a private key" in (await desk.next(before)).visible
    assert await stored(desk, "mark-d") == []


async def test_an_admin_elsewhere_gets_the_card_and_every_card_shows_the_outcome(desk: Desk) -> None:
    command, mark = desk.write()
    before = len(desk.double.messages(ANN))
    desk.double.say(BOB, BOB, f"/run local {command}")
    card = await desk.next(before)
    assert command in card.visible
    theirs = await desk.double.until(lambda: [m for m in desk.double.messages(BOB) if command in m.visible])
    desk.double.click(card, "Approve", ANN)
    await desk.double.until(lambda: "approved by admin" in now(desk.double, card).visible)
    await desk.double.until(lambda: "admin" in now(desk.double, theirs[0]).visible)
    await desk.double.until(lambda: mark.read_text() == "x\n")


async def test_a_turn_that_runs_is_shown_as_a_draft_in_a_private_chat(desk: Desk) -> None:
    desk.double.drafts.clear()
    before = len(desk.double.messages(ANN))
    command = "for i in 1 2 3 4 5 6; do echo tick-$i; sleep 0.5; done"
    desk.double.say(ANN, ANN, f"/run local {command}")
    card = await desk.next(before)
    desk.double.click(card, "Approve", ANN)
    await desk.double.until(lambda: any("tick" in text for text in desk.double.drafts.values()))
    reply = await desk.next(before + 1)
    assert "tick-6" in reply.visible


async def test_the_menu_has_the_commands_in_both_languages(desk: Desk) -> None:
    languages = {language for (_, language), _ in desk.double.commands.items()}
    assert languages == {"", "zh"}


async def test_readiness_and_doctor_tell_of_the_bot(desk: Desk) -> None:
    async with aiohttp.ClientSession() as session, session.get(desk.house.url + "/readyz") as response:
        assert (await response.json())["channels"]["telegram-default"] == "ok"
    assert "telegram-default: hears" in (await desk.ask("/doctor")).visible.replace("  ", " ")
    assert re.search(r"OK +telegram-default +another process", await desk.command("doctor"))


async def test_the_token_stands_nowhere(desk: Desk) -> None:
    shown = desk.house.log.read_text() + await desk.command("doctor") + await desk.command("audit", "export")
    assert TOKEN not in shown


async def test_a_kill_between_message_and_answer_loses_and_doubles_nothing(desk: Desk) -> None:
    command, mark = desk.write(1)
    card = await desk.ask(f"/run local {command}")
    before = len(desk.double.messages(ANN))
    desk.double.click(card, "Approve", ANN)
    await desk.double.until(lambda: "approved" in now(desk.double, card).visible)
    desk.house.kill()
    desk.double.say(ANN, ANN, "/run local echo while-dead")
    await asyncio.to_thread(desk.house.start)
    said = await desk.double.until(
        lambda: len(found := desk.double.messages(ANN)[before:]) >= 2 and found, timeout_s=30
    )
    assert sum("while-dead" in m.visible for m in said) == 1
    assert sum("carried out" in m.visible for m in said) == 1
    assert mark.read_text() == "x\n"


async def test_a_second_bot_stands_back_while_the_first_one_hears(desk: Desk) -> None:
    second = desk.house.replica()
    await asyncio.to_thread(second.start, "bot")
    try:
        before = desk.double.conflicts
        await asyncio.sleep(4)
        assert "one-poller" in (await desk.ask("/run local echo one-poller")).visible
        assert desk.double.conflicts == before
    finally:
        second.close()


async def test_what_another_process_says_is_sent_by_the_one_that_has_the_bot(desk: Desk) -> None:
    second = desk.house.replica()
    await asyncio.to_thread(second.start, "bot")
    client = Client(second)
    try:
        await client.sign_in(
            (await desk.command("user", "link", "Bob Stone")).strip().rpartition("token=")[2]
        )
        await client.connect()
        command, _ = desk.write()
        before = len(desk.double.messages(ANN))
        began = time.monotonic()
        await client.say(f"/run local {command}")
        card = await desk.next(before)
        assert command in card.visible
        assert time.monotonic() - began < 5
    finally:
        await client.close()
        second.close()


async def test_a_further_tenants_bot_comes_and_goes_without_a_restart(desk: Desk) -> None:
    for words in (
        ("tenant", "create", "other"),
        ("user", "add", "zoe", "--role", "admin", "--tenant", "other"),
    ):
        await desk.command(*words)
    token, zoe = "777:OTHER-token", 70
    desk.double.add_bot(token, "other_bot")
    desk.double.private(zoe, "Zoe")
    add = ("channel", "add", "telegram", "--tenant", "other")
    added = await asyncio.to_thread(desk.house.command, *add, given=token)
    assert "telegram-777" in added.stdout
    await desk.double.until(lambda: [c for c in desk.double.calls if c.token == token], timeout_s=15)
    code = CODE.search(await desk.command("pair", "new", "--user", "zoe", "--tenant", "other"))
    assert code
    desk.double.say(zoe, zoe, f"/start {code[0]}")
    theirs = await desk.double.until(
        lambda: [m for m in desk.double.messages(zoe) if "paired" in m.visible and m.token == token]
    )
    assert theirs
    reply = await desk.ask("/servers", zoe, zoe)
    assert reply.token in (token, TOKEN)
    assert "local" not in reply.visible  # another tenant's
    taken = await asyncio.to_thread(desk.house.command, "channel", "add", "telegram", given=token)
    assert taken.returncode == 1
    assert "another tenant" in taken.stderr
    await desk.command("channel", "remove", "telegram-777", "--tenant", "other")
    await desk.double.until(lambda: desk.double.accounts[token].poll is None)
    before = len([c for c in desk.double.calls if c.token == token])
    await asyncio.sleep(1)
    assert len([c for c in desk.double.calls if c.token == token]) == before
    wrong = await asyncio.to_thread(desk.house.command, "channel", "add", "telegram", given="nonsense")
    assert wrong.returncode == 1
    assert "BotFather" in wrong.stderr


@pytest.fixture
async def hooked(tmp_path: Path) -> AsyncIterator[tuple[House, TelegramDouble]]:
    """Yield an it0 that Telegram calls."""
    async with serving(TelegramDouble(token=TOKEN, username="it0_bot")) as double:
        house = House(tmp_path / "home", TELEGRAM_BOT_TOKEN=TOKEN, TELEGRAM_API_URL=double.url)
        house.environment |= {"TELEGRAM_WEBHOOK": "true", "PUBLIC_URL": house.url}
        await asyncio.to_thread(house.start)
        try:
            yield house, double
        finally:
            house.close()


async def status_of(house: House, secret: bytes) -> int:
    """Return how an update is answered that comes with bytes for its secret, which no client would send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    lines = [b"POST /telegram/telegram-default HTTP/1.1", b"Host: it0", b"Connection: close"]
    lines += [SECRET_HEADER.encode() + b": " + secret, b"Content-Length: 2", b"", b"{}"]
    writer.write(b"\r\n".join(lines))
    first = await reader.readline()
    writer.close()
    return int(first.split()[1])


async def test_by_webhook_it_hears_telegram_and_nobody_else(hooked: tuple[House, TelegramDouble]) -> None:
    house, double = hooked
    double.private(ANN, "Ann")
    await double.until(lambda: [c for c in double.calls if c.method == "setwebhook"])
    await paired(house, double, ANN, "admin")
    update = {"update_id": 1, "message": {"message_id": 1, "text": "/run local id"}}
    url = f"{house.url}/telegram/telegram-default"
    async with aiohttp.ClientSession() as session:
        for secret in ("", "wrong", webhook_secret("other:token")):
            async with session.post(url, json=update, headers={SECRET_HEADER: secret}) as response:
                assert response.status == 403
            async with session.post(url, data=b"\xff", headers={SECRET_HEADER: secret}) as response:
                assert response.status == 403
        async with session.post(f"{house.url}/telegram/nobody", json=update) as response:
            assert response.status == 404
        assert await status_of(house, b"\xff\xfe") == 403
        headers = {SECRET_HEADER: webhook_secret(TOKEN)}
        async with session.post(url, json={"garbage": 1}, headers=headers) as response:
            assert response.status == 200
    assert [c for c in double.calls if c.method == "getupdates"] == []


async def test_a_file_from_a_server_comes_as_a_document(desk: Desk, tmp_path: Path) -> None:
    page, config = tmp_path / "report.html", tmp_path / "app.conf"
    page.write_text("<script>alert(1)</script>\n")
    config.write_text("port = 1\n")

    def documents() -> dict[str, bytes]:
        return {m.file.name: m.file.content for m in desk.double.messages(ANN) if m.file}

    def is_sent() -> bool:
        return desk.double.messages(ANN)[-1].visible.endswith("is sent.")

    desk.double.say(ANN, ANN, f"/send local {page}")
    await desk.double.until(is_sent)
    assert documents()["report.html.txt"] == page.read_bytes()
    card = await desk.ask(f"/send local {config}")
    assert f"send_file {config}" in card.visible
    assert "app.conf" not in documents()
    desk.double.click(card, "Approve", ANN)
    await desk.double.until(is_sent)
    assert documents()["app.conf"] == b"port = 1\n"


async def test_a_change_of_a_file_shows_its_diff_line_by_line_and_is_taken_back(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "motd.txt"
    file.write_text("old\n")
    card = await desk.ask(f"/write local {file}\nnew\nlines")
    assert "\n-old\n+new\n+lines" in card.visible
    before = len(desk.double.messages(ANN))
    desk.double.click(card, "Approve", ANN)
    said = await desk.next(before)
    assert file.read_text() == "new\nlines\n"
    slash = re.search(r"/undo \S+", said.visible)
    assert slash
    back = await desk.ask(slash[0])
    desk.double.click(back, "Approve", ANN)
    await desk.double.until(lambda: file.read_text() == "old\n")
