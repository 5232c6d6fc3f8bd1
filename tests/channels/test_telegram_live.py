"""What is shown of a running turn: drafts, one edited message in a group, and nothing left behind."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from channels.telegram.api import Failed
from channels.telegram.calls import Call
from channels.telegram.errors import classify
from channels.telegram.live import TelegramLive, Turn
from channels.telegram.pacer import Pacer
from channels.telegram.places import Place
from core.errors import Undeliverable
from core.messages import Address, Progress


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


@dataclass
class Traces:
    """What is known of messages that show turns, kept. left: those that nobody looks after."""

    quiet: bool = False
    known: set[int] = field(default_factory=set)
    left: set[int] = field(default_factory=set)

    async def is_quiet(self, tenant_id: str, address: Address) -> bool:
        """Return what the test says."""
        return self.quiet

    async def shown(self, tenant_id: str, conversation_id: str, address: Address, message_id: int) -> None:
        """Keep it."""
        self.known.add(message_id)

    async def gone(self, address: Address, message_id: int) -> None:
        """Forget it."""
        self.known.discard(message_id)

    async def leave(self, address: Address, message_id: int) -> None:
        """Let it be nobody's."""
        self.left.add(message_id)

    async def left_behind(self, installation_id: str) -> list[tuple[str, int]]:
        """Return none: nobody asks here."""
        return []


def shown(api: Api, chat_id: int, pacer: Pacer, traces: Traces | None = None) -> TelegramLive:
    """Return what shows a turn in a chat."""

    async def words(_: Any) -> str:
        raise Undeliverable("telegram.no_bot")

    async def bot() -> Any:
        return api, pacer

    turn = Turn("t", "c", "00000001", Address("telegram", "i", Place(chat_id).thread))
    return TelegramLive(bot, turn, words, traces or Traces(), pause_s=0.02)


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


async def test_a_message_that_waits_for_a_turn_leaves_nobody_typing() -> None:
    api = Api()
    waits = shown(api, 5, Pacer())
    await waits.update(Progress("state", {"waits": 3}))
    await asyncio.sleep(0.1)
    assert api.calls == []


async def test_a_quiet_place_sees_that_somebody_types_and_no_more() -> None:
    for chat in (5, -5):
        api = Api()
        turn = shown(api, chat, Pacer(), Traces(quiet=True))
        await turn.update(Progress("output", {"text": "tick"}))
        await until(lambda api=api: "sendChatAction" in api.calls)
        await asyncio.sleep(0.1)
        await turn.close()
        assert set(api.calls) == {"sendChatAction"}


async def test_a_groups_message_is_known_while_it_stands_and_left_to_others_if_it_cannot_be_erased() -> None:
    api, traces = Api(), Traces()
    api.refuses["deleteMessage"] = [Failed(classify(502, "Bad Gateway"))]
    turn = shown(api, -5, Pacer(), traces)
    await turn.update(Progress("text", {"text": "hello"}))
    await until(lambda: traces.known == {5})
    await turn.close()
    await until(lambda: traces.left == {5})
    again = shown(api, -5, Pacer(), traces)
    await again.update(Progress("text", {"text": "hello"}))
    await until(lambda: api.calls.count("sendMessage") == 2)
    await again.close()
    await until(lambda: traces.known == set())
