"""Updates as Telegram sends them, and what became of them."""

from typing import Any

from channels.markup.characters import utf16_length
from channels.telegram.arrivals import Arrival, Ignored, Parsed, Reason
from channels.telegram.places import Me
from core.messages import Text

ME = Me(99, "it0_bot", "inst-1")


ANN = {"id": 7, "is_bot": False, "first_name": "Ann", "last_name": "Li", "language_code": "zh-hans"}


PRIVATE = {"id": 7, "type": "private"}


GROUP = {"id": -100123, "type": "supergroup", "title": "ops", "is_forum": True}


OURS = {"message_id": 1, "from": {"id": 99, "is_bot": True}, "text": "done"}


def message(text: str | None = None, chat: dict[str, Any] = GROUP, **more: Any) -> dict[str, Any]:
    """Return a message as Telegram sends it; ``sender`` stands for ``from``."""
    said = {"text": text} if text is not None else {}
    sender = more.pop("sender", ANN)
    return {"message_id": 5, "date": 1, "chat": chat, "from": sender, **said, **more}


def update(kind: str = "message", /, **body: Any) -> dict[str, Any]:
    """Return an update."""
    return {"update_id": 1000, kind: body}


def taken(parsed: Parsed) -> Arrival:
    """Return what is for us."""
    assert isinstance(parsed, Arrival), parsed
    return parsed


def words(parsed: Parsed) -> str:
    """Return the text that the agent gets."""
    body = taken(parsed).inbound.body
    assert isinstance(body, Text)
    return body.text


def why(parsed: Parsed) -> Reason:
    """Return why an update was left alone."""
    assert isinstance(parsed, Ignored), parsed
    return parsed.reason


def named(text: str, name: str, kind: str = "mention", **more: Any) -> list[dict[str, Any]]:
    """Return the entity of ``name`` in ``text``, counted as Telegram counts."""
    offset = utf16_length(text[: text.index(name)])
    return [{"type": kind, "offset": offset, "length": utf16_length(name), **more}]


def click(**more: Any) -> dict[str, Any]:
    """Return a pressed button."""
    card = {"message_id": 44, "chat": GROUP, "date": 1, "message_thread_id": 3, "is_topic_message": True}
    return update("callback_query", **{"id": "q1", "from": ANN, "message": card, "data": "a:1", **more})
