"""From an update to what happened; nothing here sends or waits."""

from channels.telegram.addressing import answered, is_addressed, is_passed_on, text_of, without_mention
from channels.telegram.arrivals import Arrival, Attachment, Ignored, Membership, Migrated, Parsed, Reason
from channels.telegram.attachments import attachments_of
from channels.telegram.keyboard import MAX_BUTTON_BYTES
from channels.telegram.places import Json, Me, address_of
from core.messages import Body, Click, Inbound, Sender, Text
from core.texts import Language


def parse(update: Json, me: Me, followed: bool = False) -> Parsed:
    """Return what happened; never raises, since a bad update would be sent again for ever.

    followed: the bot takes part in the update's thread and hears all that is said there.
    """
    try:
        return _parsed(update, me, followed)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return Ignored(Reason.MALFORMED)


def _parsed(update: Json, me: Me, followed: bool) -> Parsed:
    event_id = str(int(update["update_id"]))
    match update:
        case {"message": message}:
            return _message(message, event_id, me, followed)
        case {"edited_message": message}:
            parsed = _message(message, event_id, me, followed)
            if isinstance(parsed, Arrival):
                return Ignored(Reason.EDITED, parsed.inbound.address, parsed.message_id)
            return parsed
        case {"callback_query": query}:
            return _click(query, event_id, me)
        case {"my_chat_member": change}:
            return _membership(change, event_id, me)
        case {"channel_post": _} | {"edited_channel_post": _}:
            return Ignored(Reason.CHANNEL)
    return Ignored(Reason.UNKNOWN)


def _message(message: Json, event_id: str, me: Me, followed: bool) -> Parsed:
    chat = message["chat"]
    if "migrate_to_chat_id" in message:
        return Migrated(event_id, int(chat["id"]), int(message["migrate_to_chat_id"]))
    if "migrate_from_chat_id" in message:
        return Migrated(event_id, int(message["migrate_from_chat_id"]), int(chat["id"]))
    if chat["type"] == "channel" or message.get("is_automatic_forward"):
        return Ignored(Reason.CHANNEL)
    # An anonymous admin comes as GroupAnonymousBot: looked at first, since they can be told.
    anonymous = "sender_chat" in message
    if not anonymous and (message.get("from", {}).get("is_bot", True)):
        return Ignored(Reason.BOT)
    attachments = tuple(attachments_of(message))
    if not attachments and "text" not in message:
        return Ignored(Reason.SERVICE)
    if not is_addressed(message, me, followed):
        return Ignored(Reason.NOT_ADDRESSED)
    if anonymous:
        return Ignored(Reason.ANONYMOUS, address_of(message, me), message["message_id"])
    return _arrival(message, event_id, me, attachments)


def _arrival(message: Json, event_id: str, me: Me, attachments: tuple[Attachment, ...]) -> Arrival | Ignored:
    quoted = is_passed_on(message)
    raw = text_of(message)
    words = _as_quote(raw) if quoted else without_mention(raw, me.username)
    if not words and not attachments:
        return Ignored(Reason.EMPTY, address_of(message, me), message["message_id"])
    return Arrival(
        _inbound(message, event_id, Text(words), message["from"], me),
        int(message["message_id"]),
        attachments=attachments,
        quoted=quoted,
        album=str(message.get("media_group_id", "")),
    )


def _inbound(message: Json, event_id: str, body: Body, user: Json, me: Me) -> Inbound:
    address = address_of(message, me)
    is_said = not isinstance(body, Click)
    name, answers = (str(int(message["message_id"])), answered(message, me)) if is_said else ("", 0)
    home = address.thread if message["chat"].get("type") == "private" else ""
    sender = Sender(str(int(user["id"])), home=home, name=_name(user), language=_language(user))
    return Inbound(address, event_id, body, sender, name, answers)


def _name(user: Json) -> str:
    return f"{user.get('first_name', '')} {user.get('last_name', '')}".strip()


def _language(user: Json) -> Language:
    return "zh" if str(user.get("language_code", "")).startswith("zh") else "en"


def _as_quote(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


def _click(query: Json, event_id: str, me: Me) -> Arrival | Ignored:
    """Return a pressed button; an old card comes without its topic, and only its chat is known."""
    callback_id, user, message = str(query["id"]), query["from"], query.get("message")
    if user.get("is_bot", True):
        return Ignored(Reason.BOT, callback_id=callback_id)
    data = query.get("data")
    if not message or not data or len(data.encode()) > MAX_BUTTON_BYTES:
        return Ignored(Reason.BAD_BUTTON, callback_id=callback_id)
    return Arrival(
        _inbound(message, event_id, Click(data), user, me),
        int(message["message_id"]),
        callback_id,
    )


def _membership(change: Json, event_id: str, me: Me) -> Membership:
    chat, member = change["chat"], change["new_chat_member"]
    present = member["status"] in ("creator", "administrator", "member") or (
        member["status"] == "restricted" and bool(member.get("is_member"))
    )
    by = Sender(str(int(change["from"]["id"])))
    title = str(chat.get("title", ""))
    return Membership(address_of(change, me), event_id, by, present, title, chat["type"] == "private")
