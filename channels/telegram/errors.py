"""What the API answers, as what is to be done about it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from channels.telegram.places import Json
from core.errors import Flooded, It0Error, Unavailable, Undeliverable


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
    (
        Outcome.DONE,
        ("message to delete not found", "message is not modified", "query is too old", "query id is invalid"),
    ),
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


def error_of(result: Result) -> It0Error:
    """Return an outcome as what the outbox is to make of it."""
    match result.outcome:
        case Outcome.WAIT:
            return Flooded(seconds=result.retry_after_s)
        case Outcome.LATER | Outcome.CONFLICT | Outcome.BAD_TOKEN:
            return Unavailable("telegram.failed", reason=result.reason)
    return Undeliverable("telegram.refused", reason=result.reason)
