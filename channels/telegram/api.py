"""The Bot API through python-telegram-bot's client, and what its errors mean."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any
from urllib.parse import quote

from channels.telegram.calls import Call
from channels.telegram.errors import Result, classify
from channels.telegram.places import Json, Me

POOL_OF_CALLS = 64
POOL = 8
"""Connections for getUpdates: one that leaks within a poll must not make the bot deaf."""

CALL_S = 20.0
UPLOAD_S = 60.0
FILE_S = 10.0
"""For a file that was sent to us: the chat's next messages wait for it."""

CODES: Mapping[str, int] = {
    "RetryAfter": 429,
    "BadRequest": 400,
    "ChatMigrated": 400,
    "Forbidden": 403,
    "InvalidToken": 401,
    "EndPointNotFound": 404,
    "Conflict": 409,
}
"""The API's error codes by the client's exceptions; others are the network's or the server's fault."""


class Failed(Exception):
    """A call that was not carried out, or whose answer is not known. result: what to do about it."""

    def __init__(self, result: Result) -> None:
        self.result = result
        super().__init__(f"{result.outcome.value}: {result.reason}")


class Api:
    """One bot's connections. base_url: of the API's server, without a slash at its end."""

    def __init__(self, token: str, base_url: str) -> None:
        self._token = token
        self._base_url = base_url
        self._telegram: Any = None
        self._request: Any = None
        self._bot: Any = None
        self._poller: Any = None

    async def open(self, installation_id: str) -> Me:
        """Connect and return who the bot is; raises Failed."""
        if self._bot is None:
            os.environ.setdefault("PTB_TIMEDELTA", "true")  # the client's way to be spared a deprecation
            # Half a second of imports, and only for who has a bot.
            self._telegram = await asyncio.to_thread(import_module, "telegram")
            self._request = await asyncio.to_thread(import_module, "channels.telegram.request")
            self._bot, self._poller = self._client(POOL_OF_CALLS), self._client(POOL)
        me = await self.call(Call("getMe", {}))
        return Me(int(me["id"]), str(me["username"]), installation_id)

    def _client(self, connections: int) -> Any:
        request = self._request.Request(connections, CALL_S)
        return self._telegram.Bot(self._token, base_url=f"{self._base_url}/bot", request=request)

    async def close(self) -> None:
        """Close the connections."""
        for bot in (self._bot, self._poller):
            if bot is not None:
                await bot.request.shutdown()

    async def call(self, call: Call) -> Any:
        """Carry a call out and return its result; raises Failed."""
        data = dict(call.data)
        if call.file is not None:
            data["document"] = self._telegram.InputFile(call.file.content, filename=call.file.name)
        timeout_s = UPLOAD_S if call.file else CALL_S
        try:
            async with asyncio.timeout(timeout_s):
                # The API takes methods in any case, and the client warns of those that it has itself.
                return await self._bot.do_api_request(
                    call.method.lower(), api_kwargs=data, read_timeout=timeout_s, write_timeout=timeout_s
                )
        except Exception as error:
            raise self._failed(error) from None  # its context may show the token

    async def file(self, file_id: str, most: int) -> bytes | None:
        """Return what a file holds, None if that is more than ``most`` bytes; raises Failed."""
        try:
            async with asyncio.timeout(FILE_S):
                found = await self._bot.do_api_request("getfile", api_kwargs={"file_id": file_id})
                if int(found.get("file_size", 0)) > most:
                    return None
                path = quote(str(found["file_path"]))
                url = f"{self._base_url}/file/bot{self._token}/{path}"
                content = bytes(await self._bot.request.retrieve(url, read_timeout=FILE_S))
        except Exception as error:
            raise self._failed(error) from None  # its context shows the token
        return content if len(content) <= most else None

    async def updates(self, offset: int, timeout_s: int, kinds: Sequence[str]) -> Sequence[Json]:
        """Wait for updates from ``offset`` on, which confirms those before it; raises Failed."""
        try:
            async with asyncio.timeout(timeout_s + CALL_S):
                # Not by the client's own method: it drops a whole batch for one update that it cannot read.
                found = await self._poller.do_api_request(
                    "getupdates",
                    api_kwargs={"offset": offset, "timeout": timeout_s, "allowed_updates": list(kinds)},
                    read_timeout=timeout_s + CALL_S,
                )
        except Exception as error:
            if type(error).__name__ not in CODES:
                await self._renew_poller()
            raise self._failed(error) from None
        return [update for update in found if isinstance(update, dict) and "update_id" in update]

    async def _renew_poller(self) -> None:
        """Poll by fresh connections: those of a poll that broke off may never come back to their pool."""
        broken, self._poller = self._poller, self._client(POOL)
        with suppress(Exception):
            await broken.request.shutdown()

    def _failed(self, error: Exception) -> Failed:
        """Return what an exception of the client means; its words may hold the address, so the token."""
        name = type(error).__name__
        reason = str(error).replace(self._token, "‹token›") or name
        parameters: dict[str, Any] = {}
        if name == "RetryAfter":
            parameters["retry_after"] = error.retry_after.total_seconds()  # type: ignore[attr-defined]
        if name == "ChatMigrated":
            parameters["migrate_to_chat_id"] = error.new_chat_id  # type: ignore[attr-defined]
        return Failed(classify(CODES.get(name, 0), reason, parameters))
