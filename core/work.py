"""The nouns, frozen. Transitions are pure functions that take the moment as ``at``."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, Literal

from core.edits import Edit
from core.texts import Language, Say, say


class Risk(IntEnum):
    """How much harm a command can do (SPEC 3)."""

    L0 = 0
    L1 = 1
    L2 = 2
    L3 = 3


class Role(StrEnum):
    """What a user may do; each role may do all that the ones before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, other: "Role") -> bool:
        """Return whether this role may do what ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class User:
    """A person of a tenant, or an API key that acts in its own name.

    is_key: it is a key: it signs in by its token only, and is no second person where two must agree.
    """

    id: str
    name: str
    role: Role
    language: Language
    active: bool = True
    is_key: bool = False


Environment = Literal["dev", "staging", "prod"]
ENVIRONMENTS: tuple[Environment, ...] = ("dev", "staging", "prod")


def strictest(*environments: str) -> Environment:
    """Return the environment that counts where several do; what is none of them counts as prod."""
    known = [each for each in ENVIRONMENTS if each in environments]
    return known[-1] if known and set(environments) <= set(ENVIRONMENTS) else ENVIRONMENTS[-1]


SERVER_ROLES = ("web", "db", "cache", "worker", "gateway")


ClusterKind = Literal["bare_metal", "k8s", "docker_swarm"]
CLUSTER_KINDS: tuple[ClusterKind, ...] = ("bare_metal", "k8s", "docker_swarm")


@dataclass(frozen=True, slots=True)
class Server:
    """A machine that it0 looks after, or a cluster where it stands for one as a command's target.

    connection: ``ssh``, ``local`` for the bot's own machine, or the kind of the cluster that this is.
    cluster_id: the cluster that it belongs to.
    host_key: the pinned public key in OpenSSH's one-line form, None until a person confirmed it; of a cluster
    that is reached by its API, the fingerprint of its address and its certificate authority.
    restricted: its shell takes bare commands only: no wrapper, so no marker and no kill from outside.
    shell: ``bash`` (run with --noprofile --norc) or ``sh``.
    read_user, read_credential_id: a second account, used for what only reads; "" and None without one.
    accounts: what each account can do there, as last seen, under ``main`` and ``read``.
    """

    id: str
    name: str
    connection: Literal["ssh", "local"] | ClusterKind
    host: str
    port: int
    environment: Environment
    role: str | None
    ssh_user: str
    credential_id: str | None
    jump_server_id: str | None
    ssh_options: Mapping[str, Any]
    tags: Mapping[str, str]
    status: str
    description: str
    host_key: str | None
    restricted: bool = False
    shell: Literal["bash", "sh"] = "bash"
    cluster_id: str | None = None
    read_user: str = ""
    read_credential_id: str | None = None
    accounts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_cluster(self) -> bool:
        """Return whether this stands for a cluster."""
        return self.connection in CLUSTER_KINDS

    @property
    def by_api(self) -> bool:
        """Return whether this stands for a Kubernetes cluster that is reached by its API."""
        return self.connection == "k8s" and (self.host_key or "").startswith("SHA256:")

    @property
    def way(self) -> str:
        """Return how it is reached and what takes commands there: with another one it is another place."""
        taker = "bare" if self.restricted else self.shell
        return f"{self.host}:{self.port} via {self.jump_server_id or '-'} {self.environment} {taker}"

    @property
    def for_reading(self) -> "Server":
        """Return it with the account that is used for what only reads: the second one, if it has one."""
        if self.read_credential_id is None:
            return self
        return replace(self, ssh_user=self.read_user, credential_id=self.read_credential_id)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Machines that are one thing to those who work on them.

    entry_server_id: where kubectl or docker is run for it, None for bare metal.
    credential_id: the kubeconfig that opens its API, None where there is an entry.
    """

    id: str
    name: str
    kind: ClusterKind
    environment: Environment
    entry_server_id: str | None
    description: str
    credential_id: str | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """What opens a server; the secret itself stays sealed in the vault.

    kind: ssh_key, ssh_password, token or kubeconfig.
    fingerprint: of the public key, for people; version rises with each new secret.
    """

    id: str
    name: str
    kind: str
    version: int
    fingerprint: str
    expires_at: datetime | None
    revoked_at: datetime | None

    def usable(self, at: datetime) -> bool:
        """Return whether it may still open anything at ``at``."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the classifier says of a command.

    reasons: sentences in both languages; part: the piece of the command that decided;
    rules: version of the rule set; policy: of the tenant's policy, 0 for none; entry: of that, the one that
    decided, "" for none; hosts: that the command names.
    """

    level: Risk
    reasons: tuple[Say, ...]
    part: str
    rules: str
    policy: int = 0
    entry: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """One act, whole: what is approved is what is run.

    kind: ``run`` a command, ``trust`` a server's host key, ``write`` a file, or ``send`` one to the chat.
    server_ids, host_keys, os_users, ways: one entry a target, in the same order; a host key is its SHA256
    fingerprint, "" where there is none (local), a way its ``Server.way``; acts of before have no ways.
    timeout_s: the command's limit in seconds. edit: what is written; the command is then its short form.
    """

    kind: Literal["run", "trust", "write", "send"]
    command: str
    server_ids: tuple[str, ...]
    host_keys: tuple[str, ...]
    os_users: tuple[str, ...]
    cwd: str = ""
    timeout_s: int = 60
    edit: Edit | None = None
    ways: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Return all that a person has to read before they decide."""
        return f"{self.command}\n{self.edit.diff}" if self.edit else self.command

    def as_json(self) -> str:
        """Return the canonical JSON text: the exact bytes that are stored."""
        return canonical(
            {
                **({"edit": self.edit.as_json()} if self.edit else {}),
                **({"ways": self.ways} if self.ways else {}),
                "kind": self.kind,
                "command": self.command,
                "server_ids": self.server_ids,
                "host_keys": self.host_keys,
                "os_users": self.os_users,
                "cwd": self.cwd,
                "timeout_s": self.timeout_s,
            }
        )

    @staticmethod
    def from_json(text: str) -> "Action":
        """Return the action that ``as_json`` wrote."""
        raw = json.loads(text)
        for name in ("server_ids", "host_keys", "os_users", "ways"):
            raw[name] = tuple(raw.get(name, ()))
        edit = raw.pop("edit", None)
        return Action(**raw, edit=Edit(**edit) if edit else None)

    def digest(self, tenant_id: str, request_id: str, nonce: str) -> str:
        """Return the SHA-256 that binds an approval to exactly this act (SECURITY A2), in hex."""
        bound = canonical({"tenant": tenant_id, "request": request_id, "nonce": nonce, "act": self.as_json()})
        return hashlib.sha256(bound.encode()).hexdigest()


ApprovalStatus = Literal["pending", "approved", "rejected", "expired", "cancelled"]


@dataclass(frozen=True, slots=True)
class Approval:
    """A request that waits for people, or waited.

    needed: approvals that settle it; approvals: votes for it so far.
    four_eyes: the requester may not decide it.
    seen: what its turn had read of data from outside when it asked, as ``core.store.seen`` names it.
    grant_minutes: of the grant that may be given with it, 0 for none.
    goes_ahead: it goes ahead when its time is over, instead of lapsing.
    policy: version of the tenant's, as ``rules`` of the rules.
    """

    id: str
    code: str
    conversation_id: str
    turn_id: str
    step: int
    action: Action
    digest: str
    nonce: str
    level: Risk
    reasons: tuple[Mapping[str, Any], ...]
    part: str
    rules: str
    requester_id: str
    needed: int
    approvals: int
    four_eyes: bool
    status: ApprovalStatus
    created_at: datetime
    expires_at: datetime
    settled_at: datetime | None = None
    settled_by: str | None = None
    settled_event: str | None = None
    seen: tuple[str, ...] = ()
    grant_minutes: int = 0
    goes_ahead: bool = False
    policy: int = 0

    @property
    def went_ahead(self) -> bool:
        """Return whether nobody decided it: it was approved by the time-out rule."""
        return self.status == "approved" and self.settled_by is None


L1_WAIT = timedelta(minutes=5)
L2_WAIT = timedelta(minutes=30)


def approval_expiry(level: Risk, at: datetime) -> datetime:
    """Return when an approval asked for at ``at`` lapses (SPEC 3: L1 5 min, L2 30 min)."""
    return at + (L1_WAIT if level <= Risk.L1 else L2_WAIT)


def may_decide(user: User, approval: Approval) -> Say | None:
    """Return why ``user`` may not decide ``approval``, or None if they may (SPEC 1 and 3)."""
    if not user.active:
        return Say("approval.not_yours_removed")
    needed = Role.OPERATOR if approval.level <= Risk.L1 else Role.ADMIN
    if not user.role.covers(needed):
        return say("approval.not_yours_role", role=Say(f"role.{needed}"))
    if approval.level >= Risk.L2:
        if user.is_key and (approval.four_eyes or approval.needed > 1):
            return Say("approval.not_yours_key")
        if approval.four_eyes and user.id == approval.requester_id:
            return Say("approval.not_yours_four_eyes")
    return None


@dataclass(frozen=True, slots=True)
class RunTarget:
    """How one command went on one server.

    state: running, done (exit_code is known), failed (never started), stopped, timeout or unknown.
    stdout, stderr: the kept part, at most the output cap; dropped: bytes that were not kept.
    os_user: as whom it was logged in, "" on the bot's own machine.
    """

    server_id: str
    server: str
    state: Literal["running", "done", "failed", "stopped", "timeout", "unknown"]
    exit_code: int | None = None
    duration_ms: int | None = None
    stdout: str = ""
    stderr: str = ""
    dropped: int = 0
    error: Mapping[str, Any] | None = None
    os_user: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the command ended with exit code 0."""
        return self.state == "done" and self.exit_code == 0


def canonical(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return JSON with sorted keys, no spaces, and every character as itself."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Quotas:
    """What a plan allows; None is without limit, and any engine."""

    servers: int | None = None
    skills: int | None = None
    users: int | None = None
    sessions_a_day: int | None = None
    running_tasks: int | None = None
    engines: tuple[str, ...] | None = ("direct",)

    def allows(self, engine: str) -> bool:
        """Return whether an engine may be used; ``direct`` always may."""
        return self.engines is None or engine in self.engines


PLANS: Mapping[str, Quotas] = {
    "self-hosted": Quotas(engines=None),
    "free": Quotas(servers=5, skills=10, users=3, sessions_a_day=50, running_tasks=2),
    "pro": Quotas(
        servers=50,
        skills=50,
        users=20,
        sessions_a_day=500,
        running_tasks=10,
        engines=("claude_api", "direct"),
    ),
    "enterprise": Quotas(
        servers=1000,
        skills=500,
        users=500,
        sessions_a_day=10_000,
        running_tasks=100,
        engines=("claude_code", "claude_api", "direct", "remote"),
    ),
}
"""The plans' figures (SPEC 1 gives free's; the others are it0's defaults)."""
