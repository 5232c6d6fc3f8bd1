"""Everything that it0 raises on purpose.

::

    It0Error
    ├── Refused              what was asked is not done, and a person is told why
    │   ├── BadInput         it cannot be understood, or a field is wrong
    │   ├── NotFound         there is no such thing (or it is another tenant's)
    │   ├── NotAllowed       this person may not
    │   ├── Late             it was decided, ended or has expired before
    │   └── Halted           the tenant is halted
    ├── Unavailable          an outside part does not answer; trying later may help
    │   ├── ServerUnreachable    no SSH connection to a server
    │   ├── StoreUnavailable     the database or its disk does not take writes
    │   └── Flooded              a platform asks for patience, for so many seconds
    ├── Undeliverable        a platform will never take this: nobody there hears us
    ├── HostKeyChanged       a server shows another key than the one that was trusted
    ├── HostKeyUnknown       a server's key waits for a person's confirmation
    ├── VaultError           a secret cannot be opened
    ├── Fenced               another process took this work over: stop, write nothing
    └── SetupError           the program cannot start as it is set up

``.say`` is for the chat: no secrets, both languages. ``str()`` is for the log.
"""

from typing import Any

from core.texts import Say, say


class It0Error(Exception):
    """The root: an error with a sentence for people.

    key: the catalogue's key of that sentence; params: its places.
    """

    key = "error.internal"

    def __init__(self, key: str | None = None, /, **params: Any) -> None:
        self.say: Say = say(key or self.key, **params)
        super().__init__(f"{self.say.key} {dict(self.say.params)}" if params else self.say.key)


class Refused(It0Error):
    """What was asked is not done."""

    key = "error.refused"


class BadInput(Refused):
    """What was sent cannot be understood."""

    key = "error.bad_input"


class NotFound(Refused):
    """There is no such thing for this tenant."""

    key = "error.not_found"


class NotAllowed(Refused):
    """This person may not do that."""

    key = "error.not_allowed"


class Late(Refused):
    """Somebody was first, or time is over."""

    key = "error.late"


class Halted(Refused):
    """The tenant is halted by ``/halt``."""

    key = "error.halted"


class Unavailable(It0Error):
    """An outside part does not answer."""

    key = "error.unavailable"


class ServerUnreachable(Unavailable):
    """No connection to a server; nothing was started on it."""

    key = "error.server_unreachable"


class StoreUnavailable(Unavailable):
    """The database takes no writes."""

    key = "error.store_unavailable"


class Flooded(Unavailable):
    """A platform takes nothing from us for a while: for so many ``seconds`` as it says."""

    key = "error.flooded"

    @property
    def wait_s(self) -> float:
        """Return how long to wait."""
        return float(self.say.params.get("seconds", 1))


class Undeliverable(It0Error):
    """A platform does not take this, and will not later."""

    key = "error.undeliverable"


class HostKeyChanged(It0Error):
    """A server shows another key than the one that was trusted; nothing was sent to it."""

    key = "error.host_key_changed"


class HostKeyUnknown(It0Error):
    """A server's key was not confirmed by a person yet."""

    key = "error.host_key_unknown"


class VaultError(It0Error):
    """A secret cannot be opened: wrong key, or altered bytes."""

    key = "error.vault"


class Fenced(It0Error):
    """Another process owns this work now."""

    key = "error.fenced"


class SetupError(It0Error):
    """The program cannot start as it is set up; the sentence says what to do."""

    key = "error.setup"
