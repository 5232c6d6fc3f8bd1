"""Refusing a command: audited with what was wanted, said with why."""

from collections.abc import Mapping, Sequence

from agent.clusters.words import refusal
from agent.context import Desk, Work
from agent.engine import Answer
from agent.gate.actions.binding import MAX_COMMAND
from agent.redaction.redact import Redact
from core.audit import Entry
from core.texts import Say, say
from core.work import Server, Verdict


class Refusals:
    """Refuses what may not even be asked for."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def forbidden(
        self, work: Work, command: str, servers: Sequence[Server], verdict: Verdict, kind: str = "run"
    ) -> Answer:
        """Refuse what nobody may approve. kind: as ``Action`` has it."""
        judged = {
            "kind": kind,
            "level": int(verdict.level),
            "reasons": [reason.key for reason in verdict.reasons],
            "rules": verdict.rules,
            "policy": verdict.policy,
        }
        await self._note(work, command, [server.name for server in servers], judged)
        return Answer("refused", (say("gate.forbidden", part=verdict.part), *verdict.reasons))

    async def secret(self, work: Work, redact: Redact, command: str, names: Sequence[str]) -> Answer:
        """Refuse a command with a secret of the vault: its exact bytes would stand in the records."""
        why = say("gate.secret_in_command")
        await self._note(work, redact(command), [redact(name) for name in names], {"reasons": [why.key]})
        return Answer("refused", (why,))

    async def foreign(self, work: Work, command: str, servers: Sequence[Server], why: Say) -> Answer:
        """Refuse what is none of a cluster's own commands."""
        await self._note(work, command, [server.name for server in servers], {"reasons": [why.key]})
        return Answer("refused", (why,))

    async def _note(
        self, work: Work, command: str, servers: Sequence[str], more: Mapping[str, object]
    ) -> None:
        detail = {"command": command[:MAX_COMMAND], "servers": servers, "requester": work.user.id, **more}
        channel = work.address.channel
        entry = Entry("command.refused", "agent", None, None, "turn", work.turn_id, channel, detail=detail)
        await work.tenant.audit.append(entry, self._desk.clock())


def foreign_among(command: str, servers: Sequence[Server]) -> Say | None:
    """Return why ``command`` is none of a cluster's among ``servers``, or None."""
    refusals = (refusal(command, server) for server in servers if server.is_cluster)
    return next(filter(None, refusals), None)
