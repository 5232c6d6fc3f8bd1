"""Races: many clicks on one approval, the same event many times, two bots on one database."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from support.house import Client, House

from bot.embedded import postgres, valkey


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield it0 with servers of its own."""
    house = House(tmp_path_factory.mktemp("races") / "home")
    house.start()
    try:
        yield house
    finally:
        house.close()


@pytest.fixture(scope="module")
async def second(first: House, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Yield a bot of its own process on the first one's database."""
    keys = {name: (first.home / "keys" / name).read_text() for name in ("vault", "audit", "jwt")}
    house = House(
        tmp_path_factory.mktemp("second") / "home",
        DATABASE_URL=postgres.socket_url(first.home, "it0_app"),
        REDIS_URL=valkey.socket_url(first.home),
        VAULT_MASTER_KEY=keys["vault"],
        AUDIT_KEY=keys["audit"],
        JWT_SECRET=keys["jwt"],
    )
    house.start("bot")
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{house.url}/readyz") as response:
                    if response.status == 200:
                        break
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
    try:
        yield house
    finally:
        house.close()


async def enter(house: House, name: str, at: House | None = None) -> Client:
    """Return a connected client of a person, on the process ``at``."""
    link = (await asyncio.to_thread(house.command, "user", "link", name)).stdout
    client = Client(at or house)
    await client.sign_in(link.strip().rpartition("=")[2])
    await client.connect()
    return client


async def test_fifty_parallel_clicks_of_two_people_run_an_act_once(
    first: House, second: House, tmp_path: Path
) -> None:
    await asyncio.to_thread(first.command, "user", "add", "ben", "--role", "admin")
    ann, ben = await enter(first, "admin"), await enter(first, "ben", second)
    file = tmp_path / "count"
    card = await ann.ask(f"/run local bash -c 'echo x >> {file}'")
    button = f"approve:{card['body']['approval']['id']}"
    await asyncio.gather(*(who.click(button) for _ in range(25) for who in (ann, ben)))
    await ann.until(lambda: ann.of_kind(card["conversation"], "reply"))
    await ann.until(lambda: not ann.unsent)
    await asyncio.sleep(1)
    assert file.read_text() == "x\n"
    assert len(ann.of_kind(card["conversation"], "reply")) == 1
    for client in (ann, ben):
        await client.close()


async def test_event_delivered_four_times_to_two_bots_is_answered_once(
    first: House, second: House, tmp_path: Path
) -> None:
    ann, twin = await enter(first, "admin"), await enter(first, "admin", second)
    counted = []
    for number in range(10):
        file, event_id, thread = tmp_path / f"n{number}", secrets.token_hex(8), secrets.token_hex(8)
        message = {"type": "say", "id": event_id, "conversation": None, "thread": thread}
        message["text"] = f"/run local seq {number + 1}"
        counted.append((event_id, file))
        await asyncio.gather(*(who._send(message) for _ in range(2) for who in (ann, twin)))
    for event_id, _ in counted:
        one = await ann.until(lambda event_id=event_id: ann.accepted.get(event_id))  # type: ignore[misc]
        other = await twin.until(lambda event_id=event_id: twin.accepted.get(event_id))  # type: ignore[misc]
        assert (one["conversation"], one["seq"]) == (other["conversation"], other["seq"])
        conversation = one["conversation"]
        await ann.until(lambda conversation=conversation: ann.of_kind(conversation, "reply"))  # type: ignore[misc]
    await asyncio.sleep(1)
    for event_id, _ in counted:
        conversation = ann.accepted[event_id]["conversation"]
        assert len(ann.of_kind(conversation, "said")) == 1
        assert len(ann.of_kind(conversation, "reply")) == 1
    async with first.database() as db:
        assert await db.fetchval("SELECT count(*) FROM it0_shared.inbox WHERE state <> 'done'") == 0
    for client in (ann, twin):
        await client.close()


async def test_killed_bots_work_is_finished_by_the_other(first: House, second: House, tmp_path: Path) -> None:
    """The second bot dies with a command running; the first takes over and learns how it ended."""
    ben = await enter(first, "admin", second)
    file = tmp_path / "once"
    card = await ben.ask(f"/run local bash -c 'echo x >> {file}; sleep 2'")
    await ben.click(f"approve:{card['body']['approval']['id']}")
    async with asyncio.timeout(10):
        while not file.exists():
            await asyncio.sleep(0.05)
    second.kill()
    ann = await enter(first, "admin")
    ann.events[card["conversation"]] = {}
    await ann._send({"type": "open", "conversation": card["conversation"], "after": 0})
    await ann.until(lambda: ann.of_kind(card["conversation"], "reply"), 30)
    assert file.read_text() == "x\n"
    for client in (ann, ben):
        await client.close()
