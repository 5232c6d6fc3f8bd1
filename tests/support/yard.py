"""A running house with all that judges it under faults."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from support.house import Client, House
from support.judge import Judge
from support.marks import Marks


@dataclass
class Yard:
    """A running house, an admin's page, the commands' counters and a judge."""

    house: House
    client: Client
    marks: Marks
    judge: Judge


RATES = ("WEBSOCKET_OPENS_PER_MINUTE", "CONSOLE_MESSAGES_PER_MINUTE")


async def yard_in(folder: Path, stack: AsyncExitStack, home: Path | None = None, **environment: str) -> Yard:
    """Start a house in ``folder``; ``stack`` ends it. home: its IT0_HOME, if that lies elsewhere."""
    unlimited = dict.fromkeys((*RATES, "APPROVALS_PER_USER_PER_HOUR"), "100000")
    settings = {**unlimited, "LOG_LEVEL": "WARNING"}
    house = House(home or folder / "home", **settings, **environment)
    house.target = folder / "target"
    stack.callback(house.close)
    house.start()
    client = Client(house)
    stack.push_async_callback(client.close)
    await client.sign_in()
    await client.connect()
    marks = Marks(folder / "marks")
    return Yard(house, client, marks, Judge(house, marks))
