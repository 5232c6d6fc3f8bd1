"""One bot against the double of Telegram: what one update is like keeps it from no other."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.telegram_double import TelegramDouble, serving

from channels.telegram.bot import Bot
from core.messages import Accepted, Inbound, Reply, Text
from core.ports import Installation
from core.texts import Language, Say

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # the vendor's client warns of what it has itself
TOKEN, ANN = "1234:TEST", 7


class Around:
    """All that a bot asks of the rest of it0: it is ours, and its sentences are their keys."""

    async def lease(self, _: str) -> bool:
        """Hold it."""
        return True

    def sentence(self, what: Say, _: Language) -> str:
        """Return the key."""
        return what.key


@pytest.fixture
async def double(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TelegramDouble]:
    """Return a double with Ann, who has started the bot."""
    monkeypatch.setenv(
        "PTB_TIMEDELTA", "true"
    )  # as a bot sets it for its whole process, but only until the end
    async with serving(TelegramDouble(token=TOKEN, username="it0_bot")) as served:
        served.private(ANN, "Ann")
        yield served


async def test_a_message_that_breaks_it0_is_told_of_and_the_next_one_is_heard(double: TelegramDouble) -> None:
    heard: list[str] = []

    async def handler(inbound: Inbound, _: Reply) -> Accepted | None:
        assert isinstance(inbound.body, Text)
        heard.append(inbound.body.text)
        if inbound.body.text == "odd":
            raise RuntimeError("nobody thought of this")
        return None

    around: Any = Around()
    reply_to: Any = None
    bot = Bot(Installation("b", "t", TOKEN), around, around, around, double.url, "", "", {}, 0)
    task = asyncio.ensure_future(bot.run(handler, lambda address: reply_to))
    try:
        double.say(ANN, ANN, "odd")
        double.say(ANN, ANN, "plain")
        await double.until(lambda: "plain" in heard)
        await double.until(lambda: [m for m in double.messages(ANN) if m.visible == "error.internal"])
        assert heard == ["odd", "plain"]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bot.close()
