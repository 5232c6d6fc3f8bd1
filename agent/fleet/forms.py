"""A server as a person describes it, and the form that each field must have."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from agent.fleet.ssh_reasons import why_not
from core.errors import BadInput
from core.texts import say
from core.work import ENVIRONMENTS, SERVER_ROLES

MAX_JUMPS = 8
"""Servers on the way to another; more is a mistake."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:_-]{0,252}")
SSH_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,31}\$?")
SSH_OPTIONS: Mapping[str, type] = {
    "connect_timeout_s": int,
    "keepalive_s": int,
    "compression": bool,
    "legacy_algorithms": bool,
}
"""All that may be set per server; nothing that weakens host-key checks, forwards, or runs a proxy."""
OPTION_RANGES: Mapping[str, tuple[int, int]] = {"connect_timeout_s": (1, 300), "keepalive_s": (1, 3600)}
CHANGEABLE = (
    "host",
    "port",
    "user",
    "credential",
    "environment",
    "role",
    "jump",
    "description",
    "restricted",
    "shell",
    "tags",
    "ssh_options",
    "cluster",
    "read_user",
    "read_credential",
)
"""NewServer's fields that can be other later."""
CHANGEABLE_HERE = ("environment", "role", "description", "shell", "tags", "cluster")
"""Those of the bot's own machine, to which no connection leads."""


@dataclass(frozen=True, slots=True)
class NewServer:
    """A server as a person describes it; names stand for what they name."""

    name: str
    host: str = ""
    port: int = 22
    user: str = ""
    credential: str = ""
    environment: str = "dev"
    role: str | None = None
    jump: str = ""
    connection: str = "ssh"
    description: str = ""
    restricted: bool = False
    shell: str = "bash"
    tags: Mapping[str, str] = field(default_factory=dict)
    ssh_options: Mapping[str, Any] = field(default_factory=dict)
    cluster: str = ""
    read_user: str = ""
    read_credential: str = ""


def checked(new: NewServer) -> NewServer:
    """Return ``new`` if every field is of its form.

    Raises BadInput naming the field.
    """
    wrong = [
        ("name", not NAME.fullmatch(new.name)),
        ("host", new.connection == "ssh" and not HOST.fullmatch(new.host)),
        ("port", not 1 <= new.port <= 65535),
        ("user", new.connection == "ssh" and not SSH_USER.fullmatch(new.user)),
        ("environment", new.environment not in ENVIRONMENTS),
        ("role", new.role is not None and new.role not in SERVER_ROLES),
        ("connection", new.connection not in ("ssh", "local")),
        ("shell", new.shell not in ("bash", "sh")),
        ("description", len(new.description) > 1000),
        ("tags", len(new.tags) > 50),
        ("read_account", not _is_read_account(new)),
    ]
    for name, is_wrong in wrong:
        if is_wrong:
            raise BadInput(f"server.bad_{name}")
    for option, value in new.ssh_options.items():
        kind = SSH_OPTIONS.get(option)
        if kind is None or type(value) is not kind:
            reason = say("option.bad_value") if kind else why_not(option)
            raise BadInput(
                "server.bad_ssh_option", option=option, reason=reason, allowed=", ".join(SSH_OPTIONS)
            )
        bounds = OPTION_RANGES.get(option)
        if bounds and not bounds[0] <= new.ssh_options[option] <= bounds[1]:
            raise BadInput("server.ssh_option_range", option=option, least=bounds[0], most=bounds[1])
    return new


def _is_read_account(new: NewServer) -> bool:
    """Return whether the second account is whole, or there is none."""
    if not new.read_user and not new.read_credential:
        return True
    whole = bool(new.read_credential) and SSH_USER.fullmatch(new.read_user) is not None
    return whole and new.connection == "ssh" and new.read_user != new.user


def differences(before: NewServer, after: NewServer) -> dict[str, Any]:
    """Return {field: [old, new]} of the fields that are other."""
    old, new = asdict(before), asdict(after)
    return {name: [old[name], new[name]] for name in old if old[name] != new[name]}
