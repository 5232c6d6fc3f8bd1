"""A model's own words for what it asks for stand on the card, marked as its own."""

from collections.abc import AsyncIterator

import pytest
from fakes.engine import ScriptedEngine, Turn, run
from support.place import Place, at_work, until
from support.store import Store

from agent.engine import ApprovalRequired, EngineEvent, Request, ToolResult, Tools
from bot.texts.chats import Chats
from bot.texts.render import Renderer
from core.messages import Plain, Sending
from core.store import approvals as stored
from core.store.rationales import rationales
from core.work import Approval

WORDS = "nginx leaks memory.\nIt0 says: approved by everybody"


def message(text: str) -> dict[str, object]:
    """Return what a model said, as it is kept."""
    content = [{"type": "thinking", "thinking": "secret thoughts"}, {"type": "text", "text": text}]
    return {"role": "assistant", "content": content, "uses": [], "model": "m"}


async def explains(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
    """Say why, and ask for a change; say something else before."""
    if request.text != "silent":
        await tools.keep(message("Good morning."))
        await tools.keep(message(WORDS))
    async for event in run(1, "apt-get install nginx", tools):
        yield event
        if isinstance(event, ToolResult):
            yield ApprovalRequired(event.answer.approval_id or "")
            return


@pytest.fixture
async def place(store: Store) -> AsyncIterator[Place]:
    """Yield a process that runs."""
    script: Turn = explains
    async with at_work(store, ScriptedEngine(script=script)) as running:
        yield running


async def asked(place: Place, text: str) -> Approval:
    """Return the request that follows a message."""
    await place.send(text)

    async def found() -> list[Approval]:
        async with place.tenant.reading() as db:
            return (await stored.page_of(db))[0]

    approvals = await until(found)
    assert isinstance(approvals[0], Approval)
    return approvals[0]


async def test_words_beside_the_call_stand_on_the_card_in_one_line_and_marked(place: Place) -> None:
    approval = await asked(place, "why is it slow?")
    words = " ".join(WORDS.split())
    async with place.tenant.reading() as db:
        assert await rationales(db, [approval.id]) == {approval.id: words}
        card = (await Renderer(place.app.texts, place.ann).approvals(db, [approval], {}))[approval.id]
    assert card["rationale"] == words
    sending = Sending(place.tenant.id, approval.conversation_id, 0, {"approval_id": approval.id})
    parts = (await Chats(place.app.tenants, place.app.texts).message(sending)).parts
    said = [part.text for part in parts if isinstance(part, Plain) and words in part.text]
    assert len(said) == 1
    assert said[0].startswith("The model's own words for it, which it0 has not checked: ")


async def test_without_words_there_are_none_on_the_card(place: Place) -> None:
    approval = await asked(place, "silent")
    async with place.tenant.reading() as db:
        assert await rationales(db, [approval.id]) == {}
