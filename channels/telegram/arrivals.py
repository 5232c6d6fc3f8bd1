"""What an update can turn out to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from core.messages import Address, Inbound, Sender, Text
from core.texts import Language, Say


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something besides text that was sent and not read. file_id: "" for what is no file; size in bytes."""

    kind: str
    file_id: str = ""
    size: int = 0
    name: str = ""
    mime: str = ""
    seconds: int = 0

    def note(self, has_words: bool) -> Say:
        """Return the sentence that tells its sender so. has_words: there were words beside it."""
        key = "telegram.unread_beside" if has_words else "telegram.unread"
        return Say(key, {"kind": self.kind, "size": self.size, "name": self.name})


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message or a click that is for us.

    inbound: its text is "" where only attachments came; message_id: what to reply to, or the card clicked.
    callback_id: to be answered at once, None for a message; quoted: somebody else's words, passed on.
    album: the same for all messages of one.
    """

    inbound: Inbound
    message_id: int
    callback_id: str | None = None
    attachments: tuple[Attachment, ...] = ()
    quoted: bool = False
    album: str = ""

    @property
    def language(self) -> Language:
        """Return what the sender's app is set to."""
        return self.inbound.sender.language if self.inbound.sender else "en"

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
