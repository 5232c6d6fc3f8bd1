"""Text files that people send: each becomes part of the message that it came with, framed as data."""

import secrets
from dataclasses import replace

import structlog

from channels.telegram.api import Api, Failed
from channels.telegram.arrivals import Arrival, Attachment
from core.messages import Text, command_word, with_file
from core.ports import Installations
from core.texts import Say, say

logger = structlog.get_logger()


class Files:
    """Reads what was sent to one bot. most: bytes of a file, 0 where none is read."""

    def __init__(self, api: Api, installations: Installations, installation_id: str, most: int) -> None:
        self._api = api
        self._installations = installations
        self._installation_id = installation_id
        self._most = most

    async def read(self, arrival: Arrival, unread: Say) -> tuple[Arrival, Say | None]:
        """Return a message with the text of its first file, and the sentence for what was not read of it.

        unread: the sentence for what is no text file, and for a command, which takes none. A stranger's file
        is not fetched.
        """
        inbound, sent = arrival.inbound, arrival.attachments[0]
        words = inbound.body.text if isinstance(inbound.body, Text) else ""
        if sent.kind != "document" or not self._most or command_word(words) or inbound.sender is None:
            return arrival, unread
        if not await self._installations.knows(self._installation_id, inbound.sender.external_id):
            return arrival, unread
        text = await self._text(sent)
        if isinstance(text, Say):
            return arrival, text
        body = Text(with_file(words, sent.name, text, secrets.token_hex(6)))
        return replace(arrival, inbound=replace(inbound, body=body)), None

    async def _text(self, sent: Attachment) -> str | Say:
        """Return what a file holds, or why it is not read."""
        name = sent.name or sent.kind
        try:
            fits = sent.size <= self._most
            content = await self._api.file(sent.file_id, self._most) if fits else None
        except Failed as error:
            await logger.awarning("telegram_file", bot=self._installation_id, reason=error.result.reason)
            return say("telegram.file_not_fetched", name=name)
        if content is None:
            return say("telegram.file_too_large", name=name, limit=self._most)
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return say("telegram.file_no_text", name=name)
        return say("telegram.file_no_text", name=name) if "\0" in text else text
