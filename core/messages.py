"""Whatever happens is an ``Inbound``, whatever is said is an ``Outbound``, one ``Handler`` stands between.

An inbound's body and an outbound's words are both rows of the conversation's event log; the queues carry
only (conversation, seq).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import Any, Literal, Protocol

from core.texts import Language, Say


@dataclass(frozen=True, slots=True)
class Address:
    """Where a conversation takes place: enough to rebuild a ``Reply`` in any process, at any time.

    channel: the kind, such as ``console``; installation_id: which workspace or bot of that kind;
    thread: the channel's own name of the place, opaque to everyone else.
    """

    channel: str
    installation_id: str
    thread: str

    def as_json(self) -> dict[str, str]:
        """Return the form that is stored."""
        return {"channel": self.channel, "installation_id": self.installation_id, "thread": self.thread}


@dataclass(frozen=True, slots=True)
class Text:
    """Typed words."""

    text: str


@dataclass(frozen=True, slots=True)
class Click:
    """A pressed button: ``button`` is the opaque value that the card carried (at most 64 bytes)."""

    button: str


@dataclass(frozen=True, slots=True)
class Act:
    """An approval was granted: the stored act is to be run."""

    approval_id: str


@dataclass(frozen=True, slots=True)
class Decided:
    """An approval has its outcome: the turn that waits goes on."""

    approval_id: str


@dataclass(frozen=True, slots=True)
class Code:
    """Text that stands in a monospaced block, as it is: it is data, and every channel escapes it.

    title: what it is, such as a server's name.
    """

    code: str
    title: str = ""


Part = Say | str | Code


@dataclass(frozen=True, slots=True)
class Plain:
    """A sentence in words: data may stand in its places, so nothing of it is markup or a link."""

    text: str


Spoken = str | Plain | Code
"""A part in one reader's words; a ``str`` is Markdown."""


def command_word(text: str) -> str:
    """Return the slash command that ``text`` begins with, in lower case, or "".

    A Chinese keyboard's ``／`` and ``、`` count as the slash, and a group's ``/run@bot`` as ``/run``.
    """
    words = text.split(maxsplit=1)
    if not words or words[0][0] not in "/／、" or len(words[0]) == 1:
        return ""
    return "/" + words[0][1:].split("@")[0].lower()


DATA = "<data-"
"""What a frame of data begins with."""


def framed(text: str, nonce: str) -> str:
    """Return what came from outside as data: between marks that it cannot know (SECURITY T1)."""
    return f"{DATA}{nonce}>\n{text.replace(nonce, '…')}\n</data-{nonce}>"


def with_file(words: str, name: str, text: str, nonce: str) -> str:
    """Return a message with the text file that came with it, which is data."""
    data = framed(f"{name}\n{text}", nonce)
    return f"{words or '…'}\n\n{data}"


def part_as_json(part: Part) -> Any:
    """Return the form in which a part is stored."""
    match part:
        case Say():
            return part.as_json()
        case Code():
            return {"code": part.code, "title": part.title}
        case str():
            return part


def part_from_json(raw: Any) -> Part:
    """Return the part that ``part_as_json`` wrote."""
    if isinstance(raw, str):
        return raw
    if "code" in raw:
        return Code(raw["code"], raw.get("title", ""))
    return Say(raw["say"], raw["params"])


Body = Text | Click | Act | Decided


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent it, as the platform proved it.

    external_id: the platform's user id; home: the thread of their private chat with us, where this comes from
    it; name, language: what the platform says of them, which proves nothing.
    """

    external_id: str
    ip: str | None = None
    home: str = ""
    name: str = ""
    language: Language = "en"


@dataclass(frozen=True, slots=True)
class Inbound:
    """Something that happened outside and that it0 has to answer.

    event_id: the platform's own id of the event, unique within the installation; a repeat is dropped.
    sender: None where it0 itself is the source (an approval's outcome, a timer). message: what the platform
    calls it, so that it can be taken away, "" where it cannot. answers: what it calls the message of ours
    that this one answers, where replies are what holds a conversation together; else 0.
    """

    address: Address
    event_id: str
    body: Body
    sender: Sender | None = None
    message: str = ""
    answers: int = 0


@dataclass(frozen=True, slots=True)
class Button:
    """A button: ``value`` is an opaque id of at most 64 bytes, ``style`` only looks."""

    label: Say
    value: str
    style: Literal["primary", "danger", "plain"] = "plain"


@dataclass(frozen=True, slots=True)
class Attached:
    """A stored file that goes with what is said. size: in bytes."""

    id: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Outbound:
    """Something said to a conversation, to be put in words by the channel that carries it.

    kind: ``reply`` ends a turn, ``notice`` stands by itself, ``card`` shows the approval ``approval_id``.
    parts: sentences and texts in order; a text is data and is escaped by the channel.
    takes_back: what the platform calls a person's message that is to be deleted there.
    file: goes with it.
    """

    kind: Literal["reply", "notice", "card"]
    parts: Sequence[Part] = ()
    buttons: Sequence[Button] = ()
    approval_id: str | None = None
    takes_back: str = ""
    file: Attached | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the event body that is stored."""
        body: dict[str, Any] = {"parts": [part_as_json(part) for part in self.parts]}
        if self.buttons:
            body["buttons"] = [
                {"label": b.label.as_json(), "value": b.value, "style": b.style} for b in self.buttons
            ]
        if self.approval_id:
            body["approval_id"] = self.approval_id
        if self.takes_back:
            body["takes_back"] = self.takes_back
        if self.file:
            body["file"] = asdict(self.file)
        return body


@dataclass(frozen=True, slots=True)
class Progress:
    """A piece of a running turn, for whoever looks on now: it is not stored and may be lost.

    kind: text (a piece of the answer), thinking, output (a piece of a command's output) or state.
    """

    kind: Literal["text", "thinking", "output", "state"]
    data: Mapping[str, Any] = field(default_factory=dict)


class Live(Protocol):
    """A reply that grows while the turn runs."""

    async def update(self, progress: Progress) -> None:
        """Show a piece; best effort, never raises for a lost connection."""
        ...

    async def close(self) -> None:
        """Take away what was shown: the turn is over in this process."""
        ...


@dataclass(slots=True)
class Sending:
    """One stored outbound on its way to a platform.

    body: the event's; conversation_id: "" for what is said to a stranger; language: the reader's, None where
    it is still to be read.
    receipt: what the platform calls what it took, a value for each piece; one that is tried again
    begins after them.
    """

    tenant_id: str
    conversation_id: str
    seq: int
    body: Mapping[str, Any]
    receipt: list[Any] = field(default_factory=list)
    language: Language | None = None


class Reply(Protocol):
    """The way back to one conversation, always rebuilt from its ``Address``."""

    @property
    def address(self) -> Address:
        """Return where it leads."""
        ...

    def live(self, tenant_id: str, conversation_id: str, turn_id: str) -> Live:
        """Return the growing reply of a turn."""
        ...

    async def deliver(self, sending: Sending) -> None:
        """Hand one stored outbound to the platform, once, and note what it took in the receipt.

        Raises Unavailable when the platform did not take it; it is then tried again later, at the moment
        that a Flooded names. Raises Undeliverable when it never will.
        """
        ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """An inbound whose row is committed: only now may its platform be told so.

    fence: the lane's fencing number if this process took the work at once, else None.
    repeat: the event was accepted before; nothing more is to be done.
    """

    tenant_id: str
    inbox_id: int
    conversation_id: str
    seq: int
    fence: int | None
    repeat: bool = False


Handler = Callable[[Inbound, Reply], Awaitable[Accepted | None]]
Middleware = Callable[[Handler], Handler]


def fold(handler: Handler, middleware: Sequence[Middleware]) -> Handler:
    """Return ``handler`` inside ``middleware``, the first of which sees an inbound first."""
    return reduce(lambda inner, wrap: wrap(inner), reversed(middleware), handler)
