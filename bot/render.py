"""Stored rows in the reader's words: events, approvals, parts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.catalogue import Catalogue
from core.messages import Code, Part, part_from_json
from core.store import approvals as approval_store
from core.store import fleet, people
from core.store.database import Row, Transaction
from core.texts import Language, Say
from core.work import Approval, Server, User, may_decide

SHOWN_AS_CARD = ("card", "settled")


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
                return {"no": body["no"], "status": body["status"], "parts": self.parts(body["parts"])}
            case "reply" | "notice":
                return {"parts": self.parts(body["parts"]), "buttons": self._buttons(body)}
            case "card" | "settled":
                return {"approval": cards.get(body["approval_id"])}
        return {}

    def parts(self, raw: Iterable[Any]) -> list[dict[str, str]]:
        """Return stored parts in words."""
        return [self.part(part_from_json(each)) for each in raw]

    def part(self, part: Part) -> dict[str, str]:
        """Return one part in words."""
        match part:
            case Code(code, title):
                return {"code": code, "title": title}
            case Say() | str():
                return {"text": self._texts(part, self.language)}

    def _buttons(self, body: Mapping[str, Any]) -> list[dict[str, str]]:
        return [{**b, "label": self._texts(b["label"], self.language)} for b in body.get("buttons", [])]

    def _title(self, body: Mapping[str, Any]) -> str:
        """Return a step in a line: what it does, and where."""
        arguments = body["arguments"]
        servers = arguments.get("servers") or []
        shown = ", ".join(servers[:5]) + (f" +{len(servers) - 5}" if len(servers) > 5 else "")
        what = arguments.get("command") or arguments.get("path") or arguments.get("url") or ""
        if "host" in arguments and "port" in arguments:
            what = f"{arguments['host']}:{arguments['port']}"
        params = {"what": what, "servers": shown}
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
        servers = await fleet.servers_by_id(tx, server_ids) if server_ids else {}
        shared = [a.id for a in approvals if a.needed > 1]
        votes = await approval_store.approvers(tx, shared) if shared else {}
        voters = {ref: [names.get(each, "?") for each in users] for ref, users in votes.items()}
        return {
            a.id: {**self._approval(a, servers, names), "voters": voters.get(a.id, [])} for a in approvals
        }

    def _approval(
        self, approval: Approval, servers: Mapping[str, Server], names: Mapping[str, str]
    ) -> dict[str, Any]:
        refusal = may_decide(self._reader, approval)
        return {
            "id": approval.id,
            "code": approval.code,
            "kind": approval.action.kind,
            "command": approval.action.command,
            "level": int(approval.level),
            "status": approval.status,
            "servers": [
                _place(servers.get(server_id), user)
                for server_id, user in zip(approval.action.server_ids, approval.action.os_users, strict=True)
            ],
            "reasons": [self._texts(reason, self.language) for reason in approval.reasons],
            "part": approval.part,
            "requester": names.get(approval.requester_id, "?"),
            "created_at": approval.created_at.isoformat(),
            "expires_at": approval.expires_at.isoformat(),
            "needed": approval.needed,
            "approvals": approval.approvals,
            "settled_by": names.get(approval.settled_by or ""),
            "settled_at": approval.settled_at.isoformat() if approval.settled_at else None,
            "may_decide": refusal is None and approval.status == "pending",
            "why_not": self._texts(refusal, self.language) if refusal else None,
            "conversation": approval.conversation_id,
            "digest": approval.digest,
        }


def _place(server: Server | None, user: str) -> dict[str, str]:
    if server is None:
        return {"name": "?", "host": "", "user": user, "environment": ""}
    return {"name": server.name, "host": server.host, "user": user, "environment": server.environment}
