"""From what is said to calls of the API; nothing here sends or waits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from channels.markup import Blocks, Rest, document, plain_text, split, telegram_html, telegram_size
from channels.markup.characters import shortened, utf16_length
from channels.markup.measuring import visible
from channels.telegram.keyboard import Key, keyboard
from channels.telegram.places import Place
from core.messages import Code, Plain
from core.ports import Message

MAX_TEXT = 4096
MAX_CAPTION = 1024
MAX_ANSWER = 200


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
        if "parse_mode" not in self.data:
            return self
        kept = {name: value for name, value in self.data.items() if name != "parse_mode"}
        return replace(self, data={**kept, "text": self.plain})


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


def document_of(place: Place, name: str, content: bytes) -> Call:
    """Return the call that sends a file."""
    where: dict[str, Any] = {"chat_id": place.chat_id}
    if place.topic_id:
        where["message_thread_id"] = place.topic_id
    return Call("sendDocument", where, file=File(name, content))


def edit(
    place: Place, message_id: int, parts: Iterable[str | Plain | Code], extras: Extras = NOTHING
) -> list[Call]:
    """Return the call that rewrites a message, and those that send what does not fit into it.

    Buttons that are not given again are taken away.
    """
    calls = messages(place, parts, replace(extras, reply_to=None))
    if not calls:
        return []
    first = {name: value for name, value in calls[0].data.items() if name != "message_thread_id"}
    markup = first.get("reply_markup", {"inline_keyboard": []})
    data = {**first, "message_id": message_id, "reply_markup": markup}
    return [replace(calls[0], method="editMessageText", data=data), *calls[1:]]


def calls_of(place: Place, message: Message) -> list[Call]:
    """Return what says a message, or takes the place of an earlier one."""
    extras = Extras([Key(b.label, b.value, b.style) for b in message.buttons], rest=message.rest)
    match message.edits:
        case [int(message_id)]:
            return edit(place, message_id, message.parts, extras)
        case [_, _, *_] if message.waits:  # a long card goes on waiting: its end keeps its buttons
            return messages(place, message.parts[:2], replace(extras, keys=()))
        case [*_, int(last)]:  # a long card: its end loses the buttons, and what became of it is said anew
            return [take_buttons(place, last), *messages(place, message.parts[:1], extras)]
    sent = [document_of(place, message.file.name, message.file.content)] if message.file else []
    said = messages(place, message.parts, extras)
    return (
        [*sent, *said] if extras.keys else [*said, *sent]
    )  # whoever decides has the whole before the buttons


def take_buttons(place: Place, message_id: int) -> Call:
    """Return the call that takes a card's buttons away, whatever kind of message it is."""
    data = {"chat_id": place.chat_id, "message_id": message_id, "reply_markup": {"inline_keyboard": []}}
    return Call("editMessageReplyMarkup", data)


def take_away(place: Place, message_id: str | int) -> Call:
    """Return the call that deletes a message."""
    return Call("deleteMessage", {"chat_id": place.chat_id, "message_id": int(message_id)})


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
        return Call("sendDocument", {**where, **caption}, file=file)
    html = telegram_html(piece)
    form = {"text": html, "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}
    return Call("sendMessage", {**where, **form}, plain=_fallback(piece, html))


def _fallback(piece: Blocks, html: str) -> str:
    """Return a message without form; where the links' addresses are too much, without them."""
    plain = plain_text(piece)
    return plain if utf16_length(plain) <= MAX_TEXT else visible(html)
