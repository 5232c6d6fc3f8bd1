"""A second judge that this project did not write: lo-bot-api-emulator, for what it knows of Telegram.

It is skipped, loudly, where the emulator is not installed. It knows no ``link_preview_options``, coloured
buttons and drafts, and counts a message's tags as its text: those are judged by the double alone.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from channels.telegram.api import Api, Failed
from channels.telegram.calls import Call, Extras, answer, messages, take_buttons
from channels.telegram.errors import Outcome
from channels.telegram.keyboard import Key
from channels.telegram.places import Place
from core.messages import Code, Plain

emulator = pytest.importorskip(
    "lo_bot_api_emulator", reason="SKIPPED: pip install lo-bot-api-emulator==0.3.6"
)

TOKEN = "1234:TEST"
KINDS = ("message", "callback_query")
ANN = {"id": 7, "is_bot": False, "first_name": "Ann"}


METHODS = {name.lower(): name for name in emulator.CONTRACT["methods"]}


@web.middleware
async def in_any_case(request: web.Request, handler: Any) -> Any:
    """Take a method's name in any case and have a username, as Telegram does and the emulator does not."""
    if "method" in request.match_info:
        name = request.match_info["method"]
        request.match_info["method"] = METHODS.get(name.lower(), name)
        if name.lower() == "getme":  # its own answer has no username
            me = {"id": 1, "is_bot": True, "first_name": "it0", "username": "it0_bot"}
            return web.json_response({"ok": True, "result": me})
    return await handler(request)


@pytest.fixture
async def judge() -> AsyncIterator[tuple[Any, str]]:
    """Yield the emulator and its address."""
    judge = emulator.LoBotApiEmulator()
    app = judge.app()
    app.middlewares.append(in_any_case)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield judge, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Api]:
    """Yield a bot's connections."""
    api = Api(TOKEN, url)
    try:
        await api.open("bench")
        yield api
    finally:
        await api.close()


def known(call: Call) -> Call:
    """Return a call without what the emulator does not know."""
    return replace(call, data={k: v for k, v in call.data.items() if k != "link_preview_options"})


async def test_updates_come_again_until_they_are_confirmed_and_then_never(judge: tuple[Any, str]) -> None:
    said, url = judge
    async with opened(url) as api:
        for number in (1, 2):
            message = {"message_id": number, "date": 1, "chat": {"id": 7, "type": "private"}, "from": ANN}
            await said.enqueue_update({"message": {**message, "text": "hi"}}, token=TOKEN)
        first = await api.updates(0, 0, KINDS)
        assert [u["update_id"] for u in await api.updates(0, 0, KINDS)] == [u["update_id"] for u in first]
        assert await api.updates(first[-1]["update_id"] + 1, 0, KINDS) == []


async def test_a_poll_beside_a_webhook_is_a_conflict(judge: tuple[Any, str]) -> None:
    async with opened(judge[1]) as api:
        await api.call(Call("setWebhook", {"url": "https://it0.example/telegram/x", "max_connections": 1}))
        with pytest.raises(Failed) as refused:
            await api.updates(0, 0, KINDS)
        assert refused.value.result.outcome is Outcome.CONFLICT
        await api.call(Call("deleteWebhook", {}))
        assert await api.updates(0, 0, KINDS) == []


async def test_answers_cards_and_clicks_are_taken(judge: tuple[Any, str]) -> None:
    said, url = judge
    keys = Extras([Key("Approve", "approve:" + "a" * 32, "primary"), Key("Reject", "reject:1")], styled=False)
    parts = ["**Bold** & <tag>", Plain("as it is"), Code("df -h\n<x>")]
    async with opened(url) as api:
        for call in [*messages(Place(7), parts, keys), take_buttons(Place(7), 1), answer("1", "taken")]:
            await api.call(known(call))
    refused = [each for each in said.requests if each["status"] != 200]
    assert refused == []
