"""Explaining how a command is judged, without running it."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from agent.context import Call
from agent.engine import Answer
from agent.gate.actions.binding import MAX_COMMAND
from agent.gate.gate import Gate
from agent.gate.judging.judging import Explained
from core.messages import Part
from core.texts import say
from core.work import Risk

_LONGEST_SHOWN = 200


class ExplainArguments(BaseModel):
    """What ``explain_command`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    command: str = Field(min_length=1, max_length=MAX_COMMAND)
    servers: list[str] = Field(default_factory=list, description="Where it would run; empty: one dev server.")


class Explain:
    """Tells a command's level, why it has it, and what it would need."""

    name = "explain_command"
    description = (
        "Explain how a command would be judged, without running it: its level, the reasons, the piece that"
        " decides, hosts that are none of the tenant's, the entry of the tenant's policy that raised it."
    )
    arguments = ExplainArguments

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, call: Call, arguments: ExplainArguments) -> Answer:
        """Answer with the verdict."""
        found = await self._gate.judging.explain(call.work.tenant, arguments.command, arguments.servers)
        verdict = found.verdict
        data = {
            "level": int(verdict.level),
            "reasons": [reason.key for reason in verdict.reasons],
            "part": verdict.part,
            "rules": verdict.rules,
            "policy": verdict.policy,
            "entry": verdict.entry,
            "hosts": list(verdict.hosts),
        }
        return Answer("done", tuple(_told(found)), data)


def _told(found: Explained) -> Iterator[Part]:
    """Yield the verdict in words."""
    verdict = found.verdict
    part = verdict.part if len(verdict.part) <= _LONGEST_SHOWN else f"{verdict.part[:_LONGEST_SHOWN]}…"
    yield say(f"direct.why_{int(verdict.level)}", part=part)
    if found.servers:
        shown = ", ".join(found.servers[:12])
        yield say("direct.why_on", servers=shown, count=len(found.servers), environment=found.environment)
    for reason in verdict.reasons:
        yield say("direct.bullet", text=reason)
    if found.in_prod > verdict.level:
        yield say("direct.why_raised", level=int(found.in_prod))
    if verdict.level == Risk.L1:
        yield say("direct.why_by_operator")
    yield say("direct.why_rules", rules=verdict.rules, policy=verdict.policy)
