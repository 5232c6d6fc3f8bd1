"""Telegram's wire format, pure: updates to what happened, what is said to calls, errors to outcomes.

Nothing here sends or waits; the adapter does, with whatever client it likes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from typing import Any, Literal

from channels.markup import (
    Blocks,
    Plain,
    Rest,
    clean,
    columns,
    document,
    plain_text,
    split,
    telegram_html,
    telegram_size,
    utf16_length,
    visible,
)
from core.messages import Address, Body, Click, Code, Inbound, Sender, Text
from core.texts import Language, Say

CHANNEL = "telegram"
MAX_TEXT = 4096
MAX_CAPTION = 1024
MAX_BUTTON_BYTES = 64
MAX_ROW = 8
MAX_BUTTONS = 100
MAX_ANSWER = 200
MAX_DESCRIPTION = 256
MAX_COMMANDS = 100

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


# --- what comes in ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something besides text that was sent and not read. file_id: "" for what is no file; size in bytes."""

    kind: str
    file_id: str = ""
    size: int = 0
    name: str = ""
    mime: str = ""
    seconds: int = 0

    @property
    def note(self) -> Say:
        """Return the sentence that tells its sender so."""
        return Say(UNREAD_KEY, {"kind": self.kind, "size": self.size, "name": self.name})


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message or a click that is for us.

    inbound: its text is "" where only attachments came; message_id: what to reply to, or the card clicked.
    callback_id: to be answered at once, None for a message; quoted: somebody else's words, passed on.
    album: the same for all messages of one; name and language: what the sender's app says.
    """

    inbound: Inbound
    message_id: int
    callback_id: str | None = None
    attachments: tuple[Attachment, ...] = ()
    quoted: bool = False
    album: str = ""
    name: str = ""
    language: Language = "en"
    private: bool = False

    @property
    def has_words(self) -> bool:
        """Return whether there is something for the agent to read."""
        return self.inbound.body != Text("")


@dataclass(frozen=True, slots=True)
class Membership:
    """The bot was put into a chat, taken out of it, blocked or let in again."""

    address: Address
    event_id: str
    by: Sender
    present: bool
    title: str = ""
    private: bool = False


@dataclass(frozen=True, slots=True)
class Migrated:
    """A group became a supergroup: the old chat's places go on under the new id."""

    event_id: str
    old_chat_id: int
    new_chat_id: int


class Reason(Enum):
    """Why an update is left alone."""

    CHANNEL = "channel"
    BOT = "bot"
    ANONYMOUS = "anonymous"
    NOT_ADDRESSED = "not_addressed"
    EDITED = "edited"
    EMPTY = "empty"
    SERVICE = "service"
    BAD_BUTTON = "bad_button"
    UNKNOWN = "unknown"
    MALFORMED = "malformed"


UNREAD_KEY = "telegram.unread"
TOLD: Mapping[Reason, str] = {
    Reason.ANONYMOUS: "telegram.anonymous",
    Reason.EDITED: "telegram.edited",
    Reason.EMPTY: "telegram.empty",
    Reason.BAD_BUTTON: "telegram.bad_button",
}
"""The catalogue's keys for what a person must hear of, since they meant us."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An update that is not taken. address: where to say so, None where nobody meant us."""

    reason: Reason
    address: Address | None = None
    message_id: int | None = None
    callback_id: str | None = None


Parsed = Arrival | Membership | Migrated | Ignored


def parse(update: Json, me: Me, followed: bool = False) -> Parsed:
    """Return what happened; never raises, since a bad update would be sent again for ever.

    followed: the bot takes part in the update's thread (see ``thread_of``) and hears all that is said there.
    """
    try:
        return _parsed(update, me, followed)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return Ignored(Reason.MALFORMED)


_PLACED = ("message", "edited_message", "my_chat_member")


def thread_of(update: Json) -> str | None:
    """Return the thread that an update is about, to be looked up before it is parsed."""
    try:
        holder = update.get("callback_query", update)
        found = next(holder[name] for name in _PLACED if name in holder)
        return _place(found).thread
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError):
        return None


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


def _place(message: Json) -> Place:
    """Return where a message stands; a thread of replies outside of a forum is no place of its own."""
    topic = message.get("message_thread_id", 0) if message.get("is_topic_message") else 0
    return Place(int(message["chat"]["id"]), int(topic))


def _address(message: Json, me: Me) -> Address:
    return Address(CHANNEL, me.installation_id, _place(message).thread)


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
    attachments = tuple(_attachments(message))
    if not attachments and "text" not in message:
        return Ignored(Reason.SERVICE)
    if not _is_addressed(message, me, followed):
        return Ignored(Reason.NOT_ADDRESSED)
    if anonymous:
        return Ignored(Reason.ANONYMOUS, _address(message, me), message["message_id"])
    return _arrival(message, event_id, me, attachments)


def _arrival(message: Json, event_id: str, me: Me, attachments: tuple[Attachment, ...]) -> Arrival | Ignored:
    quoted = _is_passed_on(message)
    raw = _text(message)
    words = _as_quote(raw) if quoted else _without_mention(raw, me.username)
    if not words and not attachments:
        return Ignored(Reason.EMPTY, _address(message, me), message["message_id"])
    return Arrival(
        _inbound(message, event_id, Text(words), message["from"], me),
        int(message["message_id"]),
        attachments=attachments,
        quoted=quoted,
        album=str(message.get("media_group_id", "")),
        name=_name(message["from"]),
        language=_language(message["from"]),
        private=message["chat"]["type"] == "private",
    )


def _inbound(message: Json, event_id: str, body: Body, user: Json, me: Me) -> Inbound:
    return Inbound(_address(message, me), event_id, body, Sender(str(int(user["id"]))))


def _text(message: Json) -> str:
    return str(message.get("text", message.get("caption", "")))


def _name(user: Json) -> str:
    return f"{user.get('first_name', '')} {user.get('last_name', '')}".strip()


def _language(user: Json) -> Language:
    return "zh" if str(user.get("language_code", "")).startswith("zh") else "en"


def _is_passed_on(message: Json) -> bool:
    """Return whether the words are another's: they are shown to the agent as data and command nothing."""
    return "forward_origin" in message or "forward_date" in message or "via_bot" in message


def _as_quote(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


def _without_mention(text: str, username: str) -> str:
    """Return ``text`` without the bot's name at its ends, where it only calls."""
    name = re.escape(username)
    text = re.sub(rf"^\s*@{name}(?!\w)[\s,:，：]*", "", text, flags=re.IGNORECASE)
    return re.sub(rf"(?:^|\s+)@{name}\s*$", "", text, flags=re.IGNORECASE).strip()


def _is_addressed(message: Json, me: Me, followed: bool) -> bool:
    """Return whether a message is for us: always in private, else by name, command, reply or habit."""
    if message["chat"]["type"] == "private":
        return True
    if _is_passed_on(message):  # the names in it were called by somebody else
        return followed
    names = list(_names(message, me))
    others = [each for each in names if each.first and not each.ours]
    if any(each.command for each in others):
        return False
    if any(each.ours for each in names) or _is_reply_to(message, me):
        return True
    return followed and not others  # "@ann, can you look?" is for Ann


@dataclass(frozen=True, slots=True)
class _Named:
    """A name in a text. ours: it is the bot; first: the text begins with it; command: as ``/run@name``."""

    ours: bool
    first: bool
    command: bool = False


def _names(message: Json, me: Me) -> Iterator[_Named]:
    """Yield everybody who is named, or commanded by name."""
    text = _text(message)
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


def entity_text(text: str, offset: int, length: int) -> str:
    """Return what an entity covers: Telegram counts in UTF-16 units, in which most emoji are two."""
    units = text.encode("utf-16-le", "surrogatepass")[offset * 2 : (offset + length) * 2]
    return units.decode("utf-16-le", "replace")


def _is_reply_to(message: Json, me: Me) -> bool:
    """Return whether a message answers the bot; each message in a topic "replies" to the topic's start."""
    answered = message.get("reply_to_message", {})
    is_start = "forum_topic_created" in answered
    return not is_start and answered.get("from", {}).get("id") == me.id


_FILES = ("animation", "document", "voice", "audio", "video", "video_note", "sticker")
_OTHERS = ("location", "venue", "contact", "poll", "dice", "story", "paid_media", "checklist", "game")


def _attachments(message: Json) -> Iterator[Attachment]:
    """Yield what a message carries besides text."""
    if photos := message.get("photo"):
        yield _attachment("photo", max(photos, key=lambda each: each.get("width", 0)))
    for kind in _FILES:
        # An animation comes as a document as well, a venue as a location.
        if kind in message and not (kind == "document" and "animation" in message):
            yield _attachment(kind, message[kind])
    for kind in (*_OTHERS, "rich_message"):
        if kind in message and not (kind == "location" and "venue" in message):
            yield Attachment(kind)


def _attachment(kind: str, file: Json) -> Attachment:
    return Attachment(
        kind,
        str(file["file_id"]),
        int(file.get("file_size", 0)),
        clean(str(file.get("file_name", "")))[:200],
        str(file.get("mime_type", "")),
        int(file.get("duration", 0)),
    )


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
        name=_name(user),
        language=_language(user),
        private=message["chat"].get("type") == "private",
    )


def _membership(change: Json, event_id: str, me: Me) -> Membership:
    chat, member = change["chat"], change["new_chat_member"]
    present = member["status"] in ("creator", "administrator", "member") or (
        member["status"] == "restricted" and bool(member.get("is_member"))
    )
    by = Sender(str(int(change["from"]["id"])))
    title = str(chat.get("title", ""))
    return Membership(_address(change, me), event_id, by, present, title, chat["type"] == "private")


# --- what goes out ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """A button in words. value: opaque, 1 to 64 bytes."""

    label: str
    value: str
    style: Literal["primary", "danger", "plain"] = "plain"


@dataclass(frozen=True, slots=True)
class File:
    """What is sent as a document."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API. plain: the text for ``as_plain``; file: goes as ``document``."""

    method: str
    data: Mapping[str, Any]
    plain: str = ""
    file: File | None = None

    @property
    def as_plain(self) -> "Call":
        """Return the same without form, for when Telegram cannot read what we wrote."""
        kept = {name: value for name, value in self.data.items() if name != "parse_mode"}
        return replace(self, data={**kept, "text": self.plain} if "text" in kept else kept)


@dataclass(frozen=True, slots=True)
class Extras:
    """What goes with an answer. reply_to: the message that it answers; rest: the words for a text file.

    styled: colour the buttons, which Telegram takes since Bot API 9.4.
    """

    keys: Sequence[Key] = ()
    reply_to: int | None = None
    rest: str = ""
    styled: bool = True


NOTHING = Extras()


def messages(
    place: Place, parts: Iterable[str | Plain | Code], extras: Extras = NOTHING, most: int = 5
) -> list[Call]:
    """Return the calls that say ``parts``: a ``str`` is Markdown; [] where nothing would be seen.

    The first answers ``extras.reply_to``, the last has the buttons: whoever decides has seen the whole.
    """
    pieces = split(document(parts), MAX_TEXT, telegram_size, most)
    calls = [_call(place, piece, extras.rest) for piece in pieces]
    if calls and extras.reply_to is not None:
        # Without the permission the answer to a deleted question would not be sent at all.
        answered = {"message_id": extras.reply_to, "allow_sending_without_reply": True}
        calls[0] = _with(calls[0], reply_parameters=answered)
    if calls and extras.keys:
        calls[-1] = _with(calls[-1], reply_markup=keyboard(extras.keys, extras.styled))
    return calls


def edit(
    place: Place, message_id: int, parts: Iterable[str | Plain | Code], extras: Extras = NOTHING
) -> list[Call]:
    """Return the call that rewrites a message, and those that send what does not fit into it.

    Buttons that are not given again are taken away.
    """
    calls = messages(place, parts, replace(extras, reply_to=None))
    if not calls or calls[0].file:
        return calls
    first = {name: value for name, value in calls[0].data.items() if name != "message_thread_id"}
    markup = first.get("reply_markup", {"inline_keyboard": []})
    data = {**first, "message_id": message_id, "reply_markup": markup}
    return [replace(calls[0], method="editMessageText", data=data), *calls[1:]]


def take_buttons(place: Place, message_id: int) -> Call:
    """Return the call that takes a card's buttons away, whatever kind of message it is."""
    data = {"chat_id": place.chat_id, "message_id": message_id, "reply_markup": {"inline_keyboard": []}}
    return Call("editMessageReplyMarkup", data)


def answer(callback_id: str, text: str = "") -> Call:
    """Return the call that ends a click's waiting; every click gets one, first of all."""
    data = {"callback_query_id": callback_id}
    return Call("answerCallbackQuery", {**data, "text": shortened(text, MAX_ANSWER)} if text else data)


def _with(call: Call, **more: Any) -> Call:
    return replace(call, data={**call.data, **more})


def _call(place: Place, piece: Blocks | Rest, rest: str) -> Call:
    where: dict[str, Any] = {"chat_id": place.chat_id}
    if place.topic_id:
        where["message_thread_id"] = place.topic_id
    if isinstance(piece, Rest):
        caption = {"caption": shortened(rest, MAX_CAPTION)} if rest else {}
        file = File(piece.filename, piece.text.encode())
        return Call("sendDocument", {**where, **caption}, plain=rest, file=file)
    html = telegram_html(piece)
    form = {"text": html, "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}
    return Call("sendMessage", {**where, **form}, plain=_fallback(piece, html))


def _fallback(piece: Blocks, html: str) -> str:
    """Return a message without form; where the links' addresses are too much, without them."""
    plain = plain_text(piece)
    return plain if utf16_length(plain) <= MAX_TEXT else visible(html)


def shortened(text: str, limit: int) -> str:
    """Return ``text`` with at most ``limit`` UTF-16 units, an ellipsis for what is missing."""
    if utf16_length(text) <= limit:
        return text
    kept = text[: limit - 1]
    while utf16_length(kept) > limit - 1:
        kept = kept[:-1]
    return kept + "…"


_STYLES = {"primary": "success", "danger": "danger"}
_ROW_COLUMNS = 36


def keyboard(keys: Sequence[Key], styled: bool = True) -> Json:
    """Return an inline keyboard, as many buttons in a row as a phone can show.

    Raises ValueError for what Telegram would refuse with the whole message.
    """
    if len(keys) > MAX_BUTTONS:
        raise ValueError(f"{len(keys)} buttons, and {MAX_BUTTONS} are allowed")
    rows: list[list[Key]] = []
    for key in keys:
        if not 1 <= len(key.value.encode()) <= MAX_BUTTON_BYTES or not key.label.strip():
            raise ValueError(f"the button {key.label!r} has no label, or its value is not 1 to 64 bytes long")
        row = [*rows[-1], key] if rows else []
        if row and len(row) <= MAX_ROW and sum(columns(each.label) + 4 for each in row) <= _ROW_COLUMNS:
            rows[-1] = row
        else:
            rows.append([key])
    return {"inline_keyboard": [[_button(key, styled) for key in row] for row in rows]}


def _button(key: Key, styled: bool) -> Json:
    style = {"style": _STYLES[key.style]} if styled and key.style in _STYLES else {}
    return {"text": clean(key.label), "callback_data": key.value, **style}


_COMMAND = re.compile(r"[a-z0-9_]{1,32}")


def commands_menu(commands: Mapping[str, Mapping[Language, str]]) -> list[Call]:
    """Return the calls that set the menu of commands: English for all, Chinese for Chinese apps.

    commands: the descriptions by name. Raises ValueError for a name that Telegram does not take.
    """
    wrong = [name for name in commands if not _COMMAND.fullmatch(name)]
    if wrong:
        raise ValueError(f"no commands for Telegram: {', '.join(wrong)}")
    return [
        Call("setMyCommands", {"commands": _menu(commands, language), **scope})
        for language, scope in (("en", {}), ("zh", {"language_code": "zh"}))
    ]


def _menu(commands: Mapping[str, Mapping[Language, str]], language: Any) -> list[Json]:
    return [
        {"command": name, "description": shortened(" ".join(clean(words[language]).split()), MAX_DESCRIPTION)}
        for name, words in islice(commands.items(), MAX_COMMANDS)
    ]


# --- what the API answers ---------------------------------------------------------------------------------


class Outcome(Enum):
    """What is to be done after a call."""

    DONE = "done"
    """It is as it should be, or nothing can make it so any more."""
    PLAIN = "plain"
    """Send it again as plain text."""
    RESEND = "resend"
    """The message to be edited is gone: send it as a new one."""
    WAIT = "wait"
    """Try again after ``retry_after_s``."""
    LATER = "later"
    """Telegram has a fault: try again, with growing pauses."""
    MIGRATED = "migrated"
    """Send it again to ``chat_id``, and keep that."""
    CLOSED = "closed"
    """The topic is closed or gone: the chat itself may still be written to."""
    UNREACHABLE = "unreachable"
    """Nobody there hears us: blocked, kicked, deleted, or not allowed to write."""
    CONFLICT = "conflict"
    """Another process takes the updates: stand back."""
    BAD_TOKEN = "bad_token"  # noqa: S105
    """The token is not valid any more."""
    REFUSED = "refused"
    """The call itself is wrong; again it would be refused again."""


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a call with what belongs to it. reason: Telegram's words, for the log."""

    outcome: Outcome
    reason: str = ""
    retry_after_s: float = 0.0
    chat_id: int | None = None


_PHRASES: Sequence[tuple[Outcome, Sequence[str]]] = (
    (Outcome.DONE, ("message is not modified", "query is too old", "query id is invalid")),
    (Outcome.PLAIN, ("can't parse entities", "can't parse message text", "entities_too_long")),
    (Outcome.PLAIN, ("entities too long", "entity_")),
    (Outcome.RESEND, ("message to edit not found", "message can't be edited", "message_id_invalid")),
    (Outcome.CLOSED, ("topic_closed", "topic_deleted", "topic_id_invalid", "message thread not found")),
    (Outcome.UNREACHABLE, ("chat not found", "user not found", "peer_id_invalid", "chat_write_forbidden")),
    (Outcome.UNREACHABLE, ("not enough rights", "have no rights", "need administrator rights")),
    (Outcome.UNREACHABLE, ("group chat was deactivated", "user is deactivated", "channel_private")),
    (Outcome.UNREACHABLE, ("bot was blocked", "bot was kicked", "bot is not a member")),
)
_CODES = {
    401: Outcome.BAD_TOKEN,
    403: Outcome.UNREACHABLE,
    404: Outcome.BAD_TOKEN,
    409: Outcome.CONFLICT,
}
_RETRY_AFTER = re.compile(r"retry after (\d+)", re.IGNORECASE)


def classify(code: int, description: str = "", parameters: Json | None = None) -> Result:
    """Return what an answer of the API means.

    code: ``error_code``, else the HTTP status, 0 for none; parameters: the answer's ``parameters``.
    """
    parameters, words = parameters or {}, description.casefold()
    if "migrate_to_chat_id" in parameters:
        return Result(Outcome.MIGRATED, description, chat_id=int(parameters["migrate_to_chat_id"]))
    if code == 429:
        return Result(Outcome.WAIT, description, _seconds(description, parameters))
    for outcome, phrases in _PHRASES:
        if any(phrase in words for phrase in phrases):
            return Result(outcome, description)
    if 200 <= code < 300:
        return Result(Outcome.DONE, description)
    if code >= 500 or not code:
        return Result(Outcome.LATER, description)
    return Result(_CODES.get(code, Outcome.REFUSED), description)


def _seconds(description: str, parameters: Json) -> float:
    """Return how long to wait, at least a second."""
    found = _RETRY_AFTER.search(description)
    return max(1.0, float(parameters.get("retry_after", found[1] if found else 1)))
