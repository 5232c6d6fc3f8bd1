"""What the gate says of a command, as a tool's answer."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from agent.context import Call
from agent.engine import Answer, outputs
from core.errors import Refused
from core.texts import Say, say
from core.work import Approval, Risk, RunTarget, Server


def check_may_ask(call: Call, level: Risk, part: str) -> None:
    """Raise Refused for what is above the level that ``call`` may do, or comes while its turn waits.

    part: what is refused, as people read it.
    """
    if level > call.most:
        raise Refused("gate.only_reads", level=int(level), part=part)
    if call.waits_for:
        raise Refused("gate.not_run_waiting", code=call.waits_for)


def answer_of(results: Sequence[RunTarget]) -> Answer:
    """Return what a run came to, as a tool's answer."""
    status: Literal["done", "failed"] = "done" if all(r.state == "done" for r in results) else "failed"
    return Answer(status, outputs(results), result_data(results))


def result_data(results: Sequence[RunTarget]) -> dict[str, Any]:
    """Return how a run went on each server as data, without output."""
    return {
        "results": [
            {
                "server": r.server,
                "state": r.state,
                "exit_code": r.exit_code,
                "duration_ms": r.duration_ms,
            }
            for r in results
        ]
    }


def refuse_unfit(servers: Sequence[Server], unfit: Mapping[str, Say]) -> Answer:
    """Refuse a command because of servers on which nothing can be run, each with its reason."""
    reasons = [(server.name, unfit[server.id]) for server in servers if server.id in unfit]
    if len(servers) == 1:
        return Answer("refused", (reasons[0][1],))
    lines = [say("direct.bullet", text=say("run.failed", server=name, reason=why)) for name, why in reasons]
    return Answer("refused", (say("gate.unfit", count=len(reasons), of=len(servers)), *lines))


def duration(seconds: int) -> Say:
    """Return a limit in words, in the largest unit that needs no fraction."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds % size == 0:
            return say(f"time.{unit}", count=seconds // size)
    return say("time.seconds", count=seconds)


def waiting(approval: Approval, nobody: Say | None, what: Say | None = None) -> Answer:
    """Return that an act waits for people. nobody: why none can decide; what: in place of the usual words."""
    limit = duration(approval.action.timeout_s)
    usual = say("gate.waiting", code=approval.code, level=int(approval.level), limit=limit)
    return Answer("waiting", (what or usual, *([nobody] if nobody else [])), {}, approval.id)
