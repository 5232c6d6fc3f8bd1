"""Who is behind the double of Telegram: chats, people who talk and click, and updates on their way."""

import asyncio
import itertools
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from channels.markup.characters import utf16_length

Json = dict[str, Any]
_NAMES = re.compile(
    r"(?P<mention>(?<!\w)@[A-Za-z]\w{3,31})|(?P<bot_command>(?<![\w/])/\w{1,64}(?:@\w+)?)", re.A
)
_NOT_BY_DEFAULT = ("chat_member", "message_reaction", "message_reaction_count")
_SUPERGROUP = -1_000_000_000_000


@dataclass(frozen=True)
class Upload:
    """A file that was sent."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Message:
    """A message as it stands. text: as it was written; visible: what is seen; rows: buttons, in full.

    token: the bot that wrote it, "" for people.
    """

    message_id: int
    chat_id: int
    token: str
    sender: Json
    text: str = ""
    visible: str = ""
    html: bool = False
    rows: tuple[tuple[Json, ...], ...] = ()
    topic_id: int = 0
    reply_to: int = 0
    file: Upload | None = None
    kind: str = ""
    attachment: Any = None
    reactions: tuple[str, ...] = ()
    edited: int = 0
    deleted: bool = False

    @property
    def buttons(self) -> list[list[tuple[str, str]]]:
        """Return the buttons as rows of label and data."""
        return [[(key["text"], key.get("callback_data", "")) for key in row] for row in self.rows]


@dataclass
class Chat:
    """A chat. id: of the user where it is private; topics: their titles by the id of their first message."""

    id: int
    kind: str
    title: str
    forum: bool = False
    members: set[int] = field(default_factory=set)
    topics: dict[int, str] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)

    @property
    def shown(self) -> Json:
        """Return the chat as updates show it."""
        if self.kind == "private":
            return {"id": self.id, "type": "private", "first_name": self.title}
        return {
            "id": self.id,
            "type": self.kind,
            "title": self.title,
            **({"is_forum": True} if self.forum else {}),
        }


@dataclass
class Account:
    """A bot as Telegram knows it. queue: updates not confirmed; again: to be given though they were."""

    token: str
    username: str
    queue: list[Json] = field(default_factory=list)
    again: list[Json] = field(default_factory=list)
    allowed: tuple[str, ...] = ()
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    poll: "asyncio.Future[str] | None" = None
    hook: Json = field(default_factory=dict)
    pushing: "asyncio.Task[None] | None" = None

    @property
    def id(self) -> int:
        """Return the bot's id, which its token begins with."""
        return int(self.token.partition(":")[0])

    @property
    def user(self) -> Json:
        """Return the bot as a sender."""
        return {"id": self.id, "is_bot": True, "first_name": self.username, "username": self.username}

    def deliver(self, update: Json, again: bool = False) -> None:
        """Put an update on its way, if this bot takes its kind."""
        kind = next(name for name in update if name != "update_id")
        if kind in self.allowed if self.allowed else kind not in _NOT_BY_DEFAULT:
            (self.again if again else self.queue).append(update)
            self.arrived.set()


def entities_of(text: str) -> list[Json]:
    """Return the names and commands in a text, counted in UTF-16 units."""
    return [
        {
            "type": found.lastgroup,
            "offset": utf16_length(text[: found.start()]),
            "length": utf16_length(found[0]),
        }
        for found in _NAMES.finditer(text)
    ]


class People:
    """The chats and who is in them; what they say and click reaches the bots as updates."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.chats: dict[int, Chat] = {}
        self.users: dict[int, Json] = {}
        self.updates: dict[int, tuple[Json, list[Account]]] = {}
        self.files: dict[str, Upload] = {}
        self.clicks: dict[str, str] = {}
        self._ids = itertools.count(100)

    def add_bot(self, token: str, username: str) -> None:
        """Let a bot in."""
        self.accounts[token] = Account(token, username)

    def person(self, user_id: int, name: str, language_code: str = "en") -> None:
        """Make somebody known whom the bots may not write to."""
        user = {"id": user_id, "is_bot": False, "first_name": name, "language_code": language_code}
        self.users[user_id] = user

    def private(self, user_id: int, name: str, language_code: str = "en") -> None:
        """Make somebody known who has started the bots."""
        self.person(user_id, name, language_code)
        self.chats[user_id] = Chat(user_id, "private", name, members={user_id})

    def group(self, chat_id: int, title: str, members: Iterable[int], forum: bool = False) -> None:
        """Open a group with all the bots in it."""
        kind = "supergroup" if chat_id < _SUPERGROUP else "group"
        assert chat_id < 0, "Telegram's groups have negative ids"
        assert kind == "supergroup" or not forum, "only supergroups (-100…) have topics"
        self.chats[chat_id] = Chat(chat_id, kind, title, forum, set(members))
        for user_id in members:
            if user_id not in self.users:
                self.person(user_id, f"User {user_id}")

    def topic(self, chat_id: int, title: str) -> int:
        """Open a topic in a forum and return its id."""
        chat = self.chats[chat_id]
        assert chat.forum, "only forums have topics"
        topic_id = next(self._ids)
        chat.topics[topic_id] = title
        return topic_id

    def say(
        self, chat_id: int, user_id: int, text: str, topic_id: int | None = None, reply_to: int | None = None
    ) -> int:
        """Let somebody write, and return the id of the update."""
        return self._write(chat_id, user_id, text, topic_id or 0, reply_to or 0)

    def forward(self, chat_id: int, user_id: int, text: str) -> int:
        """Let somebody pass on what another wrote, and return the id of the update."""
        origin = {"type": "hidden_user", "sender_user_name": "Mallory", "date": 1}
        return self._write(chat_id, user_id, text, 0, 0, more={"forward_origin": origin})

    def edit(self, update_id: int, text: str) -> int:
        """Let somebody change what they wrote, and return the id of the update."""
        body = self.updates[update_id][0]["message"]
        edited = {**body, "text": text, "edit_date": body["date"]}
        return self._update("edited_message", edited, list(self.accounts.values()))

    def send_photo(
        self,
        chat_id: int,
        user_id: int,
        content: bytes = b"\xff\xd8\xff",
        caption: str = "",
        topic_id: int | None = None,
    ) -> int:
        """Let somebody send a photo, and return the id of the update."""
        sizes = [
            {**self.keep_file("photo.jpg", content), "width": side, "height": side} for side in (90, 800)
        ]
        return self._write(chat_id, user_id, caption, topic_id or 0, 0, "photo", sizes)

    def send_file(
        self,
        chat_id: int,
        user_id: int,
        name: str,
        content: bytes,
        kind: str = "document",
        caption: str = "",
        **more: Any,
    ) -> int:
        """Let somebody send a document, a voice message and so on, and return the id of the update."""
        file = {
            **self.keep_file(name, content),
            **({"file_name": name} if kind == "document" else {}),
            **more,
        }
        return self._write(chat_id, user_id, caption, 0, 0, kind, file)

    def click(self, message: Message, label: str, user_id: int) -> int:
        """Let somebody press a button that the message has now, and return the id of the update."""
        now = self.chats[message.chat_id].messages[message.message_id]
        assert not now.deleted, "nobody can click what is gone"
        assert user_id in self.chats[message.chat_id].members, "a stranger sees no button"
        [data] = [key["callback_data"] for row in now.rows for key in row if key["text"] == label]
        account = self.accounts[message.token]
        query_id = str(7_000_000 + next(self._ids))
        self.clicks[query_id] = account.token
        query = {"id": query_id, "from": self.users[user_id], "chat_instance": str(now.chat_id), "data": data}
        return self._update("callback_query", {**query, "message": self.shown(now)}, [account])

    def repeat(self, update_id: int) -> None:
        """Deliver an update again, though it may have been confirmed."""
        update, accounts = self.updates[update_id]
        for account in accounts:
            account.deliver(update, again=True)

    def messages(self, chat_id: int, topic_id: int | None = None) -> list[Message]:
        """Return what the bots wrote in a chat as it stands now, with what was deleted."""
        found = (message for message in self.chats[chat_id].messages.values() if message.token)
        return [message for message in found if topic_id in (None, message.topic_id)]

    def keep_file(self, name: str, content: bytes) -> Json:
        """Keep a file, and return it as a message shows it."""
        number = next(self._ids)
        self.files[f"file-{number}"] = Upload(f"files/{number}_{name}", content)
        return {"file_id": f"file-{number}", "file_unique_id": f"u{number}", "file_size": len(content)}

    def shown(self, message: Message) -> Json:
        """Return a message as Telegram gives it."""
        chat = self.chats[message.chat_id]
        basis: Json = {"message_id": message.message_id, "date": int(time.time()), "chat": chat.shown}
        basis["from"] = message.sender
        if message.kind:
            basis[message.kind] = message.attachment
        if message.visible:
            entities = [] if message.token else entities_of(message.visible)
            text, formed = ("caption", "caption_entities") if message.kind else ("text", "entities")
            basis |= {text: message.visible, **({formed: entities} if entities else {})}
        if message.edited:
            basis["edit_date"] = basis["date"]
        if message.rows:
            basis["reply_markup"] = {"inline_keyboard": [list(row) for row in message.rows]}
        if message.topic_id:
            basis |= {"message_thread_id": message.topic_id, "is_topic_message": True}
        if message.reply_to:
            basis["reply_to_message"] = self.shown(replace(chat.messages[message.reply_to], reply_to=0))
        elif message.topic_id:
            # Whatever is said in a topic "replies" to the topic's start.
            opened = {"name": chat.topics[message.topic_id], "icon_color": 7322096}
            start = {
                "message_id": message.topic_id,
                "date": 1,
                "chat": chat.shown,
                "forum_topic_created": opened,
            }
            basis["reply_to_message"] = start | {"from": next(iter(self.accounts.values())).user}
        return basis

    def _write(
        self,
        chat_id: int,
        user_id: int,
        text: str,
        topic_id: int,
        reply_to: int,
        kind: str = "",
        attachment: Any = None,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> int:
        chat, number = self.chats[chat_id], next(self._ids)
        assert user_id in chat.members, f"{user_id} is not in {chat_id}"
        assert not topic_id or topic_id in chat.topics, f"no topic {topic_id}"
        form: Mapping[str, Any] = {"topic_id": topic_id, "reply_to": reply_to, "kind": kind}
        message = Message(number, chat_id, "", self.users[user_id], text, text, attachment=attachment, **form)
        chat.messages[number] = message
        return self._update("message", {**self.shown(message), **more}, list(self.accounts.values()))

    def _update(self, kind: str, body: Json, accounts: list[Account]) -> int:
        update_id = 500_000 + next(self._ids)
        self.updates[update_id] = {"update_id": update_id, kind: body}, accounts
        for account in accounts:
            account.deliver(self.updates[update_id][0])
        return update_id
