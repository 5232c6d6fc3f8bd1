"""Each safeguard is switched off once, to show that the fault it stands against then happens.

What is switched off is taken out of the database, or out of the composition of the process, never patched.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.house import Client, House


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


async def alter(house: House, statement: str) -> None:
    """Change the database as its owner; ``{schema}`` stands for the tenant's."""
    schema = await house.schema()
    async with house.database() as db:
        await db.execute(statement.format(schema=schema))


async def send_twice(client: Client, text: str) -> str:
    """Deliver one event twice; return its conversation."""
    message = {"type": "say", "id": secrets.token_hex(8), "conversation": None}
    message |= {"thread": secrets.token_hex(8), "text": text}  # type: ignore[dict-item]
    await client._send(message)
    await client._send(message)
    accepted = await client.until(lambda: client.accepted.get(str(message["id"])))
    await client.until(lambda: client.answer(accepted))
    await asyncio.sleep(1)
    return str(accepted["conversation"])


@pytest.mark.parametrize("guarded", [True, False])
async def test_unique_event_keeps_a_repeat_from_being_answered_again(
    busy: tuple[House, Client], guarded: bool
) -> None:
    house, client = busy
    if not guarded:  # the event's id no longer tells a repeat
        await alter(
            house,
            "CREATE FUNCTION it0_shared.forget() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.event_id := NEW.event_id || random(); RETURN NEW; END $$",
        )
        await alter(
            house,
            "CREATE TRIGGER forget BEFORE INSERT ON it0_shared.inbox"
            " FOR EACH ROW EXECUTE FUNCTION it0_shared.forget()",
        )
    conversation = await send_twice(client, "/run local uptime")
    assert len(client.of_kind(conversation, "reply")) == (1 if guarded else 2)


@pytest.mark.parametrize("changed", [False, True])
async def test_digest_keeps_a_changed_act_from_running(
    busy: tuple[House, Client], tmp_path: Path, changed: bool
) -> None:
    """Somebody alters the stored command between the request and the click."""
    house, client = busy
    card = await client.ask(f"/run local touch {tmp_path}/asked")
    if changed:
        await alter(house, "UPDATE {schema}.approval SET action = replace(action, 'asked', 'altered')")
    await client.click(f"approve:{card['body']['approval']['id']}")
    await client.until(lambda: client.of_kind(card["conversation"], "reply"))
    assert (tmp_path / "asked").exists() is not changed
    assert not (tmp_path / "altered").exists()


@pytest.mark.parametrize("guarded", [True, False])
async def test_settled_state_keeps_an_approval_from_being_used_again(
    busy: tuple[House, Client], tmp_path: Path, guarded: bool
) -> None:
    """Without settled state, vote, run row and marker a second click runs it again."""
    house, client = busy
    file = tmp_path / "count"
    card = await client.ask(f"/run local bash -c 'echo x >> {file}'")
    button = f"approve:{card['body']['approval']['id']}"
    await client.click(button)
    await client.until(lambda: client.of_kind(card["conversation"], "reply"))
    if not guarded:
        await alter(house, "UPDATE {schema}.approval SET status='pending', approvals=0")
        for table in ("vote", "run_target", "run", "it0_shared.inbox"):
            where = table if "." in table else f"{{schema}}.{table}"
            await alter(house, f"DELETE FROM {where}")
        await asyncio.to_thread(forget_markers, house)
    await client.click(button)
    await asyncio.sleep(2)
    assert file.read_text() == ("x\n" if guarded else "x\nx\n")


async def test_marker_on_the_server_alone_keeps_a_run_from_starting_again(
    busy: tuple[House, Client], tmp_path: Path
) -> None:
    """As above, but the marker is left: it is the last line, and it holds."""
    house, client = busy
    file = tmp_path / "count"
    card = await client.ask(f"/run local bash -c 'echo x >> {file}'")
    button = f"approve:{card['body']['approval']['id']}"
    await client.click(button)
    await client.until(lambda: client.of_kind(card["conversation"], "reply"))
    await alter(house, "UPDATE {schema}.approval SET status='pending', approvals=0")
    for table in ("{schema}.vote", "{schema}.run_target", "{schema}.run", "it0_shared.inbox"):
        await alter(house, f"DELETE FROM {table}")
    await client.click(button)
    await client.until(lambda: len(client.of_kind(card["conversation"], "reply")) >= 2)
    assert file.read_text() == "x\n"


async def test_runs_row_alone_keeps_a_run_from_starting_again(
    busy: tuple[House, Client], tmp_path: Path
) -> None:
    """As above, but the run's row is left and the marker is gone."""
    house, client = busy
    file = tmp_path / "count"
    card = await client.ask(f"/run local bash -c 'echo x >> {file}'")
    button = f"approve:{card['body']['approval']['id']}"
    await client.click(button)
    await client.until(lambda: client.of_kind(card["conversation"], "reply"))
    await alter(house, "UPDATE {schema}.approval SET status='pending', approvals=0")
    for table in ("{schema}.vote", "it0_shared.inbox"):
        await alter(house, f"DELETE FROM {table}")
    await asyncio.to_thread(forget_markers, house)
    await client.click(button)
    await client.until(lambda: len(client.of_kind(card["conversation"], "reply")) >= 2)
    assert file.read_text() == "x\n"


def forget_markers(house: House) -> None:
    """Remove the markers that the house's runs left."""
    for marker in (house.target / ".it0" / "run").glob("*"):
        for file in marker.glob("*"):
            file.unlink()
        marker.rmdir()
