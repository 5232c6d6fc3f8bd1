"""The double of Telegram holds up to the vendor's own client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from support.telegram_double import TelegramDouble, serving
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, InputFile
from telegram.error import BadRequest, Conflict, InvalidToken, NetworkError, RetryAfter, TimedOut
from telegram.request import HTTPXRequest

# The client would have its own methods called instead, and warns as it makes each RetryAfter.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Please use 'Bot:telegram.warnings.PTBUserWarning"),
    pytest.mark.filterwarnings("ignore:.*retry_after:telegram.warnings.PTBDeprecationWarning"),
]
TOKEN = "1234:TEST"
ANN, OPS = 7, -1001234567890
KEYS = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="a:1")]])


@pytest.fixture
async def double() -> AsyncIterator[TelegramDouble]:
    """Return a double with Ann, who has started the bot, and a forum."""
    async with serving(TelegramDouble(token=TOKEN, username="it0_bot")) as served:
        served.private(ANN, "Ann")
        served.group(OPS, "ops", [ANN, 8], forum=True)
        yield served


@asynccontextmanager
async def client(double: TelegramDouble, token: str = TOKEN) -> AsyncIterator[Bot]:
    """Return the vendor's client, ready."""
    url = f"{double.url}/bot"
    bot = Bot(
        token, base_url=url, base_file_url=f"{double.url}/file/bot", request=HTTPXRequest(read_timeout=1)
    )
    async with bot:
        yield bot


async def test_message_is_sent_edited_and_deleted(double: TelegramDouble) -> None:
    async with client(double) as bot:
        sent = await bot.send_message(ANN, "<b>a &lt; b</b>", parse_mode="HTML", reply_markup=KEYS)
        assert sent.text == "a < b"
        [message] = double.messages(ANN)
        assert (message.visible, message.buttons) == ("a < b", [[("Yes", "a:1")]])
        with pytest.raises(BadRequest, match="Message is not modified"):
            await sent.edit_text("<b>a &lt; b</b>", parse_mode="HTML", reply_markup=KEYS)
        await sent.edit_text("done")
        [message] = double.messages(ANN)
        assert (message.text, message.buttons, message.edited) == ("done", [], 1)
        await sent.delete()
        assert double.messages(ANN)[0].deleted
        with pytest.raises(BadRequest, match="Message to edit not found"):
            await sent.edit_text("again")


async def test_raw_calls_work_as_the_adapter_makes_them(double: TelegramDouble) -> None:
    topic_id = double.topic(OPS, "db")
    question = double.updates[double.say(OPS, ANN, "log?", topic_id)][0]["message"]["message_id"]
    reply = {"message_id": question, "allow_sending_without_reply": True}
    where = {"chat_id": OPS, "message_thread_id": topic_id, "reply_parameters": reply}
    async with client(double) as bot:
        keys = {"inline_keyboard": [[{"text": "Yes", "callback_data": "a:1", "style": "success"}]]}
        more = {"reply_markup": keys, "link_preview_options": {"is_disabled": True}}
        said = await bot.do_api_request("sendMessage", api_kwargs={**where, **more, "text": "磁盘"})
        assert said["message_thread_id"] == topic_id
        file = InputFile(b"line\n", filename="log.txt")
        await bot.do_api_request("sendDocument", api_kwargs={**where, "document": file, "caption": "All"})
        text, document = double.messages(OPS, topic_id)
        assert (text.text, text.reply_to, text.rows[0][0]["style"]) == ("磁盘", question, "success")
        assert document.file
        assert (document.file.name, document.file.content, document.text) == ("log.txt", b"line\n", "All")
        await bot.set_message_reaction(OPS, question, "👀")
        await bot.send_message_draft(ANN, 5, "thin")
        assert double.drafts == {(ANN, 5): "thin"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"text": ""}, "message text is empty"),
        ({"text": "😀" * 2049}, "message is too long"),
        ({"text": "<b>x", "parse_mode": "HTML"}, "can't parse entities"),
        ({"text": "x</b>", "parse_mode": "HTML"}, "can't parse entities"),
        ({"text": "1 < 2", "parse_mode": "HTML"}, "can't parse entities"),
        ({"text": "x", "chat_id": 404}, "chat not found"),
        ({"text": "x", "message_thread_id": 3}, "message thread not found"),
        ({"text": "x", "reply_parameters": {"message_id": 3}}, "message to be replied not found"),
        (
            {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "y", "callback_data": "磁" * 22}]]}},
            "BUTTON_DATA_INVALID",
        ),
    ],
)
async def test_what_telegram_refuses_is_refused(
    double: TelegramDouble, data: dict[str, Any], words: str
) -> None:
    async with client(double) as bot, ClientSession() as session:
        full = {"chat_id": ANN, **data}
        with pytest.raises(BadRequest) as refused:
            await bot.do_api_request("sendMessage", api_kwargs=full)
        assert words.lower() in str(refused.value).lower()
        async with session.post(f"{double.url}/bot{TOKEN}/sendMessage", json=full) as response:
            assert words in (await response.json())["description"]
    assert double.messages(ANN) == []


async def test_update_stays_until_it_is_confirmed(double: TelegramDouble) -> None:
    async with client(double) as bot:
        waiting = asyncio.create_task(bot.get_updates(timeout=5))
        await double.until(lambda: any(call.method == "getUpdates" for call in double.calls))
        update_id = double.say(OPS, ANN, "😀 @it0_bot /run@it0_bot")
        [update] = await waiting
        assert update.message
        assert list(update.message.parse_entities().values()) == ["@it0_bot", "/run@it0_bot"]
        assert [each.update_id for each in await bot.get_updates()] == [update_id]
        assert await bot.get_updates(offset=update_id + 1) == ()
        double.repeat(update_id)
        assert [each.update_id for each in await bot.get_updates(offset=update_id + 1)] == [update_id]
        assert await bot.get_updates(offset=update_id + 1) == ()


async def test_second_poller_ends_the_first_and_a_webhook_both(double: TelegramDouble) -> None:
    async with client(double) as one, client(double) as other:
        first = asyncio.create_task(one.get_updates(timeout=5))
        await double.until(lambda: double.calls[-1].method == "getUpdates")
        second = asyncio.create_task(other.get_updates(timeout=5))
        with pytest.raises(Conflict, match="terminated by other getUpdates"):
            await first
        await one.set_webhook("http://127.0.0.1:9/hook")
        with pytest.raises(Conflict, match="setWebhook"):
            await second
        with pytest.raises(Conflict, match="webhook is active"):
            await one.get_updates()


async def test_webhook_gets_each_update_until_it_takes_it(double: TelegramDouble) -> None:
    heard: list[tuple[str, int]] = []

    async def hook(request: web.Request) -> web.Response:
        body = await request.json()
        heard.append((request.headers["X-Telegram-Bot-Api-Secret-Token"], body["update_id"]))
        return web.Response(status=500 if len(heard) == 1 else 200)

    app = web.Application()
    app.router.add_post("/hook", hook)
    async with TestServer(app) as server, client(double) as bot:
        await bot.set_webhook(str(server.make_url("/hook")), secret_token="s3cret")
        update_id = double.say(ANN, ANN, "hi")
        await double.until(lambda: len(heard) == 2 and not double.accounts[TOKEN].queue)
        assert heard == [("s3cret", update_id)] * 2
        assert "500" in str((await bot.get_webhook_info()).last_error_message)
        await bot.delete_webhook()
        assert await bot.get_updates() == ()


async def test_click_is_answered_once(double: TelegramDouble) -> None:
    async with client(double) as bot:
        await bot.send_message(OPS, "Restart?", reply_markup=KEYS)
        double.click(double.messages(OPS)[0], "Yes", user_id=8)
        [update] = await bot.get_updates()
        assert update.callback_query
        assert (update.callback_query.data, update.callback_query.from_user.id) == ("a:1", 8)
        await update.callback_query.answer("ok")
        with pytest.raises(BadRequest, match="Query is too old"):
            await update.callback_query.answer()


async def test_flood_tells_how_long_and_notes_who_does_not_wait(double: TelegramDouble) -> None:
    double.flood(1, ANN)
    async with client(double) as bot:
        for _ in range(2):
            with pytest.raises(RetryAfter) as flooded:
                await bot.send_message(ANN, "x")
        assert flooded.value.retry_after == 1
        assert [call.method for call in double.violations] == ["sendMessage"]
        await bot.send_message(OPS, "elsewhere")
        await asyncio.sleep(1)
        double.per_chat = 2
        for text in ("1", "2"):
            await bot.send_message(ANN, text)
        with pytest.raises(RetryAfter):
            await bot.send_message(ANN, "3")
    assert len(double.violations) == 1


async def test_faults_come_once_and_a_lost_answer_was_done(double: TelegramDouble) -> None:
    async with client(double) as bot:
        double.fail("sendMessage", 502, "Bad Gateway")
        double.cut("sendMessage")
        double.lose_answer("sendMessage")
        double.hang("sendMessage")
        for text, error in (("a", NetworkError), ("b", NetworkError), ("c", NetworkError), ("d", TimedOut)):
            with pytest.raises(error):
                await bot.send_message(ANN, text)
        await bot.send_message(ANN, "e")
    assert [message.text for message in double.messages(ANN)] == ["c", "e"]


async def test_each_token_is_a_bot_of_its_own_and_others_are_none(double: TelegramDouble) -> None:
    double.add_bot("99:OTHER", "other_bot")
    double.send_photo(ANN, ANN, b"jpeg", "look")
    async with client(double) as one, client(double, "99:OTHER") as other:
        assert (one.username, other.username) == ("it0_bot", "other_bot")
        [update] = await other.get_updates()
        assert update.message
        assert update.message.caption == "look"
        file = await update.message.photo[-1].get_file()
        assert bytes(await file.download_as_bytearray()) == b"jpeg"
        assert len(await one.get_updates()) == 1
    with pytest.raises(InvalidToken):
        async with client(double, "5:NOBODY"):
            pass
