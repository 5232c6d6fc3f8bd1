"""Sending a file from a server to a chat: read by the rule for its path, and kept for some days."""

import asyncio
import re
import shlex

from agent.context import Call, Desk, Work
from agent.engine import Answer
from agent.files.places import check_read, odd, same_path, unfit_for_files
from agent.files.scripts import Found
from agent.gate.answers import duration
from agent.gate.approvals import Approvals
from agent.gate.fetching import LIMIT_S, Fetching
from agent.redaction.redact import Redact
from agent.risk import level_of_reading
from agent.shell.hostkeys import fingerprint
from agent.speech import speak
from core.audit import Entry
from core.errors import Refused
from core.messages import Attached, Outbound
from core.store import files
from core.texts import Say, say
from core.work import Action, Approval, Risk, Server, Verdict

LONGEST_NAME = 100
_ODD = re.compile(r"[^\w.+@() -]")
_RUNS_IN_A_BROWSER = re.compile(r".*\.(x?html?|shtml|mht(ml)?|svgz?|xml|xslt?|hta|js|mjs)", re.IGNORECASE)


class Sending:
    """Sends files. most: bytes that one may have, 0 where none is sent."""

    def __init__(self, desk: Desk, approvals: Approvals, fetching: Fetching, most: int) -> None:
        self._desk = desk
        self._approvals = approvals
        self._fetching = fetching
        self._most = most

    async def send(self, call: Call, name: str, path: str) -> Answer:
        """Send the file at ``path``, or ask for it where it may not be shown unasked."""
        server = await self._fetching.server(call, name)
        if not self._most:
            raise Refused("file.off")
        if (why := odd(path)) is not None:
            return Answer("refused", (why,))
        check_read(same_path(path))
        if level_of_reading(same_path(path)) > Risk.L0:
            return await self._ask(call, server, same_path(path))
        seen = server.for_reading
        found = await self._fetching.look(call.work, call.step, seen, path, self._most)
        if isinstance(found, Answer):
            return found
        check_read(found.path)
        if level_of_reading(found.path) > Risk.L0:
            return await self._ask(call, server, found.path)
        file_id = f"{call.work.turn_id}-{call.step}"
        sent = await self._post(call.work, file_id, server, found)
        return Answer("done", (say("file.done", name=sent.name),), {"name": sent.name, "size": sent.size})

    async def deliver(self, work: Work, approval: Approval, server: Server) -> Say | None:
        """Send what was approved; return why it was not sent, or None."""
        path = _path_of(approval)
        found = await self._fetching.look(work, approval.step, server, path, self._most, approval)
        if isinstance(found, Answer):
            first = found.parts[0]
            return first if isinstance(first, Say) else say("edit.not_read", path=path, server=server.name)
        check_read(found.path)
        await self._post(work, approval.id, server, found)
        return None

    def changed(self, approval: Approval, server: Server) -> Say | None:
        """Return why an approved file may not be sent any more, or None."""
        rose = level_of_reading(_path_of(approval)) > approval.level
        return unfit_for_files(server) or (say("gate.level_rose", code=approval.code) if rose else None)

    async def _ask(self, call: Call, server: Server, path: str) -> Answer:
        if call.most < Risk.L1:
            raise Refused("gate.only_reads", level=1, part=path)
        if call.waits_for:
            raise Refused("gate.not_run_waiting", code=call.waits_for)
        action = Action(
            kind="send",
            command=f"send_file {shlex.quote(path)}",
            server_ids=(server.id,),
            host_keys=(fingerprint(server.host_key) if server.host_key else "",),
            os_users=(server.ssh_user,),
            ways=(server.way,),
            timeout_s=LIMIT_S,
        )
        reason = say("file.shows_configuration", path=path)
        verdict = Verdict(level_of_reading(path), (reason,), path, "")
        approval, nobody = await self._approvals.ask(call.work, call.step, action, verdict)
        limit = duration(action.timeout_s)
        waiting = say("gate.waiting", code=approval.code, level=int(approval.level), limit=limit)
        return Answer("waiting", (waiting, *([nobody] if nobody else [])), {}, approval.id)

    async def _post(self, work: Work, file_id: str, server: Server, found: Found) -> Attached:
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
                await work.tenant.audit.append_in(tx, _sent(work, sent, server, found.path), at)
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


def _sent(work: Work, sent: Attached, server: Server, path: str) -> Entry:
    detail = {
        "name": sent.name,
        "command": f"send_file {shlex.quote(path)}",
        "size": sent.size,
        "servers": [server.name],
        "requester": work.user.id,
    }
    channel = work.address.channel
    return Entry("file.sent", "agent", work.user.id, None, "file", sent.id, channel, detail=detail)


def _path_of(approval: Approval) -> str:
    return shlex.split(approval.action.command)[1]
