"""The slash commands that change and send files, and what is said of a change that was approved."""

import re
from collections.abc import Iterator, Sequence

from agent.engine import Outcome, outputs
from agent.engines.slash import PATH, on_servers, split, usage
from agent.engines.targets import Intent, Reading, Suggestion, only, shown
from agent.files.scripts import BACKUPS, CHANGED, NO_TOOLS
from core.messages import Part
from core.texts import Say, say
from core.work import Server

CODE = r"[A-Za-z][0-9]-[0-9]{3}"
"""The code of an approval."""

_MODE = re.compile(r"0?[0-7]{3}")
_UNDO = re.compile(rf"(?:undo|撤销|还原) ?({CODE})", re.IGNORECASE)


def write(rest: str, servers: Sequence[Server]) -> Reading:
    """Read ``SERVER PATH [MODE]`` with the file's text on the lines below it."""
    line, _, content = rest.partition("\n")
    found = on_servers("write", line, servers)
    if isinstance(found, Suggestion):
        return found
    targets, after = found
    words = split(after)
    good = 1 <= len(words) <= 2 and PATH.fullmatch(words[0]) and _MODE.fullmatch(([*words, "644"])[1])
    if not good or not content:
        return usage("write")
    if len(targets.names) != 1:
        return only(say("edit.one_server"))
    mode = {"mode": words[1]} if len(words) == 2 else {}
    text = content if content.endswith("\n") else f"{content}\n"  # a chat takes the last line break away
    arguments = {"server": targets.names[0], "path": words[0], "content": text, **mode}
    return Intent("write_file", arguments, targets.notes)


def send(rest: str, servers: Sequence[Server]) -> Reading:
    """Read ``SERVER PATH``."""
    found = on_servers("send", rest, servers)
    if isinstance(found, Suggestion):
        return found
    targets, after = found
    words = split(after)
    if len(words) != 1 or not PATH.fullmatch(words[0]):
        return usage("send")
    if len(targets.names) != 1:
        return only(say("edit.one_server"))
    return Intent("send_file", {"server": targets.names[0], "path": words[0]}, targets.notes)


def undo(rest: str, servers: Sequence[Server]) -> Reading:
    """Read the code of a change."""
    return Intent("undo_write", {"code": rest.upper()}) if re.fullmatch(CODE, rest) else usage("undo")


def tasks(rest: str, servers: Sequence[Server]) -> Reading:
    """Read nothing more: what is under way is asked for as a whole."""
    return usage("tasks") if rest else Intent("list_tasks", {})


def undo_in(sentence: str) -> Reading | None:
    """Return what "undo A7-493" and "撤销 A7-493" ask for, None for another sentence."""
    found = _UNDO.fullmatch(sentence)
    return undo(found[1], ()) if found else None


def written(outcome: Outcome) -> Iterator[Part]:
    """Yield what became of an approved change of a file, where it was begun."""
    approval, result = outcome.approval, outcome.results[0]
    edit = approval.action.edit
    assert edit is not None
    where = {"code": approval.code, "path": shown(edit.path), "server": result.server}
    if result.ok:
        yield say("edit.removed" if edit.new is None else "edit.written", **where)
        if edit.old is not None:
            yield say("edit.backup", path=f"~/{BACKUPS}/{approval.id}", server=result.server)
        yield say("edit.undo_by", slash=f"/undo {approval.code}", code=approval.code)
    elif (why := _refused(result.exit_code)) is not None:
        yield say("edit.not_changed", **where, why=why)
    else:
        yield say("direct.approved_began", code=approval.code, command=shown(approval.action.command))
        yield from outputs(outcome.results)


def _refused(code: int | None) -> Say | None:
    """Return why nothing was changed, None where the command did not say so."""
    return say(f"edit.went_{code}") if code is not None and CHANGED <= code <= NO_TOOLS else None
