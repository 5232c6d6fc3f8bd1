"""What is left of a command that was stopped, ran out of time, or outlived its process: on a real shell."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fakes.engine import ScriptedEngine, run
from support.place import Place, at_work, built, until
from support.store import Store

from agent.engine import Completed, EngineEvent, Request, Tools
from agent.shell.local import Local
from agent.shell.ssh import SshShell
from core.messages import Accepted
from core.store import preferences

TALKS = "echo begun; sleep 30"
CHANGES = f"touch begun; {TALKS}"


@pytest.fixture
async def hands(tmp_path: Path) -> AsyncIterator[SshShell]:
    """Return a shell on this machine with a home of its own."""
    shell = SshShell(local=Local(home=tmp_path))
    yield shell
    await shell.close()


def engine_for(command: str) -> ScriptedEngine:
    """Return an engine that takes one step."""

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        async for event in run(0, command, tools):
            yield event
        yield Completed(("done",))

    return ScriptedEngine(script=script)


async def records(place: Place) -> list[Any]:
    """Return what is stored of each server of each run."""
    return await place.store.as_owner(f"SELECT * FROM {place.tenant.schema}.run_target")


async def begun(folder: Path) -> None:
    """Wait until a command has printed: its marker has a process."""

    async def there() -> bool:
        return any(folder.glob(".it0/run/*/pid"))

    await until(there)
    await asyncio.sleep(1.2)


async def said_by(place: Place, accepted: Accepted) -> list[Any]:
    """Return the parts of the first reply after a message, as they are stored."""
    await place.replies(accepted)
    rows = [row for row in await place.events(accepted) if row["kind"] == "reply"]
    return list(rows[-1]["body"]["parts"])


async def test_stopped_command_leaves_its_output_and_its_true_duration(
    store: Store, hands: SshShell, tmp_path: Path
) -> None:
    async with at_work(store, shell=hands) as place:  # type: ignore[arg-type]
        accepted = await place.send(f"/run --timeout 30s web {TALKS.replace('; sleep', ' && sleep')}")
        await begun(tmp_path)
        await place.send("/stop")
        await place.replies(accepted, 2)
        kinds = [row["kind"] for row in await place.events(accepted)]
        assert (kinds.count("tool"), kinds.count("result")) == (1, 1)
        rows = [row for row in await place.events(accepted) if row["kind"] == "reply"]
        parts = next(row["body"]["parts"] for row in rows if row["body"]["parts"][0]["say"] == "turn.stopped")
        assert [part.get("say", part.get("code")) for part in parts] == [
            "turn.stopped",
            "run.stopped",
            "begun",
        ]
        assert float(parts[1]["params"]["seconds"]) >= 1.0
        (record,) = await records(place)
        assert (record["state"], record["stdout"]) == ("stopped", "begun\n")
        assert record["duration_ms"] >= 1000
        result = next(row for row in await place.events(accepted) if row["kind"] == "result")
        assert result["body"]["data"]["results"][0]["duration_ms"] == record["duration_ms"]


async def test_turn_that_runs_out_of_time_says_what_its_command_had_printed(
    store: Store, hands: SshShell
) -> None:
    async with at_work(store, engine_for("echo begun && sleep 30"), shell=hands, turn_timeout_s=2) as place:  # type: ignore[arg-type]
        parts = await said_by(place, await place.send("go"))
        keys = [part.get("say", part.get("code")) for part in parts]
        assert keys == ["turn.timeout", "run.stopped", "begun"]


async def test_command_that_runs_out_of_time_leaves_its_output(store: Store, hands: SshShell) -> None:
    async with at_work(store, shell=hands) as place:  # type: ignore[arg-type]
        parts = await said_by(place, await place.send("/run --timeout 1s web echo begun && sleep 30"))
        keys = [part if isinstance(part, str) else part.get("say", part.get("code")) for part in parts]
        assert keys[1:] == ["run.timeout", "begun"]
        assert float(parts[1]["params"]["seconds"]) >= 1.0


async def approval_of(place: Place) -> Any:
    """Wait for a request, and return it."""

    async def asked() -> Any:
        return await place.store.as_owner(f"SELECT * FROM {place.tenant.schema}.approval")

    return (await until(asked))[0]


async def test_stopped_act_leaves_its_output_and_says_so_in_its_events(
    store: Store, hands: SshShell, tmp_path: Path
) -> None:
    async with at_work(store, shell=hands) as place:  # type: ignore[arg-type]
        accepted = await place.send(f"/run web {CHANGES}")
        asked = await approval_of(place)
        await place.click(f"approve:{asked['id']}", "here", place.ann)
        await begun(tmp_path)
        await place.send("/stop")
        await place.replies(accepted, 2)
        (record,) = await records(place)
        assert (record["state"], record["stdout"]) == ("stopped", "begun\n")
        assert record["duration_ms"] >= 1000
        by_kind = {row["kind"]: row["body"] for row in await place.events(accepted)}
        result = {"server": "web", "state": "stopped", "exit_code": record["exit_code"]}
        for kind in ("performed", "decided"):
            assert by_kind[kind]["approval_id"] == asked["id"]
            assert by_kind[kind]["results"] == [{**result, "duration_ms": record["duration_ms"]}]


async def test_command_that_outlived_its_process_has_its_duration_and_says_that_output_is_missing(
    store: Store, hands: SshShell, tmp_path: Path
) -> None:
    command = "echo begun && sleep 2"
    async with built(store, engine_for(command), shell=hands) as dying:  # type: ignore[arg-type]
        await dying.app.workers.enter(alone=False)
        accepted = await dying.send("go")
        await begun(tmp_path)
        await dying.app.executor.leave()
        await dying.app.workers.abandon()
        await dying.app.workers.leave()
        again = SshShell(local=Local(home=tmp_path))
        async with at_work(store, engine_for(command), shell=again) as place:  # type: ignore[arg-type]
            await place.replies(accepted)
            events = await place.events(accepted)
            assert [row["kind"] for row in events] == ["tool", "result", "reply"]  # the step stands once
            parts = events[1]["body"]["parts"]
            assert [part["say"] for part in parts] == ["run.ok", "run.restarted"]
            assert 1.9 <= float(parts[0]["params"]["seconds"]) < 4


@pytest.mark.parametrize("change", ["removed", "halted", "sealed"])
async def test_act_that_was_begun_is_never_called_refused_by_what_changed_since(
    store: Store, hands: SshShell, tmp_path: Path, change: str
) -> None:
    async with at_work(store, shell=hands) as dying:  # type: ignore[arg-type]
        accepted = await dying.send("/run web touch begun; echo begun; sleep 3")
        asked = await approval_of(dying)
        await dying.click(f"approve:{asked['id']}", "here", dying.ann)
        await begun(tmp_path)
        if change == "halted":
            async with dying.tenant.transaction() as tx:
                await preferences.put(tx, "halted_by", "ann", store.clock(), dying.ann.id)
        if change == "sealed":
            await dying.app.fleet.credentials.add(
                dying.tenant, dying.ann, "pw", "ssh_password", b"touch begun"
            )
        if change == "removed":
            server = await dying.app.fleet.server(dying.tenant, "web")
            await dying.app.fleet.remove_server(dying.tenant, dying.ann, server)
    again = SshShell(local=Local(home=tmp_path))
    async with at_work(store, shell=again) as place:  # type: ignore[arg-type]
        await place.replies(accepted)
        performed = next(row for row in await place.events(accepted) if row["kind"] == "performed")
        state = {"halted": "stopped", "sealed": "done", "removed": "unknown"}[change]
        assert performed["body"]["refusal"] is None
        assert [each["state"] for each in performed["body"]["results"]] == [state]
