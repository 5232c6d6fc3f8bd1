"""What people do with it0, from the first word to the end of it; each may be killed at any moment."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from support.house import Client, House
from support.judge import DATABASE_GONE, PLEASE
from support.marks import Marks, Tap
from support.model_double import Thought, run_on

Scenario = Callable[[House, Client, Marks], Awaitable[None]]
LONG_S = 120
"""What a command takes that is to be stopped."""

PATIENT_S = 90
"""What people wait, over several deaths of it0, before they call something lost."""


async def card_for(client: Client, command: str) -> tuple[str, str]:
    """Ask for a command of level 2; return (conversation, approval id)."""
    card = await client.ask(f"/run local {command}", timeout_s=PATIENT_S)
    assert card["kind"] == "card", card
    return card["conversation"], card["body"]["approval"]["id"]


async def reply_in(client: Client, conversation: str, count: int = 1) -> None:
    """Wait for a conversation's replies."""
    await client.until(lambda: len(client.of_kind(conversation, "reply")) >= count, PATIENT_S)


async def look(house: House, client: Client, marks: Marks) -> None:
    """Run a command of level 0."""
    async with Tap(marks) as tap:
        assert (await client.ask(f"/run local {tap.command}", timeout_s=PATIENT_S))["kind"] == "reply"


async def approve(house: House, client: Client, marks: Marks) -> None:
    """Ask, approve, and hear what came of it."""
    conversation, approval = await card_for(client, marks.write(0.1))
    await client.click(f"approve:{approval}")
    await reply_in(client, conversation)


async def think_and_look(house: House, client: Client, marks: Marks) -> None:
    """Have the model look."""
    async with Tap(marks) as tap:
        asked = await client.ask(f"{PLEASE}/run local {tap.command}", timeout_s=PATIENT_S)
        assert asked["kind"] == "reply", asked


async def think_and_change(house: House, client: Client, marks: Marks) -> None:
    """Have the model look and then ask, approve, and hear from it what came of it."""
    async with Tap(marks) as tap:
        text = f"{PLEASE}/run local {tap.command}\n{PLEASE}/run local {marks.write(0.1)}"
        card = await client.ask(text, timeout_s=PATIENT_S)
        assert card["kind"] == "card", card
        await client.click(f"approve:{card['body']['approval']['id']}")
        await reply_in(client, card["conversation"])


def obeys(body: Mapping[str, Any]) -> list[Any]:
    """Answer for the model: do what the person asked for, one command after another, and then say so."""
    said = [b["text"] for m in body["messages"] for b in m["content"] if b["type"] == "text"]
    wanted = [line.partition("/run local ")[2] for text in said for line in text.split(PLEASE)[1:]]
    done = sum(b["type"] == "tool_use" for m in body["messages"] for b in m["content"])
    if done >= len(wanted):
        return ["That is done."]
    return [Thought("One more."), "I go on.", run_on("local", wanted[done].strip())]


async def reject(house: House, client: Client, marks: Marks) -> None:
    """Ask, and be told no."""
    conversation, approval = await card_for(client, marks.write())
    await client.click(f"reject:{approval}")
    await reply_in(client, conversation)


async def stop_an_act(house: House, client: Client, marks: Marks) -> None:
    """Stop an approved command while it runs, or after a death before it did."""
    command = marks.write(LONG_S)
    conversation, approval = await card_for(client, command)
    await client.click(f"approve:{approval}")
    await until(lambda: marks.count(command) > 0 or bool(client.of_kind(conversation, "reply")))
    await client.stop(conversation)
    began = time.monotonic()
    await reply_in(client, conversation, 2)
    assert time.monotonic() - began < LONG_S / 2, "it was not stopped"


async def stop_a_turn(house: House, client: Client, marks: Marks) -> None:
    """Stop a look that would not end by itself, or after a death before it began."""
    async with Tap(marks, feeds=False) as tap:
        said = await client.say(f"/run local {tap.command}")
        accepted = await client.until(lambda: client.accepted.get(said), PATIENT_S)
        conversation = accepted["conversation"]
        await until(lambda: tap.readers > 0 or bool(client.of_kind(conversation, "reply")))
        await client.stop(conversation)
        await reply_in(client, conversation, 2)


async def withdraw(house: House, client: Client, marks: Marks) -> None:
    """Take a question back before anybody has answered it."""
    conversation, _ = await card_for(client, marks.write())
    await client.stop(conversation)
    await reply_in(client, conversation)


async def expire(house: House, client: Client, marks: Marks) -> None:
    """Let the time run out."""
    conversation, approval = await card_for(client, marks.write())
    await age(house, approval)
    await reply_in(client, conversation)


async def age(house: House, approval: str) -> None:
    """Make an approval's time be over, as soon as there is a database."""
    past = "now() - interval '1 second'"
    async with asyncio.timeout(PATIENT_S):
        while True:
            with contextlib.suppress(*DATABASE_GONE):
                await execute(
                    house, f"UPDATE {{schema}}.approval SET expires_at = {past} WHERE id = $1", approval
                )
                await execute(house, f"UPDATE it0_shared.timer SET due_at = {past} WHERE ref = $1", approval)
                return
            await asyncio.sleep(0.1)


async def until(condition: Callable[[], bool], timeout_s: float = PATIENT_S) -> None:
    """Wait for what the target shows."""
    async with asyncio.timeout(timeout_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def people(house: House, client: Client, *names: str) -> list[Client]:
    """Return more admins, signed in and connected."""
    found = []
    for name in names:
        found.append(Client(house))
        await found[-1].sign_in(await client.link_for(name))
        await found[-1].connect()
    return found


async def execute(house: House, statement: str, *values: object) -> str:
    """Change the database behind it0's back, as its owner; ``{schema}`` is the tenant's."""
    async with house.database() as db:
        return str(await db.execute(statement.format(schema=await house.schema()), *values))
