"""A suspended tenant: nothing is begun or decided there, but what runs can be stopped."""

from collections.abc import AsyncIterator

import pytest
from fakes.engine import ScriptedEngine
from support.place import Place, at_work
from support.store import Store, actions

from agent.engine import ApprovalRequired, Completed, EngineEvent, Request, Tools


async def suspend(place: Place) -> None:
    """Suspend the tenant, as the command line does."""
    await place.store.as_owner(
        "UPDATE it0_shared.tenant SET status = 'suspended' WHERE id = $1", place.tenant.id
    )
    place.app.tenants.forget(place.tenant.id)


async def asks(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
    """Ask for an approval."""
    answer = await tools.call(0, "run_command", {"command": "touch /tmp/x", "servers": ["web"]})
    yield ApprovalRequired(str(answer.approval_id))


@pytest.mark.parametrize("verb", ["approve", "reject"])
async def test_click_in_a_suspended_tenant_decides_nothing_and_is_on_record(store: Store, verb: str) -> None:
    async with at_work(store, ScriptedEngine(script=asks)) as place:
        accepted = await place.send("x")
        while not (rows := await store.as_owner(f"SELECT * FROM {place.tenant.schema}.approval")):
            assert accepted
        await suspend(place)
        clicked = await place.click(f"{verb}:{rows[0]['id']}", "there", place.ann)
        assert await place.replies(clicked) == [["error.tenant_suspended"]]
        assert "approval.refused" in await actions(place.tenant)
        after = await store.as_owner(f"SELECT status FROM {place.tenant.schema}.approval")
        assert [row["status"] for row in after] == ["pending"]


@pytest.mark.parametrize("word", ["/stop", "stop", "停止"])
async def test_what_runs_in_a_suspended_tenant_can_be_stopped(store: Store, word: str) -> None:
    engine = ScriptedEngine()

    async def waits(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        await engine.pause()
        yield Completed(("never",))

    engine.script = waits
    async with at_work(store, engine) as place:
        first = await place.send("x")
        await engine.reached.wait()
        await suspend(place)
        await place.send(word)
        assert sorted(await place.replies(first, 2)) == [["stop.stopping"], ["turn.stopped"]]
        await place.send("look", thread="elsewhere")
        assert len(engine.requests) == 1
