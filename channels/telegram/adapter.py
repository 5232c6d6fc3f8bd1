"""Telegram as a channel: bots that take updates, and replies that reach a chat or a topic of it."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import structlog

from channels.telegram.places import CHANNEL, Json, Place
from core.errors import It0Error, NotAllowed, NotFound, Unavailable, Undeliverable
from core.messages import Address, Handler, Sending
from core.ports import Installation, Installations, Presents, Traces
from core.texts import Language

if TYPE_CHECKING:
    from channels.telegram.bot import Bot
    from channels.telegram.live import TelegramLive

logger = structlog.get_logger()

LOOK_S = 5.0
"""How often the installations are read: a bot that was added or removed begins or ends within it."""

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105


def webhook_secret(token: str) -> str:
    """Return what Telegram is to send with each update, so that nobody else can."""
    return hashlib.sha256(b"it0 telegram webhook" + token.encode()).hexdigest()


class Telegram:
    """All bots of ours on Telegram.

    base_url: the API's server. webhook_url: where Telegram reaches us, "" to ask it for updates instead.
    menu: the commands with their descriptions. file_bytes: the most of a text file that is read, 0 for none.
    """

    name = CHANNEL

    def __init__(
        self,
        installations: Installations,
        presents: Presents,
        traces: Traces,
        base_url: str,
        webhook_url: str,
        menu: Mapping[str, Mapping[Language, str]],
        file_bytes: int,
    ) -> None:
        self._installations = installations
        self._presents = presents
        self._traces = traces
        self._base_url = base_url.rstrip("/")
        self._webhook_url = webhook_url
        self._menu = menu
        self._file_bytes = file_bytes
        self._bots: dict[str, Bot] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._making = asyncio.Lock()
        self._handler: Handler | None = None

    async def run(self, handler: Handler) -> None:
        """Take what comes in for every bot until cancelled."""
        self._handler = handler
        try:
            while True:
                try:
                    await self._look(handler)
                    await asyncio.gather(*(bot.tidy() for bot in self._bots.values()))
                except It0Error as error:
                    await logger.awarning("telegram_waits", reason=str(error))
                await asyncio.sleep(LOOK_S)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def close(self) -> None:
        """Close every bot's connections."""
        for bot in self._bots.values():
            await bot.close()

    async def _look(self, handler: Handler) -> None:
        """Begin with bots that are new, end those that are gone or have another token."""
        wanted = {each.id: each for each in await self._installations.of(CHANNEL)}
        for installation_id, bot in list(self._bots.items()):
            if wanted.get(installation_id) != bot.installation:
                await self._end(installation_id)
        for installation in wanted.values():
            if installation.id not in self._tasks:
                bot = await self._bot(installation.id)
                self._tasks[installation.id] = asyncio.ensure_future(bot.run(handler, self.reply_to))

    async def _end(self, installation_id: str) -> None:
        bot = self._bots.pop(installation_id)
        if (task := self._tasks.pop(installation_id, None)) is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await bot.close()

    async def _bot(self, installation_id: str) -> "Bot":
        """Return a bot; raises Undeliverable for one that is not ours any more."""
        async with self._making:
            if installation_id not in self._bots:
                found = {each.id: each for each in await self._installations.of(CHANNEL)}
                if installation_id not in found:
                    raise Undeliverable("telegram.no_bot")
                # Only who has a bot pays for what it needs: a start is not slowed by it.
                room = await asyncio.to_thread(import_module, "channels.telegram.bot")
                self._bots[installation_id] = self._make(room.Bot, found[installation_id])
        return self._bots[installation_id]

    def _make(self, kind: "type[Bot]", installation: Installation) -> "Bot":
        hook = f"{self._webhook_url}/telegram/{installation.id}" if self._webhook_url else ""
        return kind(
            installation,
            self._installations,
            self._presents,
            self._traces,
            self._base_url,
            hook,
            webhook_secret(installation.secret) if hook else "",
            self._menu,
            self._file_bytes,
        )

    async def admit(self, installation_id: str, secret: str) -> "Bot":
        """Return the bot that an update is for; raises NotFound, or NotAllowed for who is not Telegram."""
        try:
            bot = await self._bot(installation_id)
        except Undeliverable as error:
            raise NotFound("error.not_found") from error
        expected = webhook_secret(bot.installation.secret)
        if not hmac.compare_digest(secret.encode("utf-8", "surrogatepass"), expected.encode()):
            raise NotAllowed("error.not_allowed")
        return bot

    async def take(self, bot: "Bot", update: Json) -> None:
        """Take an update that Telegram has brought; raises Unavailable before this process takes any."""
        if self._handler is None:
            raise Unavailable("error.unavailable", reason="")
        await bot.take(update, self._handler, self.reply_to)

    def states(self) -> Mapping[str, str]:
        """Return how each bot hears, by installation: ok, starting, elsewhere, or what is wrong."""
        return {installation_id: bot.state for installation_id, bot in self._bots.items()}

    def reply_to(self, address: Address) -> "TelegramReply":
        """Return the way back to ``address``."""
        return TelegramReply(self, address)

    def live(self, address: Address, tenant_id: str, conversation_id: str, turn_id: str) -> "TelegramLive":
        """Return what shows a running turn."""

        async def words(what: Any) -> str:
            return await self._presents.words(tenant_id, conversation_id, what)

        async def api() -> Any:
            bot = await self._bot(address.installation_id)
            return bot.api, bot.pacer

        room = import_module("channels.telegram.live")
        shown: TelegramLive = room.TelegramLive(
            api, room.Turn(tenant_id, conversation_id, turn_id, address), words, self._traces
        )
        return shown

    async def deliver(self, address: Address, sending: Sending) -> None:
        """Say an outbound in a chat."""
        bot = await self._bot(address.installation_id)
        await bot.deliver(Place.of(address.thread), sending)


class TelegramReply:
    """The way back to one chat, or one topic."""

    def __init__(self, telegram: Telegram, address: Address) -> None:
        self._telegram = telegram
        self.address = address

    def live(self, tenant_id: str, conversation_id: str, turn_id: str) -> "TelegramLive":
        """Return the growing reply of a turn."""
        return self._telegram.live(self.address, tenant_id, conversation_id, turn_id)

    async def deliver(self, sending: Sending) -> None:
        """Hand an outbound to Telegram."""
        await self._telegram.deliver(self.address, sending)
