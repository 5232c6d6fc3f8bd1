"""Updates on their way in: order within a chat, nobody waits for another chat's file, nothing is lost."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.telegram.intake import Intake

FILE = {"document": {"file_id": "f"}}


def update(number: int, chat: int, file: bool = False) -> dict[str, Any]:
    """Return a message, perhaps with a file."""
    message = {"chat": {"id": chat}, "text": "x", **(FILE if file else {})}
    return {"update_id": number, "message": message}


class Desk:
    """What takes updates. go: files come once it is set; fails: what is not stored the first time."""

    def __init__(self, fails: set[int] | None = None) -> None:
        self.stored: list[int] = []
        self.go = asyncio.Event()
        self.fails = fails or set()

    async def take(self, update: Any) -> None:
        """Store an update."""
        if "document" in update.get("message", {}):
            await self.go.wait()
        if update["update_id"] in self.fails:
            self.fails.discard(update["update_id"])
            raise ConnectionError
        self.stored.append(update["update_id"])


async def test_a_file_holds_up_its_own_chat_alone_and_nothing_behind_it_is_confirmed() -> None:
    desk = Desk()
    intake = Intake(desk.take)
    click = {"update_id": 4, "callback_query": {"message": {"chat": {"id": 1}}}}
    batch = [update(1, 1, file=True), update(2, 1), update(3, 2), click]
    await intake.accept(batch)
    assert desk.stored == [3, 4]
    assert intake.offset == 1
    await intake.accept(batch)  # so long as they are not confirmed they come again
    assert desk.stored == [3, 4]
    desk.go.set()
    while intake.is_busy:
        await intake.accept([])
    assert desk.stored == [3, 4, 1, 2]
    assert intake.offset == 5


async def test_what_could_not_be_stored_comes_again_with_what_stood_behind_it() -> None:
    desk = Desk(fails={1})
    desk.go.set()
    batch = [update(1, 1, file=True), update(2, 1)]
    intake = Intake(desk.take)
    with pytest.raises(ConnectionError):
        await intake.accept(batch)
    await intake.close()
    assert desk.stored == []
    again = Intake(desk.take)
    await again.accept(batch)
    while again.is_busy:
        await again.accept([])
    assert desk.stored == [1, 2]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=12), st.integers(1, 4))
def test_whatever_comes_is_stored_once_and_in_the_order_of_its_chat(
    said: list[tuple[int, bool]], batch: int
) -> None:
    updates = [update(number, chat, file) for number, (chat, file) in enumerate(said, start=10)]

    async def told() -> list[int]:
        desk = Desk()
        desk.go.set()
        intake, known = Intake(desk.take), 0
        while intake.offset < 10 + len(updates) and updates:
            known = min(len(updates), known + batch)
            await intake.accept([each for each in updates[:known] if each["update_id"] >= intake.offset])
        return desk.stored

    stored = asyncio.run(told())
    assert sorted(stored) == [each["update_id"] for each in updates]
    for chat in (1, 2, 3):
        of_chat = [each["update_id"] for each in updates if each["message"]["chat"]["id"] == chat]
        assert [number for number in stored if number in of_chat] == of_chat
