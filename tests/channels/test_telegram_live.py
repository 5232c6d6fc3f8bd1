"""What is shown of a running turn: drafts, one edited message in a group, and nothing left behind."""

import asyncio
from typing import Any

from channels.telegram.api import Failed
from channels.telegram.calls import Call
from channels.telegram.errors import classify
from channels.telegram.live import TelegramLive
from channels.telegram.pacer import Pacer
from channels.telegram.places import Place
from core.errors import Undeliverable
from core.messages import Progress


class Api:
    """A bot's calls, kept. refuses: what the next calls of a method are answered."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refuses: dict[str, list[Failed]] = {}

    async def call(self, call: Call) -> Any:
        """Keep a call."""
        self.calls.append(call.method)
        await asyncio.sleep(0.02)
        if self.refuses.get(call.method):
            raise self.refuses[call.method].pop()
        return {"message_id": 5}


def shown(api: Api, chat_id: int, pacer: Pacer) -> TelegramLive:
    """Return what shows a turn in a chat."""

    async def words(_: Any) -> str:
        raise Undeliverable("telegram.no_bot")

    async def bot() -> Any:
        return api, pacer

    return TelegramLive(bot, Place(chat_id), "00000001", words, pause_s=0.02)


async def until(condition: Any) -> None:
    """Wait for something."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_groups_message_is_erased_even_if_the_turn_ends_while_it_is_sent() -> None:
    api = Api()
    turn = shown(api, -5, Pacer())
    await turn.update(Progress("text", {"text": "hello"}))
    await until(lambda: "sendMessage" in api.calls)
    await turn.close()
    await until(lambda: "deleteMessage" in api.calls)


async def test_flood_control_delays_the_erasing_and_does_not_forget_it() -> None:
    api, pacer = Api(), Pacer()
    api.refuses["deleteMessage"] = [Failed(classify(429, "", {"retry_after": 1}))]
    turn = shown(api, -5, pacer)
    await turn.update(Progress("text", {"text": "hello"}))
    await until(lambda: "sendMessage" in api.calls)
    pacer.hold(-5, 0.1)
    await turn.close()
    await until(lambda: api.calls.count("deleteMessage") == 2)


async def test_a_private_chat_sees_drafts_and_no_message() -> None:
    api = Api()
    turn = shown(api, 5, Pacer())
    await turn.update(Progress("output", {"text": "tick"}))
    await until(lambda: "sendMessageDraft" in api.calls)
    await turn.close()
    await asyncio.sleep(0.1)
    assert set(api.calls) == {"sendChatAction", "sendMessageDraft"}


async def test_a_sentence_that_cannot_be_read_hurts_nobody() -> None:
    turn = shown(Api(), 5, Pacer())
    await turn.update(Progress("state", {"say": "model.waits", "params": {}}))
    await turn.close()
