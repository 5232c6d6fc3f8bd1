"""What is said in a chat: stored outbounds in the words of their reader, and cards as text with buttons."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot.chat.controls import described, words_for
from bot.texts.catalogue import Catalogue
from bot.texts.effects import LONG, bytes_of, effects_of, hash_of, rationale_of
from bot.texts.terms import grant_of, read_of
from bot.texts.visible import in_one_line, listed, sentences
from core.errors import NotFound
from core.messages import Code, Part, Plain, Sending, Spoken, part_from_json
from core.ports import Document, Label, Message, Style
from core.store import approvals, clusters, files, log, outbox, people
from core.store.database import Transaction
from core.store.rationales import rationales
from core.tenant import Tenants
from core.texts import LANGUAGES, Language, Say, as_language, say
from core.work import Approval, Risk, User

MENU = (
    "help",
    "servers",
    "run",
    "tasks",
    "approvals",
    "grants",
    "revoke",
    "send",
    "undo",
    "stop",
    "new",
    "conversations",
    "open",
    "quiet",
    "engine",
    "console",
    "usage",
    "halt",
    "resume",
    "language",
    "doctor",
)


class Chats:
    """Puts outbounds in words for channels that show finished text."""

    def __init__(self, tenants: Tenants, texts: Catalogue) -> None:
        self._tenants = tenants
        self._texts = texts

    async def message(self, sending: Sending) -> Message:
        """Return an outbound in its reader's words; raises NotFound for an approval that is gone."""
        body, language = sending.body, sending.language
        approval_id = body.get("approval_id")
        if language and approval_id is None and not body.get("file"):
            return self._spoken(body, language)
        tenant = await self._tenants.by_id(sending.tenant_id)
        async with tenant.reading() as db:
            language = language or await self._language(db, sending.conversation_id)
            if approval_id is None:
                return await self._with_file(db, self._spoken(body, language), body, language)
            approval = await approvals.get(db, approval_id)
            if approval is None:
                raise NotFound("approval.unknown")
            edits = None
            if "status" in body:
                edits = await _card_of(db, sending, approval_id)
            reader = await _alone(db, sending)
            here = sending.conversation_id == approval.conversation_id
            return await self._card(db, approval, edits, language, reader, here=here)

    def sentence(self, what: Say, language: Language) -> str:
        """Return a sentence in a language."""
        return self._texts(what, language)

    async def words(self, tenant_id: str, conversation_id: str, what: Say | Mapping[str, Any]) -> str:
        """Return a sentence in the words of a conversation's reader."""
        tenant = await self._tenants.by_id(tenant_id)
        async with tenant.reading() as db:
            return self._texts(what, await self._language(db, conversation_id))

    async def _language(self, db: Transaction, conversation_id: str) -> Language:
        return as_language(await db.value(people.LANGUAGE, conversation=conversation_id))

    def _spoken(self, body: Mapping[str, Any], language: Language) -> Message:
        parts = [self._part(part_from_json(each), language) for each in body["parts"]]
        buttons = [
            Label(self._texts(each["label"], language), each["value"], each["style"])
            for each in body.get("buttons", ())
        ]
        return Message(
            parts,
            buttons,
            self._texts(say("chat.rest"), language),
            takes_back=body.get("takes_back", ""),
            not_taken=self._texts(say("withheld.still_there"), language),
        )

    async def _with_file(
        self, db: Transaction, message: Message, body: Mapping[str, Any], language: Language
    ) -> Message:
        """Return a message with the file that goes with it, as long as that is kept."""
        if (attached := body.get("file")) is None:
            return message
        if (row := await files.get(db, attached["id"])) is None:
            gone = Plain(self._texts(say("file.gone", name=attached["name"]), language))
            return replace(message, parts=[*message.parts, gone])
        return replace(message, file=Document(row["name"], row["content"]))

    def _part(self, part: Part, language: Language) -> Spoken:
        match part:
            case Say(key, params):
                return Plain(self._texts(Say(key, in_one_line(params)), language))
            case Code() | str():
                return part

    async def _card(
        self,
        db: Transaction,
        approval: Approval,
        edits: Any,
        language: Language,
        reader: User | None,
        *,
        here: bool,
    ) -> Message:
        """Return an approval as it stands now: all that a decision needs, and how it was decided.

        reader: who alone sees it, if anybody: then it shows the code by which they decide in words.
        here: it was asked for here.
        """
        servers = await clusters.places_by_id(db, list(approval.action.server_ids))
        names = {user.id: user.name for user in await people.users(db)}
        who = names.get(approval.settled_by or "", "it0")
        state = "went_ahead" if approval.went_ahead else approval.status
        head = say(
            "chat.card",
            code=approval.code,
            level=int(approval.level),
            risk=say(f"level.{int(approval.level)}"),
            status=say(f"chat.card_{state}", who=who, approvals=approval.approvals, needed=approval.needed),
        )
        own = await words_for(db, approval, reader, "chat.card_words") if reader else []
        votes = await _votes(db, approval, names)
        about = described(approval, servers, names, "chat.card_about")
        terms = filter(None, (read_of(approval, names), grant_of(approval, names)))
        more = await _beside(db, approval) if approval.status == "pending" else []
        parts = [self._part(part, language) for part in (head, *votes, *about, *terms, *more, *own)]
        if approval.status != "pending":
            return Message(parts, self._again(approval, language) if here else [], edits=edits)
        is_new = edits is None and len(approval.action.shown) > LONG
        file = Document(_file_of(approval), bytes_of(approval.action)) if is_new else None
        rest, buttons = self._texts(say("chat.rest"), language), self._buttons(approval, language)
        urgent = approval.level >= Risk.L1
        return Message(parts, buttons, rest, edits, urgent, file=file, waits=True)

    def _buttons(self, approval: Approval, language: Language) -> list[Label]:
        """Return what decides a request: yes, yes for some minutes where that is offered, and no."""
        yes, no = say("console.approve"), say("console.reject")
        minutes = say("console.grant", minutes=approval.grant_minutes)
        rows: list[tuple[Say, str, Style]] = [(yes, "approve", "primary"), (no, "reject", "danger")]
        if approval.grant_minutes:
            rows.insert(1, (minutes, "grant", "plain"))
        return [
            Label(self._texts(words, language), f"{verb}:{approval.id}", look) for words, verb, look in rows
        ]

    def _again(self, approval: Approval, language: Language) -> list[Label]:
        """Return what asks anew for a request that has expired; a host key is looked at by its server."""
        if approval.status != "expired" or approval.action.kind == "trust":
            return []
        return [Label(self._texts(say("console.again"), language), f"again:{approval.id}")]


async def _alone(db: Transaction, sending: Sending) -> User | None:
    """Return the person whose private chat this is said in, None in a group."""
    row = await log.conversation(db, sending.conversation_id)
    if row is None or row["user_id"] is None:
        return None
    homes = await people.homes(db, sending.tenant_id, [row["user_id"]])
    is_private = log.address_of(row) in [address for _, address in homes]
    return await people.user(db, row["user_id"]) if is_private else None


async def _votes(db: Transaction, approval: Approval, names: Mapping[str, str]) -> list[Part]:
    """Return who has approved so far, and how many are missing, where several have to."""
    if approval.needed < 2 or not approval.approvals or approval.status != "pending":
        return []
    voters = (await approvals.approvers(db, [approval.id])).get(approval.id, [])
    given = listed([names.get(each, "?") for each in voters])
    return [say("chat.card_votes", names=given, missing=approval.needed - approval.approvals)]


async def _beside(db: Transaction, approval: Approval) -> list[Part]:
    """Return what a decision is helped by, below what is decided about."""
    parts: list[Part] = []
    if len(approval.action.shown) > LONG:
        about = {"name": _file_of(approval), "hash": hash_of(approval.action)}
        parts.append(say("chat.card_file", characters=len(approval.action.shown), **about))
    if effects := effects_of(approval):
        parts.append(say("chat.card_effect", effects=sentences(effects)))
    if words := (await rationales(db, [approval.id])).get(approval.id):
        parts.append(say("chat.card_model", words=rationale_of(words)))
    return parts


def _file_of(approval: Approval) -> str:
    return f"{approval.code}.txt"


async def _card_of(db: Transaction, sending: Sending, approval_id: str) -> Any:
    """Return what the platform calls the card that was posted here, None if it is not known."""
    for place in await db.all(approvals.PLACES, id=approval_id):
        if place["conversation_id"] == sending.conversation_id:
            receipt = await outbox.receipt_of(db, sending.tenant_id, sending.conversation_id, place["seq"])
            if receipt:
                return receipt
    return None


def menu(texts: Catalogue) -> Mapping[str, Mapping[Language, str]]:
    """Return the commands with what they do, for platforms that show a menu of them."""
    return {name: {language: texts(say(f"menu.{name}"), language) for language in LANGUAGES} for name in MENU}
