"""A pasted secret is kept nowhere: not in the history, the log, the audit, and no model is told."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakes.engine import ScriptedEngine
from support.place import Place, at_work, built, until
from support.store import Store, actions

from agent.engine import Completed, EngineEvent, Request, Tools
from agent.redaction.redact import HIDDEN

MARK = "Zq7Xw9"
PASTED = {
    "private_key": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{MARK}\n-----END OPENSSH PRIVATE KEY-----",
    "cloud_key": f"aws_secret_access_key={MARK}{'a' * 34}",
    "token": f"use sk-ant-api03-{MARK}{'b' * 30}",
    "password": f"password={MARK}hunter",
}


async def hears(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
    """Yield what was heard."""
    yield Completed((f"heard {request.text}",))


@pytest.fixture
async def place(store: Store) -> AsyncIterator[Place]:
    """Yield a process that runs, with an engine that repeats what it is told."""
    async with at_work(store, ScriptedEngine(script=hears)) as place:
        yield place


async def notice(place: Place, text: str) -> list[Any]:
    """Say something and return the keys of the notice that follows."""
    accepted = await place.send(text)

    async def told() -> list[Any]:
        return await place.words(accepted, "notice")

    return (await until(told))[0]


async def tables_with(place: Place, mark: str) -> list[str]:
    """Return the tables in which ``mark`` stands."""
    names = await place.store.as_owner(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname LIKE 'it0%'"
    )
    found = []
    for schema, table in names:
        rows = await place.store.as_owner(
            f'SELECT 1 FROM "{schema}"."{table}" t WHERE t::text LIKE $1',
            f"%{mark}%",
        )
        found += [table] if rows else []
    return found


@pytest.mark.parametrize("kind", PASTED)
async def test_a_secret_pasted_on_the_console_is_kept_nowhere_and_its_owner_is_told(
    place: Place, kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    said = await notice(place, PASTED[kind])
    assert said == ["withheld.not_kept", "withheld.rotate", "withheld.store"]
    assert await tables_with(place, MARK) == []
    assert "message.withheld" in await actions(place.tenant)
    assert MARK not in caplog.text + "".join(capfd.readouterr())
    assert (await place.replies(await place.send("hello")))[0] == ["heard hello"]


async def test_a_secret_that_comes_again_is_answered_once(place: Place) -> None:
    first = await place.send(PASTED["password"], event_id="e1")
    again = await place.send(PASTED["password"], event_id="e1")
    assert (again.repeat, again.seq) == (True, first.seq)
    assert (await place.replies(await place.send("hello")))[0] == ["heard hello"]
    assert len(await place.words(first, "notice")) == 1


async def test_it0s_own_keys_and_tokens_are_secrets_to_everybody(store: Store) -> None:
    own = {"anthropic_api_key": "own-model-key-1", "telegram_bot_token": "4242:own-bot-token"}
    database = "postgres://it0:own-db-password@db/it0"
    async with built(store) as place:
        settings = type(place.app.settings)(database_url=database, **own)  # type: ignore[arg-type]
        assert {b"own-model-key-1", b"4242:own-bot-token", b"own-db-password"} <= set(settings.secrets)
        key = place.app.settings.vault_master_key
        assert key is not None
        redact = await place.app.executor.redact(place.tenant)
        assert redact(f"key {key.get_secret_value()}") == f"key {HIDDEN}"
