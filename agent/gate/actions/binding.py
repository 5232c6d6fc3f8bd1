"""Binding an act to its targets as they are now: their host keys, and as whom it is done there."""

from collections.abc import Sequence
from typing import Literal

from agent.shell.hostkeys import fingerprint
from core.edits import Edit
from core.work import Action, Server

MAX_COMMAND = 16_384
"""Characters that a command line may have."""


def bound(
    kind: Literal["run", "write", "send"],
    command: str,
    servers: Sequence[Server],
    timeout_s: int,
    edit: Edit | None = None,
) -> Action:
    """Return the act whose digest changes with whatever it is bound to."""
    return Action(
        kind=kind,
        command=command,
        server_ids=tuple(server.id for server in servers),
        host_keys=keys_of(servers),
        os_users=users_of(servers),
        timeout_s=timeout_s,
        edit=edit,
    )


def keys_of(servers: Sequence[Server]) -> tuple[str, ...]:
    """Return the fingerprints of the servers' host keys, "" where there is none (local)."""
    return tuple(fingerprint(server.host_key) if server.host_key else "" for server in servers)


def users_of(servers: Sequence[Server]) -> tuple[str, ...]:
    """Return as whom it0 logs in to each."""
    return tuple(server.ssh_user for server in servers)
