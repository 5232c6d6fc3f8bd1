"""A turn as it runs, for whoever looks on: a draft in a private chat, an edited message in a group.

All of it is decoration: it is shown when nothing else wants to be sent, lost without harm, and gone once the
turn is over. What counts comes by the outbox.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from channels.telegram.api import Api, Failed
from channels.telegram.calls import Call, messages
from channels.telegram.pacer import Pacer
from channels.telegram.places import Place
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
DRAFTS = 2**31 - 1

Words = Callable[[Any], Awaitable[str]]


class TelegramLive:
    """What is shown of a running turn. words: puts a sentence in the reader's words."""

    def __init__(
        self, api: Callable[[], Awaitable[tuple[Api, Pacer]]], place: Place, turn_id: str, words: Words
    ) -> None:
        self._api = api
        self._place = place
        self._draft_id = int(turn_id[-8:] or "1", 16) % DRAFTS + 1
        self._words = words
        self._text = self._output = self._state = ""
        self._message_id: int | None = None
        self._shown: Any = None
        self._painter: asyncio.Task[None] | None = None
        self._closed = False

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
                self._state = await self._words(data)
        if self._painter is None and not self._closed and progress.kind != "thinking":
            self._painter = asyncio.ensure_future(self._paint())

    async def close(self) -> None:
        """Take away what was shown."""
        self._closed = True
        if self._painter is not None:
            self._painter.cancel()
            await asyncio.gather(self._painter, return_exceptions=True)
        if self._message_id is not None:
            data = {"chat_id": self._place.chat_id, "message_id": self._message_id}
            await self._try(Call("deleteMessage", data))

    async def _paint(self) -> None:
        """Show what there is, again and again while it changes."""
        is_group = self._place.chat_id < 0
        pause_s, typed_at = GROUP_PAUSE_S if is_group else PAUSE_S, -TYPING_S
        clock = asyncio.get_running_loop().time
        while True:
            if clock() - typed_at >= TYPING_S:
                typed_at = clock()
                await self._try(self._typing())
            await asyncio.sleep(pause_s)
            now = (self._text, self._output, self._state)
            if now != self._shown and any(now):
                self._shown = now
                await (self._edit() if is_group else self._draft())

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

    async def _try(self, call: Call) -> Any:
        """Carry a call out if there is room for it; what fails is not shown, and nothing more comes of it."""
        try:
            api, pacer = await self._api()
            is_message = call.method not in PASSING
            if pacer.is_held(self._place.chat_id) or (is_message and not pacer.may_now(self._place.chat_id)):
                return None
            return await api.call(call)
        except Failed as error:
            if error.result.retry_after_s:
                pacer.hold(self._place.chat_id, error.result.retry_after_s)
        return None
