"""A turn as it runs, for whoever looks on: a draft in a private chat, an edited message in a group.

All of it is decoration: it is shown when nothing else wants to be sent, lost without harm, and gone once the
turn is over. What counts comes by the outbox.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from channels.telegram.api import Api, Failed
from channels.telegram.calls import Call, messages
from channels.telegram.pacer import Pacer
from channels.telegram.places import Place
from core.errors import It0Error
from core.messages import Code, Plain, Progress, Spoken

PAUSE_S = 1.2
GROUP_PAUSE_S = 4.0
TYPING_S = 4.5
"""Telegram shows that somebody types for five seconds."""

KEPT = 3_000
"""Characters of the end of what is being said, and of output."""

PASSING = ("sendChatAction", "sendMessageDraft")
"""What leaves no message behind, and does not count as one."""

OUTPUT_LINES = 12
ERASE_TRIES = 3
DRAFTS = 2**31 - 1

Words = Callable[[Any], Awaitable[str]]


class TelegramLive:
    """What is shown of a running turn.

    words: puts a sentence in the reader's words; pause_s: between two strokes, None for the chat's own.
    """

    def __init__(
        self,
        api: Callable[[], Awaitable[tuple[Api, Pacer]]],
        place: Place,
        turn_id: str,
        words: Words,
        pause_s: float | None = None,
    ) -> None:
        self._is_group = place.chat_id < 0
        self._pause_s = pause_s or (GROUP_PAUSE_S if self._is_group else PAUSE_S)
        self._api = api
        self._place = place
        self._draft_id = int(turn_id[-8:] or "1", 16) % DRAFTS + 1
        self._words = words
        self._text = self._output = self._state = ""
        self._message_id: int | None = None
        self._shown: Any = None
        self._painter: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    async def update(self, progress: Progress) -> None:
        """Take a piece in; it is painted with the next stroke."""
        data = progress.data
        match progress.kind:
            case "text":
                self._text, self._state = (self._text + str(data.get("text", "")))[-KEPT:], ""
            case "output":
                self._output = (self._output + str(data.get("text", "")))[-KEPT:]
            case "state" if data.get("again"):
                self._text = ""
            case "state" if "say" in data:
                with suppress(It0Error):
                    self._state = await self._words(data)
        if self._painter is None and not self._over.is_set() and progress.kind != "thinking":
            self._painter = asyncio.ensure_future(self._paint())

    async def close(self) -> None:
        """Have what was shown taken away, beside what comes next: nobody waits for it."""
        self._over.set()

    async def _paint(self) -> None:
        """Show what there is, again and again while it changes."""
        typed_at, clock = -TYPING_S, asyncio.get_running_loop().time
        while not self._over.is_set():
            if clock() - typed_at >= TYPING_S:
                typed_at = clock()
                await self._try(self._typing())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s):
                    await self._over.wait()
            now = (self._text, self._output, self._state)
            if now != self._shown and any(now) and not self._over.is_set():
                self._shown = now
                await (self._edit() if self._is_group else self._draft())
        if self._message_id is not None:
            await self._erase(self._message_id)

    def _parts(self) -> list[Spoken]:
        output = "\n".join(self._output.splitlines()[-OUTPUT_LINES:])
        parts: list[Spoken] = [self._text] if self._text else []
        parts += [Code(output)] if output else []
        return [*parts, Plain(self._state)] if self._state else parts

    async def _draft(self) -> None:
        call = self._message()
        if call is not None:
            kept = {
                k: v
                for k, v in call.data.items()
                if k in ("chat_id", "message_thread_id", "text", "parse_mode")
            }
            await self._try(Call("sendMessageDraft", {**kept, "draft_id": self._draft_id}))

    async def _edit(self) -> None:
        call = self._message()
        if call is None:
            return
        if self._message_id is None:
            sent = await self._try(call)
            self._message_id = sent["message_id"] if isinstance(sent, dict) else None
        else:
            kept = {k: v for k, v in call.data.items() if k != "message_thread_id"}
            await self._try(Call("editMessageText", {**kept, "message_id": self._message_id}))

    def _message(self) -> Call | None:
        calls = messages(self._place, self._parts(), most=2)
        return calls[0] if calls and calls[0].method == "sendMessage" else None

    def _typing(self) -> Call:
        where = {"chat_id": self._place.chat_id}
        if self._place.topic_id:
            where["message_thread_id"] = self._place.topic_id
        return Call("sendChatAction", {**where, "action": "typing"})

    async def _erase(self, message_id: int) -> None:
        """Delete the message of a group; where Telegram wants patience, afterwards."""
        call = Call("deleteMessage", {"chat_id": self._place.chat_id, "message_id": message_id})
        for _ in range(ERASE_TRIES):
            try:
                api, pacer = await self._api()
                await asyncio.sleep(pacer.held_s(self._place.chat_id))
                await api.call(call)
                return
            except Failed as error:
                pacer.hold(self._place.chat_id, error.result.retry_after_s)
            except It0Error:
                return

    async def _try(self, call: Call) -> Any:
        """Carry a call out if there is room for it; what fails is not shown, and nothing more comes of it."""
        try:
            api, pacer = await self._api()
        except It0Error:
            return None
        try:
            is_message = call.method not in PASSING
            if pacer.held_s(self._place.chat_id) or (is_message and not pacer.may_now(self._place.chat_id)):
                return None
            return await api.call(call)
        except Failed as error:
            if error.result.retry_after_s:
                pacer.hold(self._place.chat_id, error.result.retry_after_s)
        return None
