"""One bot: its updates in order, its words at the pace that Telegram allows."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from channels.telegram.api import Api, Failed
from channels.telegram.arrivals import TOLD, Arrival, Ignored, Migrated, Reason
from channels.telegram.calls import Call, Extras, answer, calls_of, messages, take_away
from channels.telegram.errors import Outcome, Result, error_of
from channels.telegram.files import Files
from channels.telegram.intake import Intake
from channels.telegram.menu import commands_menu
from channels.telegram.pacer import Pacer
from channels.telegram.places import CHANNEL, Json, Me, Place
from channels.telegram.updates import parse
from core.errors import Flooded, It0Error, StoreUnavailable, Undeliverable
from core.messages import Address, Handler, Plain, Reply, Sending
from core.ports import Installation, Installations, Presents, Traces
from core.texts import Language, Say, say

logger = structlog.get_logger()

REST_S = 0.003
"""After updates the next question waits a little: the answers that are on their way go before it."""

POLL_S = 25
DEAF_S = 90.0
"""A bot that has heard nothing from the API for so long, not even an empty answer, is deaf."""

KINDS = ("message", "edited_message", "callback_query", "my_chat_member", "channel_post")
PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)
LEASE_S = 3.0
CLOSE_S = 1.0
PATIENCE_S = 30.0
"""The longest that a call waits for its place in the row; what must wait longer goes back to the outbox."""

ReplyTo = Callable[[Address], Reply]


class Bot:
    """A bot of ours. hook: the address for its webhook, "" to poll; secret: what comes with its updates."""

    def __init__(
        self,
        installation: Installation,
        installations: Installations,
        presents: Presents,
        traces: Traces,
        base_url: str,
        hook: str,
        secret: str,
        menu: Mapping[str, Mapping[Language, str]],
        file_bytes: int,
    ) -> None:
        self.installation = installation
        self.api = Api(installation.secret, base_url)
        self.pacer = Pacer()
        self.state = "starting"
        self._installations = installations
        self._presents = presents
        self._traces = traces
        self._hook = hook
        self._secret = secret
        self._menu = menu
        self._files = Files(self.api, installations, installation.id, file_bytes)
        self._me: Me | None = None
        self._heard = time.monotonic()
        self._albums: dict[str, float] = {}
        self._opening = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Let what is being said go out, for a moment, and close the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S)
        for task in self._tasks:
            task.cancel()
        await self.api.close()

    async def run(self, handler: Handler, reply_to: ReplyTo) -> None:
        """Take updates while this process holds the bot's lease, until cancelled; never give up."""
        failed = 0
        while True:
            try:
                if not await self._installations.lease(self.installation.id):
                    self.state = "elsewhere"
                    await asyncio.sleep(LEASE_S)
                    continue
                await self._listen(handler, reply_to)
            except Failed as error:
                self.state = error.result.reason or error.result.outcome.value
                await logger.awarning("telegram_failed", bot=self.installation.id, reason=self.state)
                pause_s = error.result.retry_after_s or PAUSES_S[min(failed, len(PAUSES_S) - 1)]
                failed = 0 if time.monotonic() - self._heard < DEAF_S else failed + 1
                await asyncio.sleep(pause_s * random.uniform(1, 1.3))  # noqa: S311
            except It0Error as error:
                await logger.awarning("telegram_waits", bot=self.installation.id, reason=str(error))
                await asyncio.sleep(PAUSES_S[0])
            except Exception as error:  # whatever one update or answer is like, the bot goes on hearing
                self.state = type(error).__name__
                await logger.aexception("telegram_broke", bot=self.installation.id)
                await asyncio.sleep(PAUSES_S[-1])

    async def _me_now(self) -> Me:
        async with self._opening:
            if self._me is None:
                self._me = await self.api.open(self.installation.id)
        return self._me

    async def _listen(self, handler: Handler, reply_to: ReplyTo) -> None:
        """Set the bot up and take its updates for as long as the lease is ours; raises Failed."""
        await self._me_now()
        for call in commands_menu(self._menu):
            await self.api.call(call)
        if self._hook:
            data = {"url": self._hook, "secret_token": self._secret, "allowed_updates": list(KINDS)}
            # One at a time, or what is said in a chat might come in another order.
            await self.api.call(Call("setWebhook", {**data, "max_connections": 1}))
            self.state = "ok"
            while await self._installations.lease(self.installation.id):  # noqa: ASYNC110 (no event tells it)
                await asyncio.sleep(LEASE_S)
            return
        await self.api.call(Call("deleteWebhook", {}))
        await self._poll(Intake(partial(self.take, handler=handler, reply_to=reply_to)))

    async def _poll(self, intake: Intake) -> None:
        """Ask for updates for as long as the lease is ours; raises Failed."""
        wait_s = 0  # the first answer comes at once, and tells that we are heard
        asked = -LEASE_S
        try:
            while True:
                if time.monotonic() - asked >= LEASE_S:
                    asked = time.monotonic()
                    if not await self._installations.lease(self.installation.id):
                        return
                updates = await self.api.updates(intake.offset, wait_s, KINDS)
                self.state, self._heard = "ok", time.monotonic()
                await intake.accept(updates)
                if updates:
                    await asyncio.sleep(REST_S)
                wait_s = 0 if intake.is_busy else POLL_S
        finally:
            await intake.close()

    async def take(self, update: Json, handler: Handler, reply_to: ReplyTo) -> None:
        """Accept one update; it may be confirmed to Telegram when this returns.

        Raises StoreUnavailable when it cannot be kept: Telegram sends it again.
        """
        me = await self._me_now()
        parsed = parse(update, me)
        if isinstance(parsed, Ignored) and parsed.reason is Reason.NOT_ADDRESSED:
            parsed = await self._followed(update, me) or parsed
        match parsed:
            case Arrival():
                await self._arrived(parsed, handler, reply_to)
            case Migrated(_, old, new):
                await self._installations.moved(self.installation.id, f"{old}:", f"{new}:")
            case Ignored():
                self._ignored(parsed)

    async def _followed(self, update: Json, me: Me) -> Arrival | None:
        """Return words that name nobody, where they stand in a topic whose conversation goes on.

        A group without topics is one place for everything that is said in it, so there one has to name us.
        """
        parsed = parse(update, me, followed=True)
        if not isinstance(parsed, Arrival) or not parsed.has_words or parsed.inbound.sender is None:
            return None
        thread, person = parsed.inbound.address.thread, parsed.inbound.sender.external_id
        if not Place.of(thread).topic_id:
            return None
        follows = await self._installations.follows(self.installation.id, thread, person)
        return parsed if follows else None

    async def _arrived(self, arrival: Arrival, handler: Handler, reply_to: ReplyTo) -> None:
        if arrival.callback_id is not None:
            self._later(answer(arrival.callback_id, self._words(say("telegram.taken"), arrival.language)))
        address = arrival.inbound.address
        unread = arrival.attachments[0].note(arrival.has_words) if arrival.attachments else None
        if unread:
            arrival, unread = await self._files.read(arrival, unread)
        if arrival.has_words:
            try:
                await handler(arrival.inbound, reply_to(address))
            except StoreUnavailable:
                raise
            except It0Error as error:
                self._tell(address, arrival.message_id, error.say, arrival.language)
            except Exception:  # brought again it would break again, and nothing behind it would be heard
                await logger.aexception("telegram_not_taken", bot=self.installation.id)
                self._tell(address, arrival.message_id, say("error.internal"), arrival.language)
        if unread and self._is_first(arrival.album):
            self._tell(address, arrival.message_id, unread, arrival.language)

    def _is_first(self, album: str) -> bool:
        """Return whether nothing was said yet of this album, whose pictures come one by one."""
        now = time.monotonic()
        self._albums = {each: until for each, until in self._albums.items() if until > now}
        if album in self._albums:
            return False
        if album:
            self._albums[album] = now + 60
        return True

    def _ignored(self, ignored: Ignored) -> None:
        key = TOLD.get(ignored.reason)
        if ignored.callback_id is not None:
            self._later(answer(ignored.callback_id, self._words(say(key), "en") if key else ""))
        elif key and ignored.address is not None and ignored.message_id is not None:
            self._tell(ignored.address, ignored.message_id, say(key), "en")

    def _words(self, what: Say, language: Language) -> str:
        return self._presents.sentence(what, language)

    def _tell(self, address: Address, message_id: int, what: Say, language: Language) -> None:
        """Say something at once that belongs to no conversation."""
        parts = [Plain(self._words(what, language))]
        for call in messages(Place.of(address.thread), parts, Extras(reply_to=message_id)):
            self._later(call)

    def _later(self, call: Call) -> None:
        task = asyncio.ensure_future(self._try(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(self, call: Call) -> None:
        try:
            await self._carry_out(call, urgent=True)
        except It0Error as error:
            await logger.awarning("telegram_untold", bot=self.installation.id, reason=str(error))

    async def tidy(self) -> None:
        """Take away what shows turns that are over: their processes died, or could not do it."""
        if self.state != "ok":
            return
        for thread, message_id in await self._traces.left_behind(self.installation.id):
            with suppress(It0Error):
                await self._took_away(Place.of(thread), message_id)
                await self._traces.gone(Address(CHANNEL, self.installation.id, thread), message_id)

    async def deliver(self, place: Place, sending: Sending) -> None:
        """Say an outbound, from where an earlier attempt ended; raises Unavailable or Undeliverable."""
        message, done = await self._presents.message(sending), sending.receipt
        if message.takes_back:
            if not done:
                done.append(await self._took_away(place, message.takes_back))
            rest = () if done[0] else (Plain(message.not_taken),)
            message = replace(message, parts=[*message.parts, *rest])
        calls = calls_of(place, message)
        for call in calls[len(done) - bool(message.takes_back) :]:
            result = await self._carry_out(call, message.urgent)
            sending.receipt.append(result["message_id"] if isinstance(result, dict) else 0)

    async def _took_away(self, place: Place, message_id: str | int) -> bool:
        """Delete a message; in a group Telegram allows another's to administrators only."""
        try:
            await self._carry_out(take_away(place, message_id), urgent=True)
        except Undeliverable:
            return False
        return True

    async def _carry_out(self, call: Call, urgent: bool = False) -> Any:
        """Carry a call out at its time, and do what its answer asks for."""
        try:
            await self._me_now()
        except Failed as error:
            raise error_of(error.result) from None
        chat_id = call.data.get("chat_id")
        if chat_id is not None:
            wait_s = self.pacer.wait_s(int(chat_id), urgent)
            if wait_s > PATIENCE_S:
                raise Flooded(seconds=round(wait_s, 1))
            await asyncio.sleep(wait_s)
        try:
            return await self.api.call(call)
        except Failed as error:
            return await self._after(call, error.result, urgent)

    async def _after(self, call: Call, result: Result, urgent: bool) -> Any:
        match result.outcome:
            case Outcome.DONE:
                return True
            case Outcome.PLAIN if call.as_plain != call:
                return await self._carry_out(call.as_plain, urgent)
            case Outcome.RESEND if call.method == "editMessageText":
                data = {name: value for name, value in call.data.items() if name != "message_id"}
                return await self._carry_out(Call("sendMessage", data, call.plain), urgent)
            case Outcome.MIGRATED if result.chat_id is not None:
                old, new = f"{call.data['chat_id']}:", f"{result.chat_id}:"
                await self._installations.moved(self.installation.id, old, new)
                moved = Call(call.method, {**call.data, "chat_id": result.chat_id}, call.plain, call.file)
                return await self._carry_out(moved, urgent)
            case Outcome.WAIT:
                self.pacer.hold(call.data.get("chat_id"), result.retry_after_s)
        raise error_of(result)
