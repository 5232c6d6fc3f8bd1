"""The toolbox: the tools of one turn, each call journalled, so that a restart repeats nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from agent.context import Call, Desk, Work
from agent.engine import Answer
from agent.fleet.servers import Fleet
from agent.gate.answers import answer_of
from agent.gate.gate import Gate
from agent.memory import MESSAGE
from agent.redaction.stored import parts_without_secrets, storable, without_secrets
from core.errors import Fenced, It0Error, StoreUnavailable
from core.messages import Part, Progress, command_word
from core.store import inbox, log, turns, usage
from core.store.database import Row, Transaction
from core.store.log import Event
from core.store.turns import Turn
from core.texts import say
from core.work import Risk, Server

STEERABLE = "said"

TRANSCRIPT = 2_000
"""Events that a model may look back on; its memory cuts further by their length."""

NEWEST = 2**62


class Tool(Protocol):
    """Something that an engine can do: one definition, from which every engine's form is made."""

    @property
    def name(self) -> str:
        """Return its name in lower case with underscores."""
        ...

    @property
    def description(self) -> str:
        """Return what it does, in English, for a model."""
        ...

    @property
    def arguments(self) -> type[BaseModel]:
        """Return the type that checks its arguments."""
        ...

    async def __call__(self, call: Call, arguments: Any) -> Answer:
        """Answer a call with checked arguments; It0Errors become refusals."""
        ...


@dataclass(slots=True)
class Toolbox:
    """The tools, bound to one turn.

    journal: what this turn's steps came to before its process died; open: steps that were begun and are
    not answered yet, by this process or by the one before.
    """

    work: Work
    desk: Desk
    gate: Gate
    fleet: Fleet
    tools: Mapping[str, Tool]
    engine: str
    started_at: datetime
    journal: Mapping[int, Answer] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    waits_for: str = ""
    stepped: bool = False

    async def call(self, no: int, tool: str, arguments: Mapping[str, Any], most: Risk = Risk.L3) -> Answer:
        """Answer step ``no`` of the turn, once; what is judged and run is what can be stored."""
        tool, arguments = storable(tool), storable(arguments)
        if no in self.journal:
            answer = self.journal[no]
        else:
            redact = await self.gate.redact(self.work.tenant)
            if no not in self.open:
                await self._begin(no, tool, without_secrets(arguments, redact))
            answer = await self._answer(no, tool, arguments, most)
            answer = replace(answer, parts=parts_without_secrets(answer.parts, redact))
            await self._end(no, answer)
        if answer.status == "waiting":
            self.waits_for = str(answer.parts[0].params["code"]) if answer.parts else "?"  # type: ignore[union-attr]
        return answer

    async def cut_off(self) -> tuple[Part, ...]:
        """Answer the steps that were under way when the turn was ended; return what they had come to."""
        parts: list[Part] = []
        for no in sorted(self.open):
            if results := await self.gate.begun.results(self.work, no):
                answer = answer_of(results)
                await self._end(no, answer)
                parts += answer.parts
        return tuple(parts)

    async def _answer(self, no: int, name: str, arguments: Mapping[str, Any], most: Risk) -> Answer:
        tool = self.tools.get(name)
        if tool is None:
            return Answer("refused", (say("tool.unknown", tool=name),))
        try:
            checked = tool.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            return Answer("refused", (say("tool.bad_arguments", tool=name, wrong=wrong),))
        try:
            return await tool(Call(self.work, no, self.waits_for, most), checked)
        except (Fenced, StoreUnavailable):
            raise  # it may have run: only whoever takes the turn up again can tell
        except It0Error as error:
            return Answer("refused", (error.say,))

    async def _begin(self, no: int, tool: str, arguments: Mapping[str, Any]) -> None:
        body = {"no": no, "tool": tool, "arguments": dict(arguments)}
        work = self.work
        async with work.tenant.transaction() as tx:
            await self._note_running(tx)
            await log.append(tx, work.conversation_id, [Event("tool", body, work.turn_id)], self.desk.clock())
            await inbox.check_fence(tx, work.taken, self.desk.me)
        self.open.add(no)
        self.desk.grown(work.tenant.id, work.conversation_id)

    async def _note_running(self, tx: Transaction) -> None:
        if self.stepped:
            return
        await turns.write(tx, self.turn("running"))
        self.stepped = True

    def turn(self, status: str, ended_at: datetime | None = None, approval_id: str | None = None) -> Turn:
        """Return the state of this turn."""
        work = self.work
        here, asker = work.conversation_id, work.user.id
        return Turn(work.turn_id, here, asker, self.engine, status, self.started_at, ended_at, approval_id)

    async def _end(self, no: int, answer: Answer) -> None:
        body = {"no": no, **answer.as_json()}
        work = self.work
        async with work.tenant.transaction() as tx:
            await log.append(
                tx, work.conversation_id, [Event("result", body, work.turn_id)], self.desk.clock()
            )
            await inbox.check_fence(tx, work.taken, self.desk.me)
        self.open.discard(no)
        self.desk.grown(work.tenant.id, work.conversation_id)

    async def transcript(self) -> Sequence[Row]:
        """Return the conversation's newest events, in order."""
        async with self.work.tenant.reading() as db:
            return await log.events_before(db, self.work.conversation_id, NEWEST, TRANSCRIPT)

    async def keep(self, message: Mapping[str, Any]) -> None:
        """Store a message of the turn and count what it used."""
        work, at = self.work, self.desk.clock()
        async with work.tenant.transaction() as tx:
            await self._note_running(tx)
            await log.append(tx, work.conversation_id, [Event(MESSAGE, message, work.turn_id)], at)
            if used := message.get("usage"):
                await usage.add(tx, at, self.engine, message["model"], used, message["usd"])
            await inbox.check_fence(tx, work.taken, self.desk.me)
        self.desk.grown(work.tenant.id, work.conversation_id)

    async def steering(self) -> Sequence[str]:
        """Return what was typed during the turn; it counts as handled by this turn from here."""
        work = self.work
        redact = await self.gate.redact(work.tenant)
        async with work.tenant.transaction() as tx:
            seqs = await inbox.waiting(tx, work.tenant.id, work.conversation_id)
            rows = [await log.event_at(tx, work.conversation_id, seq) for seq in seqs]
            mine = {seq: redact.known(text) for seq, text in _typed_first(rows, work.user.id).items()}
            taken = await inbox.take_into_turn(tx, work.tenant.id, work.conversation_id, list(mine))
            for row in rows:
                if row is not None and row["seq"] in taken and mine[row["seq"]] != row["body"]["text"]:
                    await log.retell(tx, work.conversation_id, row["seq"], mine[row["seq"]])
            if taken:
                body = {"seqs": taken}
                await log.append(
                    tx, work.conversation_id, [Event("steered", body, work.turn_id)], self.desk.clock()
                )
            await inbox.check_fence(tx, work.taken, self.desk.me)
        return [mine[seq] for seq in taken]

    async def servers(self) -> Sequence[Server]:
        """Return the tenant's servers and clusters."""
        tenant = self.work.tenant
        clusters = await self.fleet.clusters.targets(tenant) if self.work.opening.clusters else []
        # Servers change while a turn is under way; until its first step it is as it was opened.
        state = None if self.stepped else self.work.opening.fleet
        return [*await self.fleet.servers(tenant, state), *clusters]

    async def show(self, progress: Progress) -> None:
        """Show a piece to whoever looks on."""
        await self.work.live.update(progress)

    def schemas(self) -> Sequence[Mapping[str, Any]]:
        """Return name, description and JSON Schema of every tool."""
        return [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": _schema(tool.arguments),
            }
            for tool in self.tools.values()
        ]


class _Untitled(GenerateJsonSchema):
    """Leaves out titles: a model has the names already, and each request would carry them."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False."""
        return False


@cache
def _schema(arguments: type[BaseModel]) -> Mapping[str, Any]:
    """Return a JSON Schema, one for all turns: each of a thousand that wait would hold its own."""
    schema = arguments.model_json_schema(schema_generator=_Untitled)
    return {key: value for key, value in schema.items() if key not in ("title", "description")}


def _typed_first(rows: Sequence[Row | None], user_id: str) -> dict[int, str]:
    """Return what a person typed at the head of the queue: what stands behind other work keeps its place.

    What somebody else typed is other work: it would be done with this person's rights and in their name.
    """
    found: dict[int, str] = {}
    for row in rows:
        if row is None or row["kind"] != STEERABLE or row["user_id"] != user_id:
            break
        if command_word(row["body"]["text"]):
            break
        found[row["seq"]] = row["body"]["text"]
    return found


async def journal_of(work: Work) -> tuple[dict[int, Answer], set[int]]:
    """Return what a turn's steps came to before, by their numbers, and which were begun only."""
    async with work.tenant.reading() as db:
        rows = await log.steps_of(db, work.turn_id)
    answers = {row["body"]["no"]: Answer.from_json(row["body"]) for row in rows if row["kind"] == "result"}
    return answers, {row["body"]["no"] for row in rows} - answers.keys()
