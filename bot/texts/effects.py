"""What stands on a card beside the command: what comes of it, how it is undone, why a model wants it."""

import hashlib
from collections.abc import Sequence

from core.texts import Say, say
from core.work import Action, Approval

LONG = 2_000
"""Characters above which a chat gets what is decided about as a file, too, with its hash on the card."""
MOST_RATIONALE = 600
"""Characters of a model's words that a card shows: they are prose beside the command, never the command."""

KNOWN = (
    "restarts_service",
    "cleans_logs",
    "clears_cache",
    "holds_up_server",
    "changes_packages",
    "changes_users",
    "changes_firewall",
    "changes_files",
    "changes_disks",
    "changes_processes",
    "changes_network",
    "changes_services",
    "changes_database",
    "deploys",
)
"""Reasons of the rules that tell what comes of a command."""


def effects_of(approval: Approval) -> Sequence[Say]:
    """Return what comes of an act and how it is taken back, as far as the rule that judged it knows."""
    if approval.action.kind == "write":
        return [say("effect.writes_file", code=approval.code)]
    if approval.action.kind != "run":
        return []
    reasons = dict.fromkeys(str(reason["say"]).removeprefix("risk.") for reason in approval.reasons)
    return [say(f"effect.{name}") for name in reasons if name in KNOWN]


def bytes_of(action: Action) -> bytes:
    """Return what is decided about as a file holds it."""
    return action.shown.encode()


def hash_of(action: Action) -> str:
    """Return the SHA-256 of ``bytes_of``, in hex."""
    return hashlib.sha256(bytes_of(action)).hexdigest()


def rationale_of(words: str) -> str:
    """Return a model's words as a card shows them."""
    return words if len(words) <= MOST_RATIONALE else f"{words[:MOST_RATIONALE]}…"
