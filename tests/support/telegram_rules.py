"""What Telegram takes and what it refuses, in its own words."""

import json
import re
from html import escape, unescape
from typing import Any

from aiohttp import web
from support.html_judge import judged
from support.telegram_people import Chat, Json, Message, Upload

from channels.markup.characters import is_blank, utf16_length

MAX_TEXT, MAX_CAPTION, MAX_DOWNLOAD = 4096, 1024, 20 * 2**20
_NUMBERS = {"chat_id", "message_id", "message_thread_id", "draft_id", "offset", "limit", "timeout"}
_NESTED = {
    "reply_markup",
    "reply_parameters",
    "link_preview_options",
    "allowed_updates",
    "commands",
    "reaction",
}


class Refused(Exception):
    """An answer that is not ok."""

    def __init__(self, description: str, code: int = 400, **parameters: Any) -> None:
        kinds = {400: "Bad Request: ", 403: "Forbidden: ", 409: "Conflict: "}
        super().__init__(kinds.get(code, "") + description)
        self.code, self.parameters = code, parameters


async def read(request: web.Request) -> Json:
    """Return the arguments: JSON is typed already, forms have strings and JSON in them."""
    if request.content_type == "application/json":
        data = dict(await request.json())
    else:
        data = dict(request.query)
        for name, value in (await request.post()).items():
            data[name] = (
                Upload(value.filename, value.file.read()) if isinstance(value, web.FileField) else value
            )
    for name in set(data) & (_NUMBERS | _NESTED):
        if not isinstance(data[name], str):
            continue
        try:
            data[name] = int(data[name]) if name in _NUMBERS else json.loads(data[name])
        except ValueError:
            if name != "chat_id":  # may be a channel's @name
                raise Refused(f"can't parse {name.replace('_', ' ')}") from None
    return data


def visible_text(data: Json, name: str, limit: int, too_long: str) -> str:
    """Return what is seen of a text, after it was held against Telegram's rules."""
    text = str(data.get(name, ""))
    if not text:
        raise Refused("message text is empty")
    mode = data.get("parse_mode")
    if mode not in (None, "HTML"):
        raise Refused("unsupported parse_mode")
    try:
        seen = judged(text) if mode else text
    except AssertionError as wrong:
        raise Refused(f"can't parse entities: {wrong or 'unclosed or misplaced tag'}") from wrong
    if is_blank(seen):
        raise Refused("message text is empty")
    if utf16_length(seen.strip()) > limit:
        raise Refused(too_long)
    return seen.strip()


def rows_of(data: Json) -> tuple[tuple[Json, ...], ...]:
    """Return an inline keyboard, after it was held against Telegram's rules."""
    rows = tuple(tuple(row) for row in data.get("reply_markup", {}).get("inline_keyboard", []) if row)
    if sum(map(len, rows)) > 100:
        raise Refused("REPLY_MARKUP_TOO_LONG")
    for key in (key for row in rows for key in row):
        if not key.get("callback_data") and not key.get("url"):
            unallowed = "Text buttons are unallowed in the inline keyboard"
            raise Refused(f"can't parse inline keyboard button: {unallowed}")
        if is_blank(key.get("text", "")):
            raise Refused('can\'t parse inline keyboard button: Field "text" must be non-empty')
        if len(key.get("callback_data", "").encode()) > 64:
            raise Refused("BUTTON_DATA_INVALID")
    return rows


def answered(chat: Chat, data: Json) -> int:
    asked = data.get("reply_parameters", {})
    old = chat.messages.get(int(asked.get("message_id", 0)))
    if old and not old.deleted:
        return old.message_id
    if asked and not asked.get("allow_sending_without_reply"):
        raise Refused("message to be replied not found")
    return 0


def looks(message: Message) -> tuple[list[str], Any]:
    """Return what Telegram compares: the text with its form, however it was written, and the buttons."""
    html = message.text if message.html else escape(message.text)
    return [unescape(part) for part in re.split(r"(<[^>]*>)", html.strip())], message.rows
