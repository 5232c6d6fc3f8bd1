"""Turns: every one ends with an answer, a restart repeats nothing, and what is typed meanwhile is heard."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from fakes.engine import ScriptedEngine, answers_at_once, run
from fakes.shell import ScriptedShell
from fakes.tools import ScriptedTools, server
from support.place import at_work, built, settings_for, until
from support.store import Store, add_user

from agent.engine import (
    Answer,
    ApprovalRequired,
    Completed,
    Engine,
    EngineEvent,
    Failed,
    Outcome,
    Request,
    Tools,
)
from agent.engines.direct import Direct
from bot.wiring import Parts, build
from core.errors import Refused, SetupError
from core.store import preferences
from core.texts import Say, say
from core.work import Action, Approval, Risk, Role, User

RESTART = "systemctl restart nginx"


def paused_steps(engine: ScriptedEngine) -> None:
    """Have the engine take one step, wait, and then look for what was typed."""

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        async for event in run(0, "uptime", tools):
            yield event
        if len(engine.requests) == 1:
            await engine.pause()
        yield Completed((f"{request.text} + {list(await tools.steering())}",))

    engine.script = script


async def test_message_typed_meanwhile_is_taken_in_at_the_next_step_and_not_handled_again(
    store: Store,
) -> None:
    engine = ScriptedEngine()
    paused_steps(engine)
    async with at_work(store, engine) as place:
        first = await place.send("look")
        await engine.reached.wait()
        second = await place.send("at the disk too")
        third = await place.send("and the memory")
        assert (second.fence, third.fence) == (None, None)
        engine.go.set()
        assert await place.replies(first) == [["look + ['at the disk too', 'and the memory']"]]
        steered = [row["body"] for row in await place.events(first) if row["kind"] == "steered"]
        assert steered == [{"seqs": [second.seq, third.seq]}]
        await asyncio.sleep(0.4)
        assert len(engine.requests) == 1
        assert await place.open_work() == []


async def test_message_typed_when_no_further_step_comes_starts_its_own_turn_afterwards(store: Store) -> None:
    engine = ScriptedEngine()

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        if request.text == "one":
            await engine.pause()
        yield Completed((f"did {request.text}",))

    engine.script = script
    async with at_work(store, engine) as place:
        first = await place.send("one")
        await engine.reached.wait()
        await place.send("two")
        await place.send("three")
        engine.go.set()
        assert await place.replies(first, 3) == [["did one"], ["did two"], ["did three"]]
        assert [request.text for request in engine.requests] == ["one", "two", "three"]


async def test_command_typed_meanwhile_is_no_steering_but_a_turn_of_its_own(store: Store) -> None:
    engine = ScriptedEngine()
    paused_steps(engine)
    async with at_work(store, engine) as place:
        first = await place.send("look")
        await engine.reached.wait()
        await place.send("/servers")
        await place.send("thanks")
        engine.go.set()
        replies = await place.replies(first, 3)
        assert replies[0] == ["look + []"]
        assert replies[1][0] == "servers.count"
        assert replies[2] == ["thanks + []"]


@pytest.mark.parametrize("command", ["／help", "、help"])
async def test_command_of_a_chinese_keyboard_is_no_steering_either(store: Store, command: str) -> None:
    engine = ScriptedEngine()
    paused_steps(engine)
    async with at_work(store, engine) as place:
        first = await place.send("look")
        await engine.reached.wait()
        await place.send(command)
        engine.go.set()
        assert (await place.replies(first, 2))[0] == ["look + []"]
        assert len(engine.requests) == 1


async def test_turn_that_raises_ends_with_a_sentence_and_frees_its_lane(store: Store) -> None:
    async def breaks(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        if request.text == "break":
            raise ZeroDivisionError("a secret detail")
        yield Completed(("fine",))

    async with at_work(store, ScriptedEngine(script=breaks)) as place:
        first = await place.send("break")
        assert await place.replies(first) == [["error.internal"]]
        await place.send("go on")
        assert (await place.replies(first, 2))[1] == ["fine"]


async def test_refusal_that_an_engine_raises_is_said_in_its_own_words(store: Store) -> None:
    async def refuses(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        yield Completed(()) if request.text == "never" else _raise()

    def _raise() -> EngineEvent:
        raise Refused("gate.no_servers")

    async with at_work(store, ScriptedEngine(script=refuses)) as place:
        assert await place.replies(await place.send("x")) == [["gate.no_servers"]]


async def test_turn_that_yields_nothing_ends_with_a_sentence(store: Store) -> None:
    async def silent(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        async for event in run(0, "uptime", tools):
            yield event

    async with at_work(store, ScriptedEngine(script=silent)) as place:
        assert await place.replies(await place.send("x")) == [["turn.no_answer"]]


async def test_failed_is_shown_and_the_turn_is_stored_as_failed(store: Store) -> None:
    async def fails(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        yield Failed(say("server.no_credential", server="web"), "no_credential")

    async with at_work(store, ScriptedEngine(script=fails)) as place:
        accepted = await place.send("x")
        assert await place.replies(accepted) == [["server.no_credential"]]
        rows = await store.as_owner(f"SELECT status, engine FROM {place.tenant.schema}.turn")
        assert [tuple(row) for row in rows] == [("failed", "scripted")]


async def test_turn_that_takes_too_long_is_interrupted_and_ends_with_a_sentence(store: Store) -> None:
    engine = ScriptedEngine()

    async def hangs(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        await asyncio.Event().wait()
        yield Completed(())

    engine.script = hangs
    async with at_work(store, engine, turn_timeout_s=1) as place:
        accepted = await place.send("x")
        assert await place.replies(accepted) == [["turn.timeout"]]
        assert len(engine.interrupted) == 1
        assert engine.running == 0


async def test_second_call_above_l0_is_not_run_while_l0_goes_on(store: Store) -> None:
    answers: list[Answer] = []

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        for no, command in enumerate((RESTART, "systemctl stop nginx", "uptime", "rm -rf /")):
            answers.append(await tools.call(no, "run_command", {"command": command, "servers": ["web"]}))
        yield ApprovalRequired(str(answers[0].approval_id))

    async with at_work(store, ScriptedEngine(script=script)) as place:
        accepted = await place.send("x")
        await until(lambda: _suspended(place, accepted))
        assert [answer.status for answer in answers] == ["waiting", "refused", "done", "refused"]
        refused = answers[1].parts[0]
        assert isinstance(refused, Say)
        assert refused.key == "gate.not_run_waiting"
        code = answers[0].parts[0].params["code"]  # type: ignore[union-attr]
        assert refused.params == {"code": code}
        assert [order.command for _, order in place.shell.started] == ["uptime"]
        cards = [row for row in await place.events(accepted) if row["kind"] == "card"]
        assert len(cards) == 1


async def _suspended(place, accepted) -> list[object]:  # type: ignore[no-untyped-def]
    """Return the suspended turns."""
    return await place.store.as_owner(f"SELECT 1 FROM {place.tenant.schema}.turn WHERE status = 'suspended'")


async def test_arguments_that_nobody_can_store_are_cleaned_before_they_are_judged_and_kept(
    store: Store,
) -> None:
    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        arguments = {"command": "df\0 -h \ud800", "servers": ["web"], "x\0": ["\0"]}
        for no, tool in enumerate(("run_command", "no\0tool")):
            await tools.call(no, tool, arguments)
        yield Completed(("done",))

    async with at_work(store, ScriptedEngine(script=script)) as place:
        accepted = await place.send("x")
        assert await place.replies(accepted) == [["done"]]
        kept = [row["body"] for row in await place.events(accepted) if row["kind"] == "tool"]
        assert [body["arguments"]["command"] for body in kept] == ["df\ufffd -h ?"] * 2
        assert [body["tool"] for body in kept] == ["run_command", "no\ufffdtool"]


async def asks(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
    """Ask for an approval."""
    arguments = {"command": RESTART, "servers": ["web"]}
    answer = await tools.call(0, "run_command", arguments)
    yield ApprovalRequired(str(answer.approval_id))


@pytest.mark.parametrize(("verb", "status"), [("approve", "approved"), ("reject", "rejected")])
async def test_outcome_goes_to_the_engine_that_asked_though_another_was_set_meanwhile(
    store: Store, verb: str, status: str
) -> None:
    asker, other = ScriptedEngine("asker", asks), ScriptedEngine("other")
    async with at_work(store, asker, other) as place:
        bob = await add_user(place.tenant, store.clock, "bob")
        accepted = await place.send("x")
        await until(lambda: _suspended(place, accepted))
        async with place.tenant.transaction() as tx:
            await preferences.put(tx, "engine", "other", store.clock(), None)
        approval_id = (await store.as_owner(f"SELECT id FROM {place.tenant.schema}.approval"))[0]["id"]
        await place.click(f"{verb}:{approval_id}", "bobs", bob)
        assert await place.replies(accepted) == [[f"asker goes on: {status}"]]
        ran = [order.command for _, order in place.shell.started]
        assert ran == ([RESTART] if verb == "approve" else [])
        assert [len(e.outcomes) for e in (asker, other)] == [1, 0]
        assert len(asker.outcomes[0].results) == len(ran)
        assert await place.replies(await place.send("y")) == [["heard y"]]
        assert len(other.requests) == 1


async def test_turn_that_is_run_again_after_a_crash_reads_its_answers_back(store: Store) -> None:
    shell, first, second = ScriptedShell(), ScriptedEngine(), ScriptedEngine()
    shell.on("uptime", stdout="up 3 days\n")
    seen: list[Answer] = []

    def twice(engine: ScriptedEngine) -> None:
        async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
            seen.append(await tools.call(0, "run_command", {"command": "uptime", "servers": ["web"]}))
            await engine.pause()
            seen.append(await tools.call(1, "run_command", {"command": "df -h", "servers": ["web"]}))
            yield Completed(("both",))

        engine.script = script

    twice(first)
    twice(second)
    second.go.set()
    async with built(store, first, shell=shell) as dying:
        await dying.app.workers.enter(alone=False)
        accepted = await dying.send("look")
        await first.reached.wait()
        await dying.app.workers.abandon()
        await dying.app.workers.leave()
    assert first.running == 0
    async with at_work(store, second, shell=shell) as place:
        assert await place.replies(accepted) == [["both"]]
        assert [r.turn_id for r in first.requests] == [r.turn_id for r in second.requests]
        assert seen[0] == seen[1]
        assert [order.command for _, order in shell.started] == ["uptime", "df -h"]
        kinds = [row["kind"] for row in await place.events(accepted)]
        assert kinds == ["tool", "result", "tool", "result", "reply"]


async def test_step_that_was_begun_when_the_process_died_is_asked_of_the_server_and_not_begun_again(
    store: Store,
) -> None:
    shell, first, second = ScriptedShell(), ScriptedEngine(), ScriptedEngine()
    shell.on("uptime", after_s=0.5)

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        answer = await tools.call(0, "run_command", {"command": "uptime", "servers": ["web"]})
        yield Completed((answer.data["results"][0]["state"],))

    first.script = second.script = script
    async with built(store, first, shell=shell) as dying:
        await dying.app.workers.enter(alone=False)
        accepted = await dying.send("look")
        await until(lambda: _started(shell))
        await dying.app.executor.leave()
        await dying.app.workers.abandon()
        await dying.app.workers.leave()
        async with at_work(store, second, shell=shell) as place:
            assert await place.replies(accepted) == [["done"]]
    assert len(shell.started) == 1


async def _started(shell: ScriptedShell) -> bool:
    return bool(shell.started)


async def test_message_with_a_secret_of_the_vault_is_not_run_and_not_kept(store: Store) -> None:
    engine = ScriptedEngine()
    async with at_work(store, engine) as place:
        await place.seal("pw", b"hunter2-Secret")
        typed = (
            "please use hunter2-Secret",
            "/run web echo hunter2-Secret",
            "/why hunter2-Secret",
            "/language hunter2-Secret",
        )
        for number, text in enumerate(typed):
            accepted = await place.send(text, thread=f"thread-{number}")
            assert await place.replies(accepted) == [["gate.secret_in_message"]]
        assert engine.requests == []
        assert place.shell.started == []
        schema = place.tenant.schema
        for table in ("event", "conversation", "audit", "run", "approval"):
            rows = await store.as_owner(f"SELECT t::text AS t FROM {schema}.{table} t")
            assert "hunter2" not in "".join(row["t"] for row in rows), table
        said = await store.as_owner(f"SELECT body FROM {schema}.event WHERE kind = 'said' ORDER BY at")
        assert json.loads(said[0]["body"])["text"] == "please use ‹redacted›"
        assert await place.open_work() == []


async def test_secret_that_is_typed_during_a_turn_is_taken_out_before_the_engine_hears_it(
    store: Store,
) -> None:
    engine = ScriptedEngine()
    paused_steps(engine)
    async with at_work(store, engine) as place:
        await place.seal("pw", b"hunter2-Secret")
        first = await place.send("look")
        await engine.reached.wait()
        await place.send("with hunter2-Secret")
        engine.go.set()
        assert await place.replies(first) == [["look + ['with ‹redacted›']"]]
        rows = await store.as_owner(f"SELECT body::text AS t FROM {place.tenant.schema}.event")
        assert "hunter2" not in "".join(row["t"] for row in rows)


async def test_secret_that_an_engine_says_is_not_shown(store: Store) -> None:
    async def tells(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        yield Completed(("it is hunter2-Secret", say("direct.bullet", text="hunter2-Secret")))

    async with at_work(store, ScriptedEngine(script=tells)) as place:
        await place.seal("pw", b"hunter2-Secret")
        accepted = await place.send("x")
        assert await place.replies(accepted) == [["it is ‹redacted›", "direct.bullet"]]
        assert "hunter2" not in str([dict(row) for row in await place.events(accepted)])


async def test_stopped_turn_is_interrupted_and_says_so(store: Store) -> None:
    engine = ScriptedEngine()

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        await engine.pause()
        yield Completed(("never",))

    engine.script = script
    async with at_work(store, engine) as place:
        first = await place.send("x")
        await engine.reached.wait()
        await place.send("/stop")
        replies = await place.replies(first, 2)
        assert sorted(replies) == [["stop.stopping"], ["turn.stopped"]]
        assert (engine.running, len(engine.interrupted)) == (0, 1)


async def test_engine_that_is_set_and_not_there_ends_the_start_with_a_sentence(store: Store) -> None:
    with pytest.raises(SetupError) as caught:
        async with build(settings_for(store, it0_engine="gpt"), store.app_url, None, "up", Parts()):
            pass
    assert caught.value.say == say("setup.unknown_engine", engine="gpt", engines="direct")


async def test_tenants_engine_that_is_gone_is_said_and_commands_still_work(store: Store) -> None:
    async with at_work(store, ScriptedEngine()) as place:
        async with place.tenant.transaction() as tx:
            await preferences.put(tx, "engine", "gone", store.clock(), None)
        assert await place.replies(await place.send("hello")) == [["turn.engine_gone"]]
        assert (await place.replies(await place.send("/servers")))[0][0] == "servers.count"


ASKER = User("u1", "ann", Role.ADMIN, "en")
REQUEST = Request("t1", "c1", ASKER, "/run web uptime")


def approval(status: str, kind: str = "run") -> Approval:
    """Return a settled approval."""
    action = Action(kind, RESTART, ("id-web",), ("",), ("",))  # type: ignore[arg-type]
    fields = dict.fromkeys(Approval.__slots__)
    known = {"id": "a1", "code": "K7", "status": status, "action": action, "level": Risk.L2, "step": 0}
    return Approval(**{**fields, **known, "turn_id": "t1", "conversation_id": "c1"})  # type: ignore[arg-type]


def scripted() -> ScriptedEngine:
    """Return an engine that takes a step."""

    async def script(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        async for event in run(0, "uptime", tools):
            yield event
        yield Completed(("done",))

    return ScriptedEngine(script=script)


class Hanging(ScriptedTools):
    """Tools whose calls never end. inside: how many are under way."""

    def __init__(self) -> None:
        super().__init__([server("web")])
        self.entered, self.inside = asyncio.Event(), 0

    async def call(self, no, tool, arguments):  # type: ignore[no-untyped-def]
        """Hang."""
        self.inside += 1
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.inside -= 1


@pytest.mark.parametrize("make", [lambda: Direct(), scripted], ids=["direct", "scripted"])
class TestContractOfEngines:
    """What every engine must do, whatever it thinks with."""

    @pytest.fixture
    def engine(self, make) -> Engine:  # type: ignore[no-untyped-def]
        """Return the engine."""
        return make()

    @pytest.mark.parametrize("text", ["/run web uptime", "uptime on web", "", "what?", "/nonsense", "你好"])
    @pytest.mark.parametrize("status", ["done", "refused", "failed"])
    async def test_last_event_and_only_the_last_is_an_end(
        self, engine: Engine, text: str, status: str
    ) -> None:
        tools = ScriptedTools([server("web")], Answer(status, ("ok",)))  # type: ignore[arg-type]
        events = [e async for e in engine.turn(Request("t1", "c1", ASKER, text), tools)]
        ends = [isinstance(e, ApprovalRequired | Completed | Failed) for e in events]
        assert ends == [False] * (len(events) - 1) + [True]

    @pytest.mark.parametrize("status", ["approved", "rejected", "expired", "cancelled"])
    @pytest.mark.parametrize("kind", ["run", "trust"])
    async def test_resume_ends_too(self, engine: Engine, status: str, kind: str) -> None:
        outcome = Outcome(approval(status, kind))
        events = [e async for e in engine.resume(REQUEST, outcome, ScriptedTools([server("web")]))]
        assert isinstance(events[-1], ApprovalRequired | Completed | Failed)

    async def test_cancelling_leaves_nothing_running(self, engine: Engine) -> None:
        tools = Hanging()
        before = asyncio.all_tasks()

        async def consume() -> None:
            async for _ in engine.turn(REQUEST, tools):
                pass

        task = asyncio.ensure_future(consume())
        await tools.entered.wait()
        task.cancel()
        await asyncio.wait({task})
        await engine.interrupt("t1")
        await asyncio.sleep(0)
        assert tools.inside == 0
        assert asyncio.all_tasks() <= before

    async def test_same_turn_asks_for_the_same_steps_again(self, engine: Engine) -> None:
        calls = []
        for _ in range(2):
            tools = ScriptedTools([server("web")])
            async for _event in engine.turn(REQUEST, tools):
                pass
            calls.append(tools.calls)
        assert calls[0] == calls[1] != []

    async def test_health_is_a_sentence_or_nothing(self, engine: Engine) -> None:
        found = await engine.health()
        assert found is None or isinstance(found, Say)


async def test_answer_without_a_script_is_what_was_heard() -> None:
    events = [e async for e in answers_at_once(REQUEST, ScriptedTools())]
    assert events == [Completed(("heard /run web uptime",))]
