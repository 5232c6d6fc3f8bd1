"""A turn as it runs, for whoever looks on: a draft in a private chat, an edited message in a group.

All of it is decoration: it is shown when nothing else wants to be sent, lost without harm, and gone once the
turn is over. What counts comes by the outbox.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from channels.telegram.api import Api, Failed
from channels.telegram.calls import Call, messages, take_away
from channels.telegram.pacer import Pacer
from channels.telegram.places import Place
from core.errors import It0Error
from core.messages import Address, Code, Plain, Progress, Spoken
from core.ports import Traces

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


@dataclass(frozen=True, slots=True)
class Turn:
    """Which turn is shown, and where."""

    tenant_id: str
    conversation_id: str
    turn_id: str
    address: Address


class TelegramLive:
    """What is shown of a running turn.

    words: puts a sentence in the reader's words; pause_s: between two strokes, None for the chat's own.
    """

    def __init__(
        self,
        api: Callable[[], Awaitable[tuple[Api, Pacer]]],
        turn: Turn,
        words: Words,
        traces: Traces,
        pause_s: float | None = None,
    ) -> None:
        self._turn = turn
        self._place = Place.of(turn.address.thread)
        self._is_group = self._place.chat_id < 0
        self._pause_s = pause_s or (GROUP_PAUSE_S if self._is_group else PAUSE_S)
        self._api = api
        self._draft_id = int(turn.turn_id[-8:] or "1", 16) % DRAFTS + 1
        self._words = words
        self._traces = traces
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
        # What shows nothing begins nothing: of a message that waits nobody says that it is over.
        if self._painter is None and not self._over.is_set() and any(self._now):
            self._painter = asyncio.ensure_future(self._paint())

    async def close(self) -> None:
        """Have what was shown taken away, beside what comes next: nobody waits for it."""
        self._over.set()

    @property
    def _now(self) -> tuple[str, str, str]:
        return self._text, self._output, self._state

    async def _paint(self) -> None:
        """Show what there is, again and again while it changes; in a quiet place, that somebody types."""
        typed_at, clock = -TYPING_S, asyncio.get_running_loop().time
        is_quiet: bool | None = None
        while not self._over.is_set():
            if clock() - typed_at >= TYPING_S:
                typed_at = clock()
                await self._try(self._typing())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s):
                    await self._over.wait()
            if self._now == self._shown or not any(self._now) or self._over.is_set():
                continue
            self._shown = self._now
            if is_quiet is None:
                is_quiet = await self._is_quiet()
            if not is_quiet:
                await (self._edit() if self._is_group else self._draft())
        if self._message_id is not None:
            await self._erase(self._message_id)

    async def _is_quiet(self) -> bool:
        with suppress(It0Error):
            return await self._traces.is_quiet(self._turn.tenant_id, self._turn.address)
        return True

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
            if isinstance(sent, dict):
                self._message_id = int(sent["message_id"])
                turn = self._turn
                with suppress(It0Error):
                    await self._traces.shown(
                        turn.tenant_id, turn.conversation_id, turn.address, self._message_id
                    )
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
        """Delete the message of a group; what cannot be deleted now is left to who looks after the bot."""
        erased = await self._erased(message_id)
        with suppress(It0Error):
            await (self._traces.gone if erased else self._traces.leave)(self._turn.address, message_id)

    async def _erased(self, message_id: int) -> bool:
        """Delete the message, where Telegram wants patience afterwards; return whether it is gone."""
        call = take_away(self._place, message_id)
        for _ in range(ERASE_TRIES):
            try:
                api, pacer = await self._api()
                await asyncio.sleep(pacer.held_s(self._place.chat_id))
                await api.call(call)
                return True
            except Failed as error:
                if not error.result.retry_after_s:
                    return False
                pacer.hold(self._place.chat_id, error.result.retry_after_s)
            except It0Error:
                return False
        return False

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
