"""Changing a file: it is read, the change is made out and shown whole, and people approve exactly that."""

import asyncio
import shlex
from collections.abc import Callable
from dataclasses import replace

from agent.context import Call
from agent.engine import Answer
from agent.files.changes import MAX_BYTES, checked, diff_of, text_of
from agent.files.places import odd, same_path, unfit_for_files
from agent.files.scripts import write_command, write_input
from agent.fleet.servers import Fleet
from agent.gate.actions.binding import bound
from agent.gate.actions.fetching import Fetching
from agent.gate.actions.refusals import Refusals
from agent.gate.answers import check_may_ask, refuse_unfit, waiting
from agent.gate.deciding.approvals import Approvals
from agent.gate.judging.files import WRITE
from agent.gate.judging.judging import Judging
from agent.gate.running.jobs import Errand
from agent.redaction.redact import Redact
from core.edits import Edit, digest_of
from core.errors import It0Error, NotAllowed, NotFound, Refused
from core.store import approvals as store
from core.store import clusters, runs
from core.store.database import Transaction
from core.texts import Say, say
from core.work import Approval, Risk, Role, RunTarget, Server, Verdict

LIMIT_S = 120
"""Seconds that a write may take, which waits for the disk."""

Making = Callable[[str | None, str], str | None]
"""Makes the new text from the present one and the path, None for no file."""


class Writing:
    """Asks people for changes of files, and says what is sent for one that they approved."""

    def __init__(
        self, fleet: Fleet, approvals: Approvals, fetching: Fetching, judging: Judging, refusals: Refusals
    ) -> None:
        self._fleet = fleet
        self._approvals = approvals
        self._fetching = fetching
        self._judging = judging
        self._refusals = refusals

    async def write(self, call: Call, server: str, path: str, content: str, mode: str = "") -> Answer:
        """Ask for ``content`` to be all that the file has. mode: of a new file, octal."""

        def whole(old: str | None, real: str) -> str:
            if old is not None and mode:
                raise Refused("edit.keeps_mode", path=real)
            return checked(content, real)

        return await self._ask(call, server, path, whole, mode)

    async def patch(self, call: Call, server: str, path: str, make: Callable[[str, str], str]) -> Answer:
        """Ask for the change that ``make`` makes of the file's text and path."""

        def changed(old: str | None, real: str) -> str:
            if old is None:
                raise NotFound("edit.no_such_file", path=real)
            return checked(make(old, real), real)

        return await self._ask(call, server, path, changed)

    async def undo(self, call: Call, code: str) -> Answer:
        """Ask for an approved change, known by its code, to be taken back; raises NotFound, Refused."""
        if not call.work.user.role.covers(Role.OPERATOR):
            raise NotAllowed("error.operators_only")
        async with call.work.tenant.reading() as db:
            done = await store.newest_write(db, code)
            found = await runs.get(db, done.id) if done else None
            places = await clusters.places_by_id(db, list(done.action.server_ids)) if done else {}
        if done is None or done.action.edit is None:
            raise NotFound("edit.no_such_write", code=code)
        if not places:
            raise Refused("gate.server_gone")
        if found is None or any(map(_changed_nothing, found[1])):
            raise Refused("edit.was_not_written", code=done.code)
        edit = done.action.edit
        server = next(iter(places.values()))

        def back(old: str | None, real: str) -> str | None:
            if digest_of(old) == digest_of(edit.old):
                raise Refused("edit.undone_before", code=done.code, path=real)
            if real != edit.path or digest_of(old) != digest_of(edit.new):
                raise Refused("edit.changed_since", code=done.code, path=real)
            return edit.old

        return await self._ask(call, server.name, edit.path, back, edit.mode, done.code)

    async def _ask(
        self, call: Call, name: str, path: str, make: Making, mode: str = "", undoes: str = ""
    ) -> Answer:
        server = await self._fetching.server(call, name)
        check_may_ask(call, Risk.L2, path)
        if (why := odd(path)) is not None:
            return Answer("refused", (why,))
        async with call.work.tenant.reading() as db:
            asked = await self._judging.write(db, same_path(path), server)
        if asked.level >= Risk.L3:
            return await self._refuse(call, server, asked)
        found = await self._fetching.look(call.work, call.step, server.for_reading, path, MAX_BYTES)
        if isinstance(found, Answer):
            return found
        if (why := odd(found.path)) is not None:
            return Answer("refused", (why,))
        async with call.work.tenant.reading() as db:
            real = await self._judging.write(db, found.path, server)
        if real.level >= Risk.L3:
            return await self._refuse(call, server, real)
        old = text_of(found.content, found.path) if found.word == "file" else None
        new = make(old, found.path)
        if old == new:
            return Answer("done", (say("edit.nothing_to_change", path=found.path, server=server.name),))
        diff = await asyncio.to_thread(diff_of, old, new, found.path)
        edit = Edit(found.path, old, new, diff, mode, undoes)
        if holds_secret(edit, await self._fetching.redact(call.work.tenant)):
            raise Refused("edit.has_secret", path=found.path)
        return await self._wait(call, server, edit, _told(real, edit, path))

    async def _refuse(self, call: Call, server: Server, verdict: Verdict) -> Answer:
        command = f"{WRITE} {shlex.quote(verdict.part)}"
        return await self._refusals.forbidden(call.work, command, [server], verdict, kind="write")

    async def _wait(self, call: Call, server: Server, edit: Edit, verdict: Verdict) -> Answer:
        ways = await self._fleet.ways(call.work.tenant, [server])
        if ways.unfit:
            return refuse_unfit([server], ways.unfit)
        action = bound("write", _short(edit), [server], LIMIT_S, edit)
        approval, nobody = await self._approvals.ask(call.work, call.step, action, verdict)
        return waiting(approval, nobody)

    async def changed(self, tx: Transaction, approval: Approval, server: Server) -> Say | None:
        """Return why an approved change may not be made any more, or None."""
        edit = approval.action.edit
        assert edit is not None
        if (refusal := unfit_for_files(server)) is not None:
            return refusal
        try:
            level = (await self._judging.write(tx, edit.path, server)).level
        except It0Error as error:
            return error.say
        return say("gate.level_rose", code=approval.code) if level > approval.level else None


def errand_of(approval: Approval) -> Errand | None:
    """Return what is sent for an approved act, None where it is its command line."""
    edit = approval.action.edit
    return Errand(write_command(edit, approval.id), write_input(edit)) if edit else None


def holds_secret(edit: Edit | None, redact: Redact) -> bool:
    """Return whether a change holds a secret of the vault, which would then stand in the records."""
    texts = (edit.path, edit.old or "", edit.new or "") if edit else ()
    return any(redact.known(text) != text for text in texts)


def _changed_nothing(result: RunTarget) -> bool:
    """Return whether a write is known to have left the file alone."""
    return result.state == "failed" or (result.state == "done" and result.exit_code != 0)


def _short(edit: Edit) -> str:
    """Return a change in a line, for records: which text takes the place of which."""
    before, after = (digest_of(text)[:16] or "-" for text in (edit.old, edit.new))
    word = f"undo_write {edit.undoes}" if edit.undoes else WRITE
    mode = f" mode={edit.mode}" if edit.mode and edit.old is None else ""
    return f"{word} {shlex.quote(edit.path)} sha256 {before} -> {after}{mode}"


def _told(verdict: Verdict, edit: Edit, asked: str) -> Verdict:
    """Return the verdict with what people should know beforehand of the file and the way to it."""
    reasons = list(verdict.reasons)
    if edit.old is None:
        reasons.append(say("edit.makes_file", path=edit.path))
    if edit.new is None:
        reasons.append(say("edit.removes_file", path=edit.path))
    if edit.path != same_path(asked):
        reasons.append(say("edit.by_link", asked=asked, path=edit.path))
    return replace(verdict, reasons=tuple(reasons))
