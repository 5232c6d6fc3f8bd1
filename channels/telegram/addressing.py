"""Whether a message is meant for the bot: by its name, a command, a reply, or since it takes part."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from channels.telegram.places import Json, Me


def is_addressed(message: Json, me: Me, followed: bool) -> bool:
    """Return whether a message is for us: always in private, else by name, command, reply or habit."""
    if message["chat"]["type"] == "private":
        return True
    if is_passed_on(message):  # the names in it were called by somebody else
        return followed
    names = list(_names(message, me))
    others = [each for each in names if each.first and not each.ours]
    if any(each.command for each in others):
        return False
    if any(each.ours for each in names) or _answers(message, me):
        return True
    return followed and not others  # "@ann, can you look?" is for Ann


def is_passed_on(message: Json) -> bool:
    """Return whether the words are another's: they are shown to the agent as data and command nothing."""
    return "forward_origin" in message or "forward_date" in message or "via_bot" in message


def answered(message: Json, me: Me) -> int:
    """Return the message of ours that one in a group answers, 0 for none.

    A topic is a conversation whatever is answered in it, and so is a private chat.
    """
    is_thread = message.get("is_topic_message") or message["chat"]["type"] == "private"
    return int(message["reply_to_message"]["message_id"]) if not is_thread and _answers(message, me) else 0


def _answers(message: Json, me: Me) -> bool:
    """Return whether a message answers the bot; each message in a topic "replies" to the topic's start."""
    answered = message.get("reply_to_message", {})
    is_start = "forum_topic_created" in answered
    return not is_start and answered.get("from", {}).get("id") == me.id


@dataclass(frozen=True, slots=True)
class _Named:
    """A name in a text. ours: it is the bot; first: the text begins with it; command: as ``/run@name``."""

    ours: bool
    first: bool
    command: bool = False


def _names(message: Json, me: Me) -> Iterator[_Named]:
    """Yield everybody who is named, or commanded by name."""
    text = text_of(message)
    for entity in message.get("entities", message.get("caption_entities", [])):
        name = entity_text(text, entity["offset"], entity["length"]).casefold()
        first = entity["offset"] == 0
        match entity["type"]:
            case "mention":
                yield _Named(name == f"@{me.username}".casefold(), first)
            case "text_mention":
                yield _Named(entity["user"]["id"] == me.id, first)
            case "bot_command" if "@" in name and first:
                yield _Named(name.partition("@")[2] == me.username.casefold(), first, command=True)


def text_of(message: Json) -> str:
    """Return what was typed: a message's text, or the caption of what it shows."""
    return str(message.get("text", message.get("caption", "")))


def entity_text(text: str, offset: int, length: int) -> str:
    """Return what an entity covers: Telegram counts in UTF-16 units, in which most emoji are two."""
    units = text.encode("utf-16-le", "surrogatepass")[offset * 2 : (offset + length) * 2]
    return units.decode("utf-16-le", "replace")


def without_mention(text: str, username: str) -> str:
    """Return ``text`` without the bot's name at its ends, where it only calls."""
    name = re.escape(username)
    text = re.sub(rf"^\s*@{name}(?!\w)[\s,:，：]*", "", text, flags=re.IGNORECASE)
    return re.sub(rf"(?<!\S)@{name}\s*$", "", text, flags=re.IGNORECASE).strip()
