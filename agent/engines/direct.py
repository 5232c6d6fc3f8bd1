"""The engine without a model: slash commands and a small grammar, one tool call at most, step 0.

The same text and servers always come to the same call, so a turn that is run again after a crash asks for
the very step that stands in the journal.
"""

from collections.abc import AsyncIterator, Iterator, Sequence

from agent.engine import (
    ApprovalRequired,
    Completed,
    EngineEvent,
    Outcome,
    Request,
    ToolResult,
    Tools,
    ToolUse,
    outputs,
)
from agent.engines import commands, grammar
from agent.engines.changing import written
from agent.engines.targets import Intent, Reading, Suggestion, example, listed, only, shown
from agent.fleet.accounts import told
from core.messages import DATA, Part
from core.texts import Say, say
from core.work import Approval, Role, RunTarget, Server, User

STEP = 0


class Direct:
    """Runs what it understands, and says plainly what it does not."""

    name = "direct"

    async def turn(self, request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Do the one thing that the text asks for, or say why nothing was done."""
        match read(request.text, await tools.servers()):
            case Suggestion(parts):
                yield Completed(parts)
            case Intent() as intent if (refusal := _refusal(intent, request.user)) is not None:
                yield Completed((refusal,))
            case Intent() as intent:
                async for event in _perform(intent, tools):
                    yield event

    async def resume(self, request: Request, outcome: Outcome, tools: Tools) -> AsyncIterator[EngineEvent]:
        """Say what was decided and what came of it."""
        approval = outcome.approval
        if approval.status == "pending":
            yield ApprovalRequired(approval.id)
            return
        servers = await tools.servers()
        if approval.action.kind == "trust":
            yield Completed(tuple(_trust_parts(outcome, servers)))
        elif approval.status == "approved":
            yield Completed(tuple(_run_parts(outcome)))
        else:
            yield Completed((_not_run(approval),))

    async def interrupt(self, turn_id: str) -> None:
        """Nothing runs outside this process."""

    async def health(self) -> Say | None:
        """It needs nothing, so it always works."""
        return None


def read(text: str, servers: Sequence[Server]) -> Reading:
    """Return what a typed text asks for, a command or a sentence; a file with it asks for nothing."""
    if commands.is_command(text):  # takes no file
        return commands.read(text, servers)
    return only(say("direct.file")) if DATA in text else grammar.read(text, servers)


def _refusal(intent: Intent, user: User) -> Say | None:
    """Return why ``user`` may not ask for this, or None; the gate and the fleet look again for themselves."""
    if user.role.covers(intent.role):
        return None
    return say("error.admins_only" if intent.role is Role.ADMIN else "error.operators_only")


async def _perform(intent: Intent, tools: Tools) -> AsyncIterator[EngineEvent]:
    """Make the call and answer with what it came to."""
    yield ToolUse(STEP, intent.tool, intent.arguments)
    answer = await tools.call(STEP, intent.tool, intent.arguments)
    yield ToolResult(STEP, answer)
    if answer.status == "waiting" and answer.approval_id is not None:
        yield ApprovalRequired(answer.approval_id)
        return
    ran = answer.status in ("done", "failed")
    header = _header(intent) if ran else ()
    parts: tuple[Part, ...] = (*header, *answer.parts)
    yield Completed(parts or (say("direct.nothing_said"),))


def _header(intent: Intent) -> tuple[Part, ...]:
    """Return a line that tells what ran where, for calls that ran something."""
    if "servers" not in intent.arguments or intent.tool == "explain_command":
        return intent.notes
    what = shown(_what(intent))
    servers = intent.arguments["servers"]
    if len(servers) == 1:  # the line of its result has the name
        return (what, *intent.notes)
    return (say("direct.ran", command=what, servers=listed(servers)), *intent.notes)


def _what(intent: Intent) -> str:
    """Return what a call does in a few signs of data."""
    arguments = intent.arguments
    match intent.tool:
        case "ping":
            return f"ping {arguments['host']}"
        case "search_files":
            return f"{arguments['path']}: {arguments['pattern']}"
    return str(arguments.get("command") or arguments["path"])


def _went(results: Sequence[RunTarget]) -> str:
    """Return how an approved command went on all its servers together."""
    if all(result.ok for result in results):
        return "ran"
    if all(result.ok or result.state == "unknown" for result in results):
        return "unclear"
    return "refused" if all(result.state == "failed" for result in results) else "began"


def _run_parts(outcome: Outcome) -> Iterator[Part]:
    """Yield what became of an approved command."""
    approval = outcome.approval
    params = {"code": approval.code, "command": shown(approval.action.command)}
    if outcome.refusal is not None:
        yield say("direct.approved_refused", **params)
        yield outcome.refusal
    elif approval.action.kind == "send":
        yield say("file.approved_sent", code=approval.code)
    elif not outcome.results:
        yield say("direct.approved_no_record", **params)
    elif approval.action.kind == "write" and outcome.results[0].state == "done":
        yield from written(outcome)
    else:
        yield say(f"direct.approved_{_went(outcome.results)}", **params)
        yield from outputs(outcome.results)
    unclear = [result.server for result in outcome.results if result.state == "unknown"]
    if unclear:
        yield say("direct.unclear", servers=listed(unclear))


def _not_run(approval: Approval) -> Say:
    """Return why a command was not run: rejected, expired or cancelled."""
    return say(f"direct.{approval.status}", code=approval.code, command=shown(approval.action.command))


def _trust_parts(outcome: Outcome, servers: Sequence[Server]) -> Iterator[Part]:
    """Yield what became of the question whether a server's host key is its own."""
    approval = outcome.approval
    by_id = {server.id: server.name for server in servers}
    words = approval.action.command.split()
    name = by_id.get(approval.action.server_ids[0]) or (words[1] if len(words) > 1 else "?")
    if approval.status != "approved":
        yield say(f"direct.trust_{approval.status}", server=name, code=approval.code)
    elif outcome.refusal is not None:
        yield say("direct.trust_failed", server=name)
        yield outcome.refusal
    else:
        yield say("direct.trusted", server=name, example=example("disk", server=name))
        yield from (part for server in servers if server.name == name for part in told(server))
