"""Rights that change while a turn runs, and words of others that come in meanwhile."""

from collections.abc import AsyncIterator

import pytest
from fakes.engine import ScriptedEngine, run
from support.bench import make_bench
from support.place import Place, at_work, until
from support.store import Store, add_user

from agent.engine import ApprovalRequired, Completed, EngineEvent, Outcome, Request, Tools
from core.errors import Refused
from core.work import Role


def looks_twice(engine: ScriptedEngine) -> None:
    """Have the engine look, wait, look again, and tell what was typed."""

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        async for event in run(0, "uptime", tools):
            yield event
        if len(engine.requests) == 1:
            await engine.pause()
        answer = await tools.call(1, "run_command", {"command": "df", "servers": ["web"]})
        yield Completed((f"{answer.status} {list(await tools.steering())}",))

    engine.script = script


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN])
async def test_what_another_person_types_meanwhile_is_a_turn_of_their_own(store: Store, role: Role) -> None:
    engine = ScriptedEngine()
    looks_twice(engine)
    async with at_work(store, engine) as place:
        bob = await add_user(place.tenant, store.clock, "bob", role)
        first = await place.send("look")
        await engine.reached.wait()
        await place.send("and at the disk", user=place.ann)
        await place.send("restart it all", user=bob)
        await place.send("thanks", user=place.ann)
        engine.go.set()
        replies = await place.replies(first, 2)
        assert replies[0] == ["done ['and at the disk']"]
        assert [(each.user.name, each.text) for each in engine.requests][:2] == [
            ("ann", "look"),
            ("bob", "restart it all"),
        ]


async def lose(place: Place, how: str) -> None:
    """Take from bob, or from the whole tenant, the right to have anything run."""
    match how:
        case "let out":
            await place.app.staff.change(place.tenant, None, "bob", role=None, active=False)
        case "viewer":
            await place.app.staff.change(place.tenant, None, "bob", role="viewer", active=None)
        case "suspended":
            set_status = "UPDATE it0_shared.tenant SET status = 'suspended' WHERE id = $1"
            await place.store.as_owner(set_status, place.tenant.id)


@pytest.mark.parametrize("how", ["let out", "viewer", "suspended"])
@pytest.mark.parametrize("command", ["df", "touch /tmp/x"])
async def test_right_that_is_lost_while_a_turn_runs_is_lost_to_the_turn(
    store: Store, how: str, command: str
) -> None:
    engine = ScriptedEngine()

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        await engine.pause()
        answer = await tools.call(0, "run_command", {"command": command, "servers": ["web"]})
        yield Completed((f"{answer.status}",))

    engine.script = script
    async with at_work(store, engine) as place:
        bob = await add_user(place.tenant, store.clock, "bob", Role.OPERATOR)
        first = await place.send("look", user=bob)
        await engine.reached.wait()
        await lose(place, how)
        engine.go.set()
        assert await place.replies(first) == [["refused"]]
        assert place.shell.started == []
        assert await store.as_owner(f"SELECT * FROM {place.tenant.schema}.approval") == []


class Verifies(ScriptedEngine):
    """Asks for a change, and looks after it."""

    async def resume(self, request: Request, outcome: Outcome, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Look whether it worked."""
        answer = await tools.call(0, "run_command", {"command": "df", "servers": ["web"]})
        yield Completed((f"{request.user.name} {answer.status}",))


async def asks(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
    """Ask for an approval."""
    answer = await tools.call(0, "run_command", {"command": "touch /tmp/x", "servers": ["web"]})
    yield ApprovalRequired(str(answer.approval_id))


@pytest.mark.parametrize(("how", "said"), [("", "bob done"), ("let out", " refused"), ("viewer", " refused")])
async def test_turn_goes_on_after_an_approval_with_the_rights_of_who_asked(
    store: Store, how: str, said: str
) -> None:
    async with at_work(store, Verifies(script=asks)) as place:
        bob = await add_user(place.tenant, store.clock, "bob", Role.OPERATOR)
        first = await place.send("make it", user=bob)
        table = f"{place.tenant.schema}.approval"
        ((found,),) = await until(lambda: store.as_owner(f"SELECT id FROM {table}"))
        await lose(place, how)
        await place.click(f"approve:{found}", "there", place.ann)
        ((words,),) = await place.replies(first)
        assert words.endswith(said)
        assert [order.command for _, order in place.shell.started][:1] == ["touch /tmp/x"]


@pytest.mark.parametrize("tool", ["run_command", "write_file", "send_file"])
async def test_what_was_approved_does_not_begin_in_a_tenant_that_is_suspended_by_then(
    store: Store, tool: str
) -> None:
    bench = await make_bench(store)
    await bench.knows("127.0.0.1")
    arguments = {
        "run_command": {"servers": ["web"], "command": "touch /tmp/x"},
        "write_file": {"server": "web", "path": "/tmp/x", "content": "x"},
        "send_file": {"server": "web", "path": "/etc/app.conf"},
    }
    bench.shell.on(".*", stdout="it0-file new -\n/tmp/x\n")
    answer = await bench(tool, **arguments[tool])
    begun = len(bench.shell.started)
    await store.as_owner("UPDATE it0_shared.tenant SET status = 'suspended'")
    with pytest.raises(Refused, match="suspended"):
        await bench.gate.perform(bench.work, await bench.asked(answer))
    assert len(bench.shell.started) == begun
