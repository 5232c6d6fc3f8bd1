"""Stored rows in the reader's words: events, approvals, parts."""

import getpass
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from bot.texts.catalogue import Catalogue
from bot.texts.effects import effects_of, hash_of, rationale_of
from bot.texts.terms import deciders_of, read_of, then_of
from bot.texts.visible import in_one_line
from core.messages import Code, Part, part_from_json
from core.store import approvals as approval_store
from core.store import clusters, fleet, people
from core.store.acts import acts_of, outcome_of
from core.store.database import Row, Transaction
from core.store.rationales import rationales
from core.texts import Language, Say, say
from core.work import Approval, Risk, Server, User, may_decide

SHOWN_AS_CARD = ("card", "settled", "performed")
WHO_DECIDES = {
    "approval.not_yours_role": "who",
    "approval.not_yours_four_eyes": "who_else",
}
"""Said of a card that waits, before anybody tried: who decides, not that a decision did not count."""


class Renderer:
    """Puts rows in words for one reader."""

    def __init__(self, texts: Catalogue, reader: User) -> None:
        self._texts = texts
        self._reader = reader

    @property
    def language(self) -> Language:
        """Return the reader's language."""
        return self._reader.language

    async def events(self, tx: Transaction, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return events as the console takes them."""
        names = await self._names_of(tx, rows)
        wanted = {row["body"]["approval_id"] for row in rows if row["kind"] in SHOWN_AS_CARD}
        cards = await self.cards(tx, wanted, names)
        return [self._event(row, names, cards) for row in rows]

    async def _names_of(self, tx: Transaction, rows: Sequence[Row]) -> Mapping[str, str]:
        """Return users' names by id; only asked for where another than the reader occurs."""
        others = {row["user_id"] for row in rows} - {None, self._reader.id}
        if not others and not any(row["kind"] in SHOWN_AS_CARD for row in rows):
            return {self._reader.id: self._reader.name}
        return {user.id: user.name for user in await people.users(tx)}

    def _event(
        self, row: Row, names: Mapping[str, str], cards: Mapping[str, dict[str, Any]]
    ) -> dict[str, Any]:
        return {
            "seq": row["seq"],
            "kind": row["kind"],
            "turn": row["turn_id"],
            "user": names.get(row["user_id"] or ""),
            "at": row["at"].isoformat(),
            "body": self._body(row["kind"], row["body"], cards),
        }

    def _body(
        self, kind: str, body: Mapping[str, Any], cards: Mapping[str, dict[str, Any]]
    ) -> Mapping[str, Any]:
        match kind:
            case "said" | "steered":
                return body
            case "tool":
                return {**body, "title": self._title(body)}
            case "result":
                return self._result(body)
            case "message":
                return _message(body)
            case "reply" | "notice":
                said = {"parts": self.parts(body["parts"]), "buttons": self._buttons(body)}
                return {**said, "file": body["file"]} if "file" in body else said
            case "card" | "settled" | "performed":
                return {"approval": cards.get(body["approval_id"])}
        return {}

    def _result(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        results = (body.get("data") or {}).get("results")
        return {
            "no": body["no"],
            "status": body["status"],
            "parts": self.parts(body["parts"]),
            "approval_id": body.get("approval_id"),
            "outcome": outcome_of(results) if isinstance(results, list) else None,
        }

    def live(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a live piece with its sentence, where it has one, in words."""
        return {"text": self._texts(data, self.language)} if "say" in data else data

    def parts(self, raw: Iterable[Any]) -> list[dict[str, Any]]:
        """Return stored parts in words."""
        return [self.part(part_from_json(each)) for each in raw]

    def part(self, part: Part) -> dict[str, Any]:
        """Return one part in words.

        A sentence is plain: what stands in its places is data, of which no page may make markup, and which
        stays in one line, so that it cannot pass for a sentence of ours.
        """
        match part:
            case Code(code, title):
                return {"code": code, "title": title}
            case Say(key, params):
                return {"text": self._texts(Say(key, in_one_line(params)), self.language), "plain": True}
            case str():
                return {"text": part}

    def _buttons(self, body: Mapping[str, Any]) -> list[dict[str, str]]:
        return [{**b, "label": self._texts(b["label"], self.language)} for b in body.get("buttons", [])]

    def _title(self, body: Mapping[str, Any]) -> str:
        """Return a step in a line: what it does, and where."""
        arguments = body["arguments"]
        servers = arguments.get("servers") or [*filter(None, [arguments.get("server")])]
        shown = joined(servers[:5], self.language) + (f" +{len(servers) - 5}" if len(servers) > 5 else "")
        what = arguments.get("command") or arguments.get("path") or arguments.get("url") or ""
        what = what or arguments.get("host") or arguments.get("code") or ""
        if "host" in arguments and "port" in arguments:
            what = f"{arguments['host']}:{arguments['port']}"
        params = {"what": what, "servers": shown, "text": arguments.get("pattern") or ""}
        return self._texts(Say(f"console.tool.{body['tool']}", params), self.language).strip()

    async def cards(
        self, tx: Transaction, ids: Iterable[str], names: Mapping[str, str]
    ) -> dict[str, dict[str, Any]]:
        """Return approvals as the console takes them, by id."""
        found = [await approval_store.get(tx, approval_id) for approval_id in sorted(set(ids))]
        return await self.approvals(tx, [each for each in found if each is not None], names)

    async def approvals(
        self, tx: Transaction, approvals: Sequence[Approval], names: Mapping[str, str]
    ) -> dict[str, dict[str, Any]]:
        """Return ``approvals`` as the console takes them, by id."""
        server_ids = sorted({each for a in approvals for each in a.action.server_ids})
        servers = await clusters.places_by_id(tx, server_ids) if server_ids else {}
        jumps = sorted({s.jump_server_id for s in servers.values() if s.jump_server_id} - set(servers))
        servers = {**servers, **(await fleet.servers_by_id(tx, jumps) if jumps else {})}
        acts = await acts_of(tx, approvals)
        shared = [a.id for a in approvals if a.needed > 1]
        votes = await approval_store.approvers(tx, shared) if shared else {}
        said = await rationales(tx, [a.id for a in approvals if a.status == "pending"])
        voters = {ref: [names.get(each, "?") for each in users] for ref, users in votes.items()}
        return {
            a.id: {
                **self._approval(a, servers, names),
                "voters": voters.get(a.id, []),
                "act": self._act(acts.get(a.id)),
                "rationale": rationale_of(said[a.id]) if a.id in said else None,
            }
            for a in approvals
        }

    def _act(self, act: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return how an approved act stands, with what was refused in words."""
        if act is None:
            return None
        return {**act, "why": self._texts(act["why"], self.language) if act["why"] else None}

    def _why_not(self, refusal: Say | None, approval: Approval) -> str | None:
        """Return why the reader does not decide this, or who does."""
        if refusal is None:
            return None
        who = WHO_DECIDES.get(refusal.key)
        if who and approval.status == "pending":
            level = "low" if approval.level <= Risk.L1 else "high"
            refusal = say(f"console.card_{who}_{level}")
        return self._texts(refusal, self.language)

    def _approval(
        self, approval: Approval, servers: Mapping[str, Server], names: Mapping[str, str]
    ) -> dict[str, Any]:
        refusal = may_decide(self._reader, approval)
        return {
            "id": approval.id,
            "code": approval.code,
            "kind": approval.action.kind,
            "command": approval.action.shown,
            "level": int(approval.level),
            "status": approval.status,
            "servers": [
                place(servers, server_id, user)
                for server_id, user in zip(approval.action.server_ids, approval.action.os_users, strict=True)
            ],
            "reasons": [self._texts(in_one_line(reason), self.language) for reason in approval.reasons],
            "part": approval.part,
            "requester": names.get(approval.requester_id, "?"),
            "created_at": approval.created_at.isoformat(),
            "expires_at": approval.expires_at.isoformat(),
            "needed": approval.needed,
            "approvals": approval.approvals,
            "settled_by": names.get(approval.settled_by or ""),
            "settled_at": approval.settled_at.isoformat() if approval.settled_at else None,
            "may_decide": refusal is None and approval.status == "pending",
            "why_not": self._why_not(refusal, approval),
            "conversation": approval.conversation_id,
            "digest": approval.digest,
            "sha256": hash_of(approval.action),
            "effects": [self._texts(effect, self.language) for effect in effects_of(approval)],
            "deciders": self._texts(deciders_of(approval, names), self.language).strip(),
            "then": self._texts(then_of(approval, names), self.language),
            "goes_ahead": approval.goes_ahead,
            "read": self._texts(read, self.language) if (read := read_of(approval, names)) else "",
            "grant_minutes": approval.grant_minutes,
            "went_ahead": approval.went_ahead,
        }


def place(servers: Mapping[str, Server], server_id: str, user: str) -> dict[str, Any]:
    """Return where exactly a command runs: as whom, at which address, by way of which server."""
    server = servers.get(server_id)
    if server is None:
        return {"name": "?", "host": "", "port": None, "user": user, "environment": "", "jump": None}
    is_local = server.connection == "local"
    jump = servers.get(server.jump_server_id or "")
    return {
        "name": server.name,
        "host": server.host,
        "port": None if is_local else server.port,
        "user": user or (_own_user() if is_local else ""),
        "environment": server.environment,
        "jump": jump.name if jump else None,
    }


@cache
def _own_user() -> str:
    """Return as whom it0 itself runs, and with it what it runs on its own machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an id without a name
        return ""


def joined(names: Sequence[str], language: Language) -> str:
    """Return names as a list with the language's own comma."""
    return ("、" if language == "zh" else ", ").join(names)


def _message(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a model thought and said before its calls; its last words are the reply."""
    if body["role"] != "assistant":
        return {}
    blocks = body["content"]
    said = [b["text"] for b in blocks if b["type"] == "text"] if body["uses"] else []
    thought = [b["thinking"] for b in blocks if b["type"] == "thinking"]
    return {"parts": [{"text": text} for text in said], "thinking": "\n\n".join(filter(None, thought))}
