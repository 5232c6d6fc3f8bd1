"""Protocols by which the rooms reach one another."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from core.messages import Address, Handler, Reply, Sending, Spoken
from core.texts import Language, Say
from core.work import RunTarget, Server, Verdict


class Bus(Protocol):
    """Wake-ups and live pieces between tasks and processes. Anything on it may be lost."""

    async def publish(self, topic: str, message: Mapping[str, Any]) -> None:
        """Tell whoever listens; never raises for a lost connection."""
        ...

    def subscribe(self, topic: str) -> "Subscription":
        """Return the messages of ``topic`` from now on."""
        ...


class Subscription(Protocol):
    """Messages of one topic; close it when done."""

    def __aiter__(self) -> AsyncIterator[Mapping[str, Any]]:
        """Yield messages as they come."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class Channel(Protocol):
    """A place where people talk to it0."""

    name: str

    async def run(self, handler: Handler) -> None:
        """Take what comes in until cancelled."""
        ...

    def reply_to(self, address: Address) -> Reply:
        """Return the way back to ``address``."""
        ...


Style = Literal["primary", "danger", "plain"]


@dataclass(frozen=True, slots=True)
class Label:
    """A button in its reader's words."""

    label: str
    value: str
    style: Style = "plain"


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it is sent."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """An outbound in its reader's words.

    rest: the words for what is too long to be read in a chat and goes as a file. edits: what the platform
    calls the message that this takes the place of, None for a new one. urgent: it goes before chatter.
    takes_back: what it calls a person's message that is to be deleted; not_taken: added where it cannot be.
    file: sent after the words. waits: it asks for a decision, so what takes its place keeps its buttons.
    """

    parts: Sequence[Spoken]
    buttons: Sequence[Label] = ()
    rest: str = ""
    edits: Any = None
    urgent: bool = False
    takes_back: str = ""
    not_taken: str = ""
    file: Document | None = None
    waits: bool = False


class Presents(Protocol):
    """Puts stored outbounds in words, for the channels that show finished text."""

    async def message(self, sending: Sending) -> Message:
        """Return an outbound in its reader's words."""
        ...

    async def words(self, tenant_id: str, conversation_id: str, what: Say | Mapping[str, Any]) -> str:
        """Return a sentence, as stored or not, in the words of a conversation's reader."""
        ...

    def sentence(self, what: Say, language: Language) -> str:
        """Return a sentence in a language."""
        ...


@dataclass(frozen=True, slots=True)
class Installation:
    """A bot of ours on a platform. secret: what opens it there, such as its token."""

    id: str
    tenant_id: str
    secret: str

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"Installation(id={self.id!r})"


class Installations(Protocol):
    """The bots of a platform, as they are now, and which of them this process looks after."""

    async def of(self, channel: str) -> Sequence[Installation]:
        """Return every active one."""
        ...

    async def lease(self, installation_id: str) -> bool:
        """Take the lease on a bot's updates and on sending for it, or keep it; return whether we hold it."""
        ...

    async def states(self, channel: str) -> Mapping[str, bool]:
        """Return for each bot whether a process that is alive looks after it."""
        ...

    async def knows(self, installation_id: str, external_id: str) -> bool:
        """Return whether a person was let in."""
        ...

    async def follows(self, installation_id: str, thread: str, external_id: str) -> bool:
        """Return whether a conversation goes on in ``thread``, and its bot knows the person."""
        ...

    async def moved(self, installation_id: str, old: str, new: str) -> None:
        """Let conversations whose thread begins with ``old`` go on under ``new``."""
        ...


class Traces(Protocol):
    """What is known of the messages that show a running turn in a chat, so that none stays behind."""

    async def is_quiet(self, tenant_id: str, address: Address) -> bool:
        """Return whether a place wants to see nothing of a turn but its end."""
        ...

    async def shown(self, tenant_id: str, conversation_id: str, address: Address, message_id: int) -> None:
        """Write down that a message shows a turn of this process."""
        ...

    async def gone(self, address: Address, message_id: int) -> None:
        """Forget a message that was taken away, or never can be."""
        ...

    async def leave(self, address: Address, message_id: int) -> None:
        """Leave a message to be taken away by whoever looks after its bot."""
        ...

    async def left_behind(self, installation_id: str) -> Sequence[tuple[str, int]]:
        """Return thread and id of one bot's messages that were left, if only by a process's death."""
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """What opens a server, decrypted, for one connection only.

    kind: ssh_key or ssh_password; secret: the private key's text or the password.
    version: changes when the credential is replaced or revoked.
    """

    user: str
    kind: str
    secret: bytes
    credential_id: str
    version: int

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"Login(user={self.user!r}, credential_id={self.credential_id!r})"


@dataclass(frozen=True, slots=True)
class Target:
    """A server with the way to it.

    login: gives the decrypted credential when a connection has to be made; raises Refused when it is
    expired or revoked. jump: the server before it. entry: where the commands are run when ``server`` stands
    for a cluster.
    """

    tenant_id: str
    server: Server
    login: Callable[[], Awaitable[Login]] | None
    credential_version: str
    jump: "Target | None" = None
    entry: "Target | None" = None


@dataclass(frozen=True, slots=True)
class Order:
    """One command to be started once.

    run_id: the same id is never started twice on a server; timeout_s: seconds until it is ended.
    stdin: plain ASCII that the command reads; no process list shows it. keep_bytes: of each stream that are
    kept of its output, 0 for as many as usual.
    """

    run_id: str
    command: str
    timeout_s: float
    cwd: str = ""
    stdin: str = ""
    keep_bytes: int = 0


OnOutput = Callable[[str, str], None]
"""Takes (stream name "stdout" or "stderr", a piece of text) while a command runs."""


class Shell(Protocol):
    """Runs commands on servers. Only the gate calls it."""

    async def run(self, target: Target, order: Order, on_output: OnOutput | None = None) -> RunTarget:
        """Start ``order`` on ``target`` once and return how it went; a refusal to start is state failed.

        Never raises for what a server does; raises Fenced never. Cancelling it stops the command.
        """
        ...

    async def outcome(self, target: Target, run_id: str) -> RunTarget:
        """Return what became of a run whose end was not seen: state done, running, failed or unknown."""
        ...

    async def stop(self, target: Target, run_id: str) -> bool:
        """End a run with everything it started; return whether it is known to have ended."""
        ...

    async def host_key(self, target: Target) -> str:
        """Return the key that the server shows now, in OpenSSH's one-line form, trusting nothing."""
        ...

    async def reach(self, target: Target) -> None:
        """Connect and log in, and run nothing; raises It0Error when that fails."""
        ...

    def forget(self, tenant_id: str, server_id: str) -> None:
        """Close the connections to a server that was changed or removed."""
        ...

    def forget_credential(self, credential_id: str) -> None:
        """Close what a credential opened."""
        ...

    async def leave(self) -> None:
        """From now on a cancelled run goes on on its server: the process ends, the work does not."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Classifier(Protocol):
    """Judges a command line without running it; pure and synchronous."""

    def __call__(self, command: str, environment: str = "dev", count: int = 1) -> Verdict:
        """Return the level of ``command`` on ``count`` servers of ``environment``."""
        ...


class Queue(Protocol):
    """Wakes the worker for a timer row; a lost wake-up only makes it later."""

    async def wake(self, timer_id: int, delay_s: float = 0) -> None:
        """Ask for the timer to be looked at after ``delay_s`` seconds."""
        ...
