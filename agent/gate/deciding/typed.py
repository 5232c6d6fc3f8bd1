"""Decisions in words: ``approve A7-493`` with a code that is one person's own (SPEC 3).

A code is made of the request's nonce and who reads it, so that it decides for nobody else, needs no table,
and stands on whatever shows the request to that person alone.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from core.errors import BadInput, NotFound, Refused
from core.ids import CODE_ALPHABET
from core.store import approvals as store
from core.store.database import Transaction
from core.work import Approval, User

LONGEST = 80
"""Characters, with spaces around: longer texts decide nothing."""
RECENT = timedelta(days=1)
"""For so long a code still finds what was decided, to say who was first."""

_FIRST, _SECOND = 9, 900
_CODES = len(CODE_ALPHABET) * _FIRST * _SECOND
_VERBS = {
    "approve": ("approve", "批准", "同意"),
    "reject": ("reject", "deny", "拒绝", "驳回"),
}
_VERB = {word: verb for verb, words in _VERBS.items() for word in words}
_DECISION = re.compile(
    rf"(?P<slash>[/、])?(?P<verb>{'|'.join(_VERB)})(?:@\w+)?(?:\s*:?\s*(?P<code>[a-z][0-9][- ]?[0-9]{{3}}))?",
    re.IGNORECASE | re.ASCII,
)
_YES_WORDS = (
    "yes;y;yep;yeah;ok;okay;sure;go;go ahead;do it;lgtm;approved;approve;approve it;confirm;confirmed;fine",
    "好;好的;是;是的;可以;同意;批准;行;确认;没问题;嗯",
)
_YES = frozenset(word for words in _YES_WORDS for word in words.split(";"))


@dataclass(frozen=True, slots=True)
class Words:
    """A decision as it was typed. code: as it is stored, "" where none was given."""

    verdict: Literal["approve", "reject"]
    code: str = ""


def read(text: str) -> Words | None:
    """Return what ``text`` decides, None where it is no decision: nothing may stand beside verb and code.

    A bare verb for approval is none without a slash: it is a yes like any other, and approves nothing.
    """
    plain = unicodedata.normalize("NFKC", text).strip().rstrip(" .!。") if len(text) <= LONGEST else ""
    found = _DECISION.fullmatch(plain)
    if found is None:
        return None
    verdict, code = _VERB[found["verb"].lower()], (found["code"] or "").upper()
    if not code and verdict == "approve" and not found["slash"]:
        return None
    digits = code.replace("-", "").replace(" ", "")
    return Words(
        "approve" if verdict == "approve" else "reject", f"{digits[:2]}-{digits[2:]}" if code else ""
    )


def is_yes(text: str) -> bool:
    """Return whether ``text`` says no more than yes."""
    return len(text) <= LONGEST and unicodedata.normalize("NFKC", text).strip(" .!。\n").casefold() in _YES


def own_code(approval_id: str, nonce: str, user_id: str) -> str:
    """Return the code by which one person decides one request in words, in the form of ``A7-493``."""
    made = hmac.new(nonce.encode(), f"words {approval_id} {user_id}".encode(), hashlib.sha256).digest()
    number = int.from_bytes(made[:8], "big") % _CODES
    number, third = divmod(number, _SECOND)
    letter, second = divmod(number, _FIRST)
    return f"{CODE_ALPHABET[letter]}{second + 1}-{third + 100}"


async def meant(db: Transaction, user: User, words: Words, conversation_id: str, at: datetime) -> Approval:
    """Return the request that ``user`` means, which may have been decided before.

    Approving takes their own code; rejecting also the request's name, or none where one alone waits here.
    Raises NotFound for a code of nothing (or of somebody else), Refused where more than one is meant, and
    BadInput where the code is missing.
    """
    if not words.code:
        if words.verdict == "approve":
            raise BadInput("approval.words_usage")
        return _only(await _waiting_here(db, conversation_id))
    rows = await db.all(store.RECENT, since=at - RECENT)
    found = [row for row in rows if own_code(row["id"], row["nonce"], user.id) == words.code]
    named = [row for row in rows if row["code"] == words.code and row["status"] == "pending"]
    if words.verdict == "reject":
        found = found or named
    elif named and not found:
        raise NotFound("approval.words_name", code=words.code)
    waiting = [row for row in found if row["status"] == "pending"]
    ids = [row["id"] for row in waiting or found[:1]]
    return _only([each for id in ids if (each := await store.get(db, id)) is not None], words.code)


async def _waiting_here(db: Transaction, conversation_id: str) -> list[Approval]:
    rows = await db.all(store.PENDING_AT, conversation=conversation_id)
    return [store.approval_of(row) for row in rows]


def _only(found: Sequence[Approval], code: str = "") -> Approval:
    if len(found) > 1:
        names = ", ".join(each.code for each in found)
        raise Refused("approval.words_which", codes=names)
    if not found:
        raise NotFound("approval.words_unknown" if code else "approval.words_nothing", code=code)
    return found[0]
