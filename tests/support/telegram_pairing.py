"""Ann on Telegram: who she is there, and how she becomes one of it0's users."""

import asyncio
import re

from support.house import House
from support.telegram_double import TelegramDouble

TOKEN = "1234:TEST"
CODE = re.compile(r"[A-Z0-9]{5}-[A-Z0-9]{5}")
ANN = 7


async def paired(house: House, double: TelegramDouble, user_id: int, name: str) -> None:
    """Let a chat account be one of it0's users."""
    code = (await asyncio.to_thread(house.command, "pair", "new", "--user", name)).stdout
    before = len(double.messages(user_id))
    double.say(user_id, user_id, f"/start {CODE.search(code)[0]}")  # type: ignore[index]
    await double.until(lambda: [m for m in double.messages(user_id)[before:] if "paired" in m.visible])
