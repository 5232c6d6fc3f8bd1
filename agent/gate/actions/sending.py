"""Sending a file from a server to a chat: read by the rule for its path, and kept for some days."""

import asyncio
import re
import shlex

from agent.context import Call, Desk, Work
from agent.engine import Answer
from agent.files.places import odd, same_path, unfit_for_files
from agent.files.scripts import Found
from agent.gate.actions.binding import bound
from agent.gate.actions.fetching import LIMIT_S, Fetching
from agent.gate.actions.refusals import Refusals
from agent.gate.answers import check_may_ask, waiting
from agent.gate.deciding.approvals import Approvals
from agent.gate.judging.files import SEND
from agent.gate.judging.judging import Judging
from agent.redaction.redact import Redact
from agent.speech import speak
from core.audit import Entry
from core.errors import Refused
from core.messages import Attached, Outbound
from core.store import files
from core.store.database import Transaction
from core.texts import Say, say
from core.work import Approval, Risk, Server, Verdict

LONGEST_NAME = 100
_ODD = re.compile(r"[^\w.+@() -]")
_RUNS_IN_A_BROWSER = re.compile(r".*\.(x?html?|shtml|mht(ml)?|svgz?|xml|xslt?|hta|js|mjs)", re.IGNORECASE)


class Sending:
    """Sends files. most: bytes that one may have, 0 where none is sent."""

    def __init__(
        self,
        desk: Desk,
        approvals: Approvals,
        fetching: Fetching,
        judging: Judging,
        refusals: Refusals,
        most: int,
    ) -> None:
        self._desk = desk
        self._approvals = approvals
        self._fetching = fetching
        self._judging = judging
        self._refusals = refusals
        self._most = most

    async def send(self, call: Call, name: str, path: str) -> Answer:
        """Send the file at ``path``, or ask for it where it may not be shown unasked."""
        server = await self._fetching.server(call, name)
        if not self._most:
            raise Refused("file.off")
        if (why := odd(path)) is not None:
            return Answer("refused", (why,))
        if (answer := await self._judged(call, server, same_path(path))) is not None:
            return answer
        seen = server.for_reading
        found = await self._fetching.look(call.work, call.step, seen, path, self._most)
        if isinstance(found, Answer):
            return found
        await self._check_name(call.work, found)
        if (answer := await self._judged(call, server, found.path)) is not None:
            return answer
        file_id = f"{call.work.turn_id}-{call.step}"
        sent = await self._post(call.work, file_id, server, found, Risk.L0)
        return Answer("done", (say("file.done", name=sent.name),), {"name": sent.name, "size": sent.size})

    async def deliver(self, work: Work, approval: Approval, server: Server) -> Say | None:
        """Send what was approved; return why it was not sent, or None."""
        path = _path_of(approval)
        found = await self._fetching.look(work, approval.step, server, path, self._most, approval)
        if isinstance(found, Answer):
            first = found.parts[0]
            return first if isinstance(first, Say) else say("edit.not_read", path=path, server=server.name)
        await self._check_name(work, found)
        async with work.tenant.reading() as db:
            rose = (await self._judging.send(db, found.path, server)).level > approval.level
        if rose:
            return say("gate.level_rose", code=approval.code)
        await self._post(work, approval.id, server, found, approval.level)
        return None

    async def changed(self, tx: Transaction, approval: Approval, server: Server) -> Say | None:
        """Return why an approved file may not be sent any more, or None."""
        rose = (await self._judging.send(tx, _path_of(approval), server)).level > approval.level
        return unfit_for_files(server) or (say("gate.level_rose", code=approval.code) if rose else None)

    async def _check_name(self, work: Work, found: Found) -> None:
        """Raise Refused where a link leads to a name with a secret of the vault: the name goes on record."""
        redact = await self._fetching.redact(work.tenant)
        if redact.known(found.path) != found.path:
            raise Refused("file.secret_name", path=redact(found.path))

    async def _judged(self, call: Call, server: Server, path: str) -> Answer | None:
        """Refuse a file or ask for it, as its level says; None where it is sent unasked."""
        async with call.work.tenant.reading() as db:
            verdict = await self._judging.send(db, path, server)
        if verdict.level >= Risk.L3:
            command = _short(path)
            return await self._refusals.forbidden(call.work, command, [server], verdict, kind="send")
        return await self._ask(call, server, path, verdict) if verdict.level > Risk.L0 else None

    async def _ask(self, call: Call, server: Server, path: str, verdict: Verdict) -> Answer:
        check_may_ask(call, verdict.level, path)
        action = bound("send", _short(path), [server], LIMIT_S)
        approval, nobody = await self._approvals.ask(call.work, call.step, action, verdict)
        return waiting(approval, nobody)

    async def _post(self, work: Work, file_id: str, server: Server, found: Found, level: Risk) -> Attached:
        """Keep a file and say it in the conversation, once; return how it is called."""
        if found.word == "new":
            raise Refused("file.none", path=found.path, server=server.name)
        if not found.content:
            raise Refused("file.empty", path=found.path, server=server.name)
        redact = await self._fetching.redact(work.tenant)
        content = await asyncio.to_thread(_without_secrets, found.content, redact)
        if content is None:
            raise Refused("file.has_secret", path=found.path)
        sent, at = Attached(file_id, name_of(found.path), len(content)), self._desk.clock()
        said = say("file.sent", name=sent.name, path=found.path, server=server.name, size=sent.size)
        async with work.tenant.transaction() as tx:
            if await files.add(tx, file_id, work.conversation_id, sent.name, content, at):
                outbound = Outbound("notice", [said], file=sent)
                place = (work.tenant, work.conversation_id, work.address)
                await speak(self._desk, tx, *place, outbound, work.turn_id)
                await work.tenant.audit.append_in(tx, _sent(work, sent, server, found.path, level), at)
        self._desk.grown(work.tenant.id, work.conversation_id)
        return sent


def name_of(path: str) -> str:
    """Return the name under which a file is sent: no path, nothing odd, and nothing that a browser runs."""
    name = _ODD.sub("_", path.rpartition("/")[2])[-LONGEST_NAME:].strip(" .") or "file"
    return f"{name}.txt" if _RUNS_IN_A_BROWSER.fullmatch(name) else name


def _without_secrets(content: bytes, redact: Redact) -> bytes | None:
    """Return a file without the vault's secrets, None for one that is no text and holds any."""
    try:
        return redact(content.decode("utf-8")).encode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
        return content if redact.known(text) == text else None


def _sent(work: Work, sent: Attached, server: Server, path: str, level: Risk) -> Entry:
    detail = {
        "name": sent.name,
        "kind": "send",
        "level": int(level),
        "command": _short(path),
        "size": sent.size,
        "servers": [server.name],
        "requester": work.user.id,
    }
    channel = work.address.channel
    return Entry("file.sent", "agent", work.user.id, None, "file", sent.id, channel, detail=detail)


def _short(path: str) -> str:
    return f"{SEND} {shlex.quote(path)}"


def _path_of(approval: Approval) -> str:
    return shlex.split(approval.action.command)[1]
