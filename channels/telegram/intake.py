"""Updates on their way in: in order within a chat, and confirmed to Telegram only once they are stored."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from channels.telegram.places import Json

LOOK_S = 0.5
"""How often there is a look for more while something is fetched: nothing behind it is confirmed before."""


class Intake:
    """Takes what polls bring. What a file has to be fetched for holds up its own chat, and no other.

    take: returns once an update is stored; what it raises ends the intake, and Telegram sends it again.
    """

    def __init__(self, take: Callable[[Json], Awaitable[None]]) -> None:
        self._take = take
        self._next = 0
        self._stored: set[int] = set()
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._chats: dict[int, asyncio.Task[None]] = {}

    @property
    def offset(self) -> int:
        """Return the first update that is not confirmed yet."""
        return min(self._under_way, default=self._next)

    @property
    def is_busy(self) -> bool:
        """Return whether something is under way."""
        return bool(self._under_way)

    async def accept(self, updates: Sequence[Json]) -> None:
        """Take what was not taken yet; return when only what is fetched, or waits behind it, is under way."""
        for update in updates:
            number, chat = int(update["update_id"]), _chat_of(update)
            if number in self._stored or number in self._under_way:
                continue
            ahead = self._chats.get(chat)
            if ahead is None and not _has_file(update):
                await self._take(update)
                self._stored.add(number)
            else:
                task = asyncio.ensure_future(self._after(ahead, update))
                self._under_way[number] = self._chats[chat] = task
            self._next = number + 1
        await self._settle()

    async def _after(self, ahead: "asyncio.Task[None] | None", update: Json) -> None:
        if ahead is not None:
            await ahead
        await self._take(update)

    async def _settle(self) -> None:
        """Wait a little for what is under way, and note what is stored; raises what kept one from it."""
        if self._under_way:
            tasks = self._under_way.values()
            await asyncio.wait(tasks, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        for number in [number for number, task in self._under_way.items() if task.done()]:
            await self._under_way.pop(number)
            self._stored.add(number)
        self._chats = {chat: task for chat, task in self._chats.items() if not task.done()}
        self._stored = {number for number in self._stored if number >= self.offset}

    async def close(self) -> None:
        """Give up what is under way: it is not confirmed, so it comes again."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)


def _has_file(update: Json) -> bool:
    message: Any = update.get("message")
    return isinstance(message, dict) and "document" in message


def _chat_of(update: Json) -> int:
    """Return the chat in which order is kept, 0 for what has none; a button never waits for a file."""
    for kind in ("message", "edited_message"):
        match update.get(kind):
            case {"chat": {"id": int(chat_id)}}:
                return chat_id
    return 0
