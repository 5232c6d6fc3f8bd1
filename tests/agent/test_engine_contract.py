"""What every engine does in a whole it0, whatever it thinks with: looks, suspends, resumes, stops, ends."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from fakes.engine import ScriptedEngine
from fakes.shell import Answer
from pydantic import SecretStr
from support.model_double import ModelDouble, Status, run_on, serving
from support.place import Place, at_work, until
from support.store import Store, add_user

from agent.engine import ApprovalRequired, Completed, EngineEvent, Request, ToolResult, Tools, ToolUse
from agent.engines import messages_api
from core.errors import Unavailable

LOOK, CHANGE = "uptime on web", "restart nginx on web"
COMMANDS = {LOOK: "uptime", CHANGE: "systemctl restart nginx"}
Enter = Callable[..., Any]


def obeys(body: dict[str, Any]) -> list[Any]:
    """Answer for a model: do what the last person asked for, and then say so."""
    said = [block for message in body["messages"] for block in message["content"]]
    asked = max(at for at, block in enumerate(said) if block.get("text") in COMMANDS)
    if any(block["type"] == "tool_use" for block in said[asked:]):
        return ["That is done."]
    return [run_on("web", COMMANDS[said[asked]["text"]])]


async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
    """Do the same without a model."""
    arguments = {"command": COMMANDS[request.text], "servers": ["web"]}
    yield ToolUse(0, "run_command", arguments)
    answer = await tools.call(0, "run_command", arguments)
    yield ToolResult(0, answer)
    if answer.approval_id:
        yield ApprovalRequired(answer.approval_id)
    else:
        yield Completed(answer.parts or ("That is done.",))


@pytest.fixture(params=["direct", "claude_api", "fallback", "scripted"])
async def enter(request: pytest.FixtureRequest, store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what enters a process that thinks with one of the engines; fallback: its model is away."""
    kind = request.param
    monkeypatch.setattr(messages_api, "PAUSES_S", (0.01,))
    async with AsyncExitStack() as stack:

        async def entered(**values: Any) -> Place:
            engines = [ScriptedEngine(script=script)] if kind == "scripted" else []
            if kind in ("claude_api", "fallback"):
                answer = Status(529) if kind == "fallback" else obeys
                double = await stack.enter_async_context(serving(ModelDouble([answer])))
                values["anthropic_api_key"] = SecretStr("sk-test")
                values["anthropic_base_url"] = SecretStr(double.url)
            return await stack.enter_async_context(at_work(store, *engines, **values))

        entered.kind = kind  # type: ignore[attr-defined]
        yield entered


async def turns(place: Place) -> list[str]:
    """Return how each turn stands, in order."""
    rows = await place.store.as_owner(
        f'SELECT status FROM "it0_t_{place.tenant.id}".turn ORDER BY started_at'
    )
    return [row["status"] for row in rows]


async def card(place: Place, accepted: Any) -> str:
    """Wait for the card and return its approval."""

    async def posted() -> str | None:
        found = [row for row in await place.events(accepted) if row["kind"] == "card"]
        return str(found[0]["body"]["approval_id"]) if found else None

    return str(await until(posted))


def commands(place: Place) -> list[str]:
    """Return what was begun on servers."""
    return [order.command for _, order in place.shell.started]


class TestContractOfEngines:
    """The same for each."""

    async def test_a_look_runs_once_and_the_turn_is_completed(self, enter: Enter) -> None:
        place = await enter()
        assert len(await place.replies(await place.send(LOOK))) == 1
        assert commands(place) == ["uptime"]
        assert await turns(place) == ["completed"]

    async def test_a_change_suspends_and_an_approval_runs_it_once_and_resumes(self, enter: Enter) -> None:
        place = await enter()
        asked = await place.send(CHANGE)
        if enter.kind == "fallback":  # without its model nothing is changed on free text
            assert "gate.only_reads" in (await place.replies(asked))[0]
            return
        approval = await card(place, asked)
        assert commands(place) == []
        await until(lambda: stands(place, ["suspended"]))
        await place.click(f"approve:{approval}", "here", place.ann)
        assert len(await place.replies(asked)) == 1
        assert commands(place) == [COMMANDS[CHANGE]]
        await until(lambda: stands(place, ["suspended", "completed"]))

    async def test_a_rejection_resumes_and_runs_nothing(self, enter: Enter) -> None:
        place = await enter()
        asked = await place.send(CHANGE)
        if enter.kind != "fallback":
            await place.click(f"reject:{await card(place, asked)}", "here", place.ann)
        assert len(await place.replies(asked)) == 1
        assert commands(place) == []

    async def test_a_stop_ends_the_command_and_the_turn(self, enter: Enter) -> None:
        place = await enter()
        place.shell.on("uptime", Answer(hang=True))
        asked = await place.send(LOOK)
        await until(lambda: begun(place))
        await place.send("/stop")
        replies = await until(lambda: said(place, asked, "turn.stopped"))
        assert replies
        assert "stopped" in await turns(place)
        assert len(place.shell.stopped) == 1

    async def test_words_typed_meanwhile_are_not_lost(self, enter: Enter) -> None:
        place = await enter()
        place.shell.on("uptime", Answer(after_s=0.4))
        asked = await place.send(LOOK)
        await until(lambda: begun(place))
        await place.send(LOOK)
        await place.replies(asked)
        await until(lambda: nothing_open(place))
        events = await place.events(asked)
        steered = sum(len(row["body"]["seqs"]) for row in events if row["kind"] == "steered")
        assert steered + len(await place.words(asked)) == 2

    async def test_a_server_that_cannot_be_reached_is_said_and_the_turn_ends(self, enter: Enter) -> None:
        place = await enter()
        place.shell.on("uptime", Answer(error=Unavailable("shell.unreachable", server="web", reason="x")))
        assert len(await place.replies(await place.send(LOOK))) == 1
        assert not await place.open_work()

    async def test_a_turn_that_takes_too_long_ends_and_says_so(self, enter: Enter) -> None:
        place = await enter(turn_timeout_s=0.5)
        place.shell.on("uptime", Answer(hang=True))
        asked = await place.send(LOOK)
        assert await until(lambda: said(place, asked, "turn.timeout"))
        assert await turns(place) == ["failed"]

    async def test_who_may_only_watch_causes_nothing(self, enter: Enter) -> None:
        place = await enter()
        vic = await add_user(place.tenant, place.store.clock, "vic", "viewer")
        assert len(await place.replies(await place.send(CHANGE, "vics", vic))) == 1
        assert commands(place) == []


async def stands(place: Place, expected: list[str]) -> bool:
    """Return whether the turns are so."""
    return await turns(place) == expected


async def begun(place: Place) -> bool:
    """Return whether something runs on a server."""
    return bool(place.shell.started)


async def nothing_open(place: Place) -> bool:
    """Return whether all work is done."""
    return not await place.open_work()


async def said(place: Place, accepted: Any, key: str) -> bool:
    """Return whether a reply has this sentence."""
    return any(key in parts for parts in await place.words(accepted))
