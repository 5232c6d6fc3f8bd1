"""*Ask again* on a request that has expired: it is asked for anew, as if whoever pressed had typed it."""

import shlex
from collections.abc import Mapping, Sequence

from agent.context import Desk
from agent.engines import commands
from agent.engines.targets import Intent
from core.edits import Edit
from core.errors import NotFound, Refused
from core.store import approvals as store
from core.store import arrivals, clusters, log
from core.store.arrivals import Arrival
from core.store.log import Event
from core.tenant import Tenant
from core.work import Action, Approval, Server, User

VERB = "again"


class Again:
    """Asks for expired requests again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, tenant: Tenant, user: User, approval_id: str, here: str = "") -> tuple[str, int]:
        """Put the request's command into its conversation, once; what comes of it is another request.

        here: the conversation in which it was pressed. Returns the conversation and the message's number.
        Raises NotFound, and Refused for one that has not expired, was asked for again already, belongs to
        somebody else, or is nothing that can be typed.
        """
        async with tenant.transaction() as tx:
            approval = await store.get(tx, approval_id)
            if approval is None:
                raise NotFound("approval.unknown")
            _check(approval, user, here)
            text = typed(approval.action, await clusters.places_by_id(tx, list(approval.action.server_ids)))
            row = await log.conversation(tx, approval.conversation_id)
            if text is None or row is None:
                raise Refused("again.by_hand", code=approval.code)
            event = Event("said", {"text": text}, self._desk.ids(), user.id)
            seq = await log.append(tx, approval.conversation_id, [event], self._desk.clock())
            place, once = row["installation_id"], f"{VERB}:{approval.id}"
            arrival = Arrival(tenant.id, place, once, approval.conversation_id, seq, laned=True)
            if not await arrivals.post(tx, arrival):
                raise Refused("again.already", code=approval.code)
            tx.after_commit.append(self._desk.wake)
        self._desk.grown(tenant.id, approval.conversation_id)
        return approval.conversation_id, seq


def _check(approval: Approval, user: User, here: str) -> None:
    if approval.status != "expired":
        raise Refused("again.not_expired", code=approval.code)
    if user.id != approval.requester_id and here != approval.conversation_id:
        raise Refused("again.not_yours", code=approval.code)


def typed(action: Action, places: Mapping[str, Server]) -> str | None:
    """Return the command by which a person asks for exactly this act, None where there is none.

    places: the servers that are still there, by id.
    """
    servers = [places[each] for each in action.server_ids if each in places]
    if len(servers) != len(action.server_ids):
        return None
    text, call = _written(action, [server.name for server in servers])
    return text if commands.read(text, servers) == call else None


def _written(action: Action, names: Sequence[str]) -> tuple[str, Intent | None]:
    """Return what one would type for an act on servers, and the call that it has to be read as."""
    match action:
        case Action(kind="run", command=command, timeout_s=limit):
            call = Intent("run_command", {"command": command, "servers": names, "timeout_s": limit})
            return f"/run --timeout {limit}s {','.join(names)} {command}", call
        case Action(kind="send", command=command):
            path = shlex.split(command)[-1]
            call = Intent("send_file", {"server": names[0], "path": path})
            return f"/send {names[0]} {shlex.quote(path)}", call
        case Action(kind="write", edit=Edit(undoes=code)) if code:
            return f"/undo {code}", Intent("undo_write", {"code": code})
        case Action(kind="write", edit=Edit(path=path, new=str(content), mode=mode)):
            given = {"server": names[0], "path": path, "content": content} | ({"mode": mode} if mode else {})
            head = " ".join(["/write", names[0], shlex.quote(path), *([mode] if mode else [])])
            return f"{head}\n{content}", Intent("write_file", given)
    return "", None
