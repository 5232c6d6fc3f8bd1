"""Who the bot is, and where a message stands: what both directions speak of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.messages import Address

CHANNEL = "telegram"
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Me:
    """The bot itself, as getMe tells. username: without the @; installation_id: it0's own name for it."""

    id: int
    username: str
    installation_id: str


@dataclass(frozen=True, slots=True)
class Place:
    """A chat, or a topic of a forum: each is a conversation of its own. topic_id: 0 outside of topics."""

    chat_id: int
    topic_id: int = 0

    @property
    def thread(self) -> str:
        """Return the name of this place in an ``Address``."""
        return f"{self.chat_id}:{self.topic_id}"

    @staticmethod
    def of(thread: str) -> "Place":
        """Return the place that a thread names; what follows a further colon is not Telegram's."""
        chat_id, topic_id, *_ = [*thread.split(":"), "0"]
        return Place(int(chat_id), int(topic_id))


def place_of(message: Json) -> Place:
    """Return where a message stands; a thread of replies outside of a forum is no place of its own."""
    topic = message.get("message_thread_id", 0) if message.get("is_topic_message") else 0
    return Place(int(message["chat"]["id"]), int(topic))


def address_of(message: Json, me: Me) -> Address:
    """Return the address of the place where a message stands."""
    return Address(CHANNEL, me.installation_id, place_of(message).thread)
