"""Outages: the database, the queue's server and the process go away and come back."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.house import Client, House, words_of


@pytest.fixture
async def busy(tmp_path: Path) -> AsyncIterator[tuple[House, Client]]:
    """Yield a running it0 and its admin."""
    house = House(tmp_path / "home")
    house.start()
    client = Client(house)
    await client.sign_in()
    await client.connect()
    try:
        yield house, client
    finally:
        await client.close()
        house.close()


async def come_back(client: Client) -> None:
    """Reconnect as a page does, until it works."""
    async with asyncio.timeout(30):
        while True:
            try:
                await client.drop()
                return await client.connect()
            except Exception:
                await asyncio.sleep(0.3)


def server_of(house: House, name: str) -> int:
    """Return the process id of one of the house's servers."""
    listed = subprocess.run(
        ["pgrep", "-P", str(house.process.pid), "-f", name], capture_output=True, text=True, check=True
    )  # type: ignore[union-attr]
    return int(listed.stdout.split()[0])


async def all_answered(client: Client, ids: list[str]) -> None:
    """Wait until every message has exactly one reply."""
    for event_id in ids:
        accepted = await client.until(lambda event_id=event_id: client.accepted.get(event_id), 30)  # type: ignore[misc]
        await client.until(lambda accepted=accepted: client.answer(accepted), 30)  # type: ignore[misc]
        assert len(client.of_kind(accepted["conversation"], "reply")) == 1


async def test_killed_database_comes_back_and_nothing_accepted_is_lost(busy: tuple[House, Client]) -> None:
    house, client = busy
    ids = [await client.say(f"/run local seq {n}") for n in range(1, 6)]
    os.kill(server_of(house, "postgres"), signal.SIGKILL)
    ids += [await client.say(f"/run local seq {n}") for n in range(6, 9)]
    await asyncio.sleep(1)
    await come_back(client)
    await all_answered(client, ids)
    assert house.command("audit", "verify").returncode == 0


async def test_cut_database_connections_are_replaced(busy: tuple[House, Client]) -> None:
    house, client = busy
    for _ in range(5):
        ids = [await client.say(f"/run local seq {n}") for n in range(1, 4)]
        async with house.database("it0_app") as db:
            await db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = current_user AND pid <> pg_backend_pid()"
            )
        await come_back(client)
        await all_answered(client, ids)


async def test_queue_server_may_vanish(busy: tuple[House, Client]) -> None:
    house, client = busy
    os.kill(server_of(house, "valkey"), signal.SIGKILL)
    assert "Filesystem" in words_of(await client.ask("check disk on local"))
    await asyncio.sleep(2)
    assert "Filesystem" in words_of(await client.ask("check disk on local"))


async def test_stop_under_load_loses_and_doubles_nothing(busy: tuple[House, Client]) -> None:
    house, client = busy
    ids = [await client.say(f"/run local seq {n}") for n in range(1, 21)]
    await asyncio.sleep(0.2)
    assert await asyncio.to_thread(house.stop) < 15
    house.start()
    await come_back(client)
    await all_answered(client, ids)


async def test_frozen_process_writes_nothing_when_it_wakes(
    busy: tuple[House, Client], tmp_path: Path
) -> None:
    """A process that was frozen past its lease finds its work taken over (F5)."""
    house, client = busy
    from bot.embedded import postgres, valkey

    keys = {name: (house.home / "keys" / name).read_text() for name in ("vault", "audit", "jwt")}
    other = House(
        tmp_path / "other",
        DATABASE_URL=postgres.socket_url(house.home, "it0_app"),
        REDIS_URL=valkey.socket_url(house.home),
        VAULT_MASTER_KEY=keys["vault"],
        AUDIT_KEY=keys["audit"],
        JWT_SECRET=keys["jwt"],
    )
    other.start("bot")
    try:
        await asyncio.sleep(3)
        file = tmp_path / "count"
        card = await client.ask(f"/run local bash -c 'echo x >> {file}; sleep 1'")
        await client.click(f"approve:{card['body']['approval']['id']}")
        async with asyncio.timeout(10):
            while not file.exists():
                await asyncio.sleep(0.02)
        assert house.process
        house.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(6)  # dead after 1.5 s; the other takes over and asks the server
        async with house.database() as db:
            schema = await house.schema()
            states = [r[0] for r in await db.fetch(f"SELECT state FROM {schema}.run")]
        house.process.send_signal(signal.SIGCONT)
        await asyncio.sleep(2)
        await come_back(client)
        await client.until(lambda: client.of_kind(card["conversation"], "reply"))
        assert states == ["done"]
        assert file.read_text() == "x\n"
        assert len(client.of_kind(card["conversation"], "reply")) == 1
    finally:
        assert house.process
        house.process.send_signal(signal.SIGCONT)
        other.close()
