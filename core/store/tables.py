"""All tables, in two sets: the shared schema's and each tenant's.

The shared set holds who is who and the queues: ids, due times and leases, never content. A tenant's set
stands in a schema of its own; each of its rows carries ``tenant_id``, and a CHECK of that schema refuses
any other tenant's. Status words are text with CHECK (migrations only expand or contract).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

SHARED_SCHEMA = "it0_shared"
TENANT_SCHEMA = "tenant"
"""A placeholder: the tenant's handle translates it (``schema_translate_map``)."""

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
shared = MetaData(schema=SHARED_SCHEMA, naming_convention=NAMES)
tenant = MetaData(schema=TENANT_SCHEMA, naming_convention=NAMES)

Moment = DateTime(timezone=True)


def _must(
    name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]], default: str | None = None
) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=text(default) if default else None)


def _may(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, nullable=True)


def _one_of(column: str, words: Sequence[str]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


tenants = Table(
    "tenant",
    shared,
    Column("id", Text, primary_key=True),
    _must("slug", Text),
    _must("name", Text),
    _may("owner_id", Text),
    _must("plan", Text),
    _must("status", Text, "'active'"),
    _must("created_at", Moment),
    _may("deleted_at", Moment),
    UniqueConstraint("slug"),
    _one_of("status", ["active", "suspended", "deleted"]),
)

installations = Table(
    "installation",
    shared,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey(tenants.c.id), nullable=False),
    _must("channel", Text),
    _must("name", Text),
    _may("sealed", LargeBinary),
    _must("active", Boolean, "true"),
    _must("created_at", Moment),
)

identities = Table(
    "identity",
    shared,
    _must("installation_id", Text),
    _must("external_id", Text),
    Column("tenant_id", Text, ForeignKey(tenants.c.id), nullable=False),
    _must("user_id", Text),
    _must("created_at", Moment),
    _may("home", Text),
    PrimaryKeyConstraint("installation_id", "external_id"),
    Index(None, "tenant_id", "user_id"),
)

strangers = Table(
    "stranger",
    shared,
    _must("installation_id", Text),
    _must("external_id", Text),
    _must("told_at", Moment),
    _may("name", Text),
    _may("language", Text),
    _may("home", Text),
    PrimaryKeyConstraint("installation_id", "external_id"),
)

pairing_codes = Table(
    "pairing_code",
    shared,
    Column("code_hash", LargeBinary, primary_key=True),
    Column("tenant_id", Text, ForeignKey(tenants.c.id), nullable=False),
    _must("user_id", Text),
    _must("expires_at", Moment),
    _may("used_at", Moment),
)

login_links = Table(
    "login_link",
    shared,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("tenant_id", Text, ForeignKey(tenants.c.id), nullable=False),
    _must("user_id", Text),
    _must("expires_at", Moment),
    _may("used_at", Moment),
)

web_sessions = Table(
    "web_session",
    shared,
    Column("token_hash", LargeBinary, primary_key=True),
    _must("id", Text),
    Column("tenant_id", Text, ForeignKey(tenants.c.id), nullable=False),
    _must("user_id", Text),
    _must("csrf", Text),
    _must("created_at", Moment),
    _must("seen_at", Moment),
    _may("ended_at", Moment),
    UniqueConstraint("id"),
    Index(None, "tenant_id", "user_id"),
)

api_keys = Table(
    "api_key",
    shared,
    Column("token_hash", LargeBinary, primary_key=True),
    _must("id", Text),
    Column("tenant_id", Text, ForeignKey(tenants.c.id), nullable=False),
    _must("user_id", Text),
    _must("prefix", Text),
    _may("made_by", Text),
    _must("created_at", Moment),
    _may("expires_at", Moment),
    _may("used_at", Moment),
    _may("revoked_at", Moment),
    UniqueConstraint("id"),
    Index(None, "tenant_id", "user_id"),
)

processes = Table(
    "process",
    shared,
    Column("id", Text, primary_key=True),
    _must("role", Text),
    _must("host", Text),
    _must("pid", Integer),
    _must("started_at", Moment, "now()"),
    _must("beat_at", Moment, "now()"),
)

inbox = Table(
    "inbox",
    shared,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _must("tenant_id", Text),
    _must("installation_id", Text),
    _must("event_id", Text),
    _must("conversation_id", Text),
    _must("seq", BigInteger),
    _must("laned", Boolean),
    _must("state", Text, "'new'"),
    _may("owner", Text),
    _must("attempts", SmallInteger, "0"),
    _must("stop", Boolean, "false"),
    _must("accepted_at", Moment, "now()"),
    _may("done_at", Moment),
    UniqueConstraint("installation_id", "event_id"),
    _one_of("state", ["new", "taken", "done", "set_aside"]),
    Index("ix_inbox_new", "id", postgresql_where=text("state = 'new'")),
    Index("ix_inbox_lane", "tenant_id", "conversation_id", "id", postgresql_where=text("state = 'new'")),
    Index("ix_inbox_taken", "owner", postgresql_where=text("state = 'taken'")),
    Index("ix_inbox_done", "done_at", postgresql_where=text("state = 'done'")),
)

lanes = Table(
    "lane",
    shared,
    _must("tenant_id", Text),
    _must("conversation_id", Text),
    _may("owner", Text),
    _must("fence", BigInteger, "1"),
    _must("stop", Boolean, "false"),
    _must("since", Moment, "now()"),
    PrimaryKeyConstraint("tenant_id", "conversation_id"),
    Index("ix_lane_owner", "owner", postgresql_where=text("owner IS NOT NULL")),
)

outbox = Table(
    "outbox",
    shared,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _must("tenant_id", Text),
    _must("installation_id", Text),
    _must("conversation_id", Text),
    _must("seq", BigInteger),
    _must("state", Text, "'new'"),
    _may("owner", Text),
    _must("attempts", SmallInteger, "0"),
    _must("due_at", Moment, "now()"),
    _may("error", Text),
    _may("sent_at", Moment),
    _may("receipt", JSONB),
    UniqueConstraint("tenant_id", "conversation_id", "seq"),
    _one_of("state", ["new", "taken", "sent", "set_aside"]),
    Index("ix_outbox_due", "due_at", "id", postgresql_where=text("state = 'new'")),
    Index(
        "ix_outbox_head",
        "tenant_id",
        "conversation_id",
        "id",
        postgresql_where=text("state IN ('new','taken')"),
    ),
    Index("ix_outbox_taken", "owner", postgresql_where=text("state = 'taken'")),
    Index("ix_outbox_sent", "sent_at", postgresql_where=text("state = 'sent'")),
    Index(
        "ix_outbox_receipt",
        "receipt",
        postgresql_using="gin",
        postgresql_ops={"receipt": "jsonb_path_ops"},
        postgresql_where=text("receipt IS NOT NULL"),
    ),
)

passing = Table(
    "passing",
    shared,
    _must("tenant_id", Text),
    _must("installation_id", Text),
    _must("thread", Text),
    _must("message_id", BigInteger),
    _must("conversation_id", Text),
    _must("owner", Text),
    PrimaryKeyConstraint("installation_id", "thread", "message_id"),
    Index(None, "owner"),
)
"""Messages that show a running turn: they are taken away when it is over, also after their owner's death."""

leases = Table(
    "lease",
    shared,
    Column("name", Text, primary_key=True),
    _must("owner", Text),
    _must("since", Moment, "now()"),
)

timers = Table(
    "timer",
    shared,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _must("tenant_id", Text),
    _must("kind", Text),
    _must("ref", Text),
    _must("step", Integer, "0"),
    _must("due_at", Moment),
    _must("state", Text, "'new'"),
    _may("owner", Text),
    _must("attempts", SmallInteger, "0"),
    UniqueConstraint("tenant_id", "kind", "ref", "step"),
    _one_of("state", ["new", "taken", "done", "set_aside"]),
    Index("ix_timer_due", "due_at", "id", postgresql_where=text("state = 'new'")),
    Index("ix_timer_taken", "owner", postgresql_where=text("state = 'taken'")),
)


def _tenant_table(name: str, *parts: Any) -> Table:
    return Table(name, tenant, _must("tenant_id", Text), *parts)


settings = _tenant_table(
    "setting",
    Column("key", Text, primary_key=True),
    _must("value", JSONB),
    _must("changed_at", Moment),
    _may("changed_by", Text),
)

users = _tenant_table(
    "user",
    Column("id", Text, primary_key=True),
    _must("name", Text),
    _must("role", Text),
    _must("language", Text),
    _must("active", Boolean, "true"),
    _must("created_at", Moment),
    _must("is_key", Boolean, "false"),
    UniqueConstraint("name"),
    _one_of("role", ["viewer", "operator", "admin"]),
    _one_of("language", ["en", "zh"]),
)

conversations = _tenant_table(
    "conversation",
    Column("id", Text, primary_key=True),
    _must("channel", Text),
    _must("installation_id", Text),
    _must("thread", Text),
    _may("user_id", Text),
    _must("title", Text, "''"),
    _may("engine", Text),
    _must("status", Text, "'open'"),
    _must("last_seq", BigInteger, "0"),
    _must("created_at", Moment),
    _must("updated_at", Moment),
    _one_of("status", ["open", "closed"]),
    Index(None, "user_id", "updated_at"),
    Index(
        "uq_conversation_open_thread",
        "installation_id",
        "thread",
        unique=True,
        postgresql_where=text("status = 'open'"),
    ),
)

quiet_places = _tenant_table(
    "quiet_place",
    _must("installation_id", Text),
    _must("thread", Text),
    PrimaryKeyConstraint("installation_id", "thread"),
)

events = _tenant_table(
    "event",
    Column("conversation_id", Text, ForeignKey(conversations.c.id), nullable=False),
    _must("seq", BigInteger),
    _must("kind", Text),
    _may("turn_id", Text),
    _may("user_id", Text),
    _must("body", JSONB),
    _must("at", Moment),
    PrimaryKeyConstraint("conversation_id", "seq"),
    Index("ix_event_turn", "turn_id", "seq", postgresql_where=text("turn_id IS NOT NULL")),
)

files = _tenant_table(
    "file",
    Column("id", Text, primary_key=True),
    Column("conversation_id", Text, ForeignKey(conversations.c.id), nullable=False),
    _must("name", Text),
    _must("content", LargeBinary),
    _must("created_at", Moment),
    Index(None, "created_at"),
)

usage = _tenant_table(
    "usage",
    _must("day", Date),
    _must("engine", Text),
    _must("model", Text),
    _must("calls", BigInteger),
    _must("input_tokens", BigInteger),
    _must("output_tokens", BigInteger),
    _must("micro_usd", BigInteger),
    PrimaryKeyConstraint("day", "engine", "model"),
)

turns = _tenant_table(
    "turn",
    Column("id", Text, primary_key=True),
    _must("conversation_id", Text),
    _may("user_id", Text),
    _must("engine", Text),
    _must("status", Text),
    _may("approval_id", Text),
    _must("started_at", Moment),
    _may("ended_at", Moment),
    _one_of("status", ["running", "suspended", "completed", "failed", "stopped"]),
    Index(None, "conversation_id", "started_at"),
)

approvals = _tenant_table(
    "approval",
    Column("id", Text, primary_key=True),
    _must("code", Text),
    _must("conversation_id", Text),
    _must("turn_id", Text),
    _must("step", Integer),
    _must("action", Text),
    _must("digest", Text),
    _must("nonce", Text),
    _must("level", SmallInteger),
    _must("reasons", JSONB),
    _must("part", Text),
    _must("rules", Text),
    _must("requester_id", Text),
    _must("needed", SmallInteger, "1"),
    _must("approvals", SmallInteger, "0"),
    _must("four_eyes", Boolean, "false"),
    _must("status", Text, "'pending'"),
    _must("created_at", Moment),
    _must("expires_at", Moment),
    _may("settled_at", Moment),
    _may("settled_by", Text),
    _may("settled_event", Text),
    _must("seen", JSONB, "'[]'"),
    _must("grant_minutes", SmallInteger, "0"),
    _must("goes_ahead", Boolean, "false"),
    _must("policy", Integer, "0"),
    _one_of("status", ["pending", "approved", "rejected", "expired", "cancelled"]),
    UniqueConstraint("turn_id", "step"),
    Index("ix_approval_pending", "expires_at", postgresql_where=text("status = 'pending'")),
    Index("ix_approval_created", "created_at"),
    Index("ix_approval_conversation", "conversation_id"),
)

votes = _tenant_table(
    "vote",
    Column("approval_id", Text, ForeignKey(approvals.c.id), nullable=False),
    _must("user_id", Text),
    _must("verdict", Text),
    _must("channel", Text),
    _must("event_id", Text),
    _must("at", Moment),
    _must("grants", Boolean, "false"),
    PrimaryKeyConstraint("approval_id", "user_id"),
    _one_of("verdict", ["approve", "reject"]),
)

timed_grants = _tenant_table(
    "timed_grant",
    Column("approval_id", Text, ForeignKey(approvals.c.id), primary_key=True),
    _must("given_at", Moment),
    _must("ends_at", Moment),
    _may("ended_at", Moment),
    _may("ended_as", Text),
    _may("ended_by", Text),
    _one_of("ended_as", ["revoked", "expired", "void"]),
    Index("ix_timed_grant_live", "ends_at", postgresql_where=text("ended_at IS NULL")),
)

approval_places = _tenant_table(
    "approval_place",
    Column("approval_id", Text, ForeignKey(approvals.c.id), nullable=False),
    _must("conversation_id", Text),
    _must("seq", BigInteger),
    _may("user_id", Text),
    PrimaryKeyConstraint("approval_id", "conversation_id", "seq"),
)

totps = _tenant_table(
    "totp",
    Column("user_id", Text, primary_key=True),
    _must("sealed", LargeBinary),
    _must("created_at", Moment),
    _may("confirmed_at", Moment),
    _must("last_step", BigInteger, "0"),
    _must("failures", SmallInteger, "0"),
    _may("locked_until", Moment),
    _may("proven_until", Moment),
    _may("asked_for", Text),
    _may("asked_at", Moment),
    _must("asked_grants", Boolean, "false"),
)

runs = _tenant_table(
    "run",
    Column("id", Text, primary_key=True),
    _must("conversation_id", Text),
    _must("turn_id", Text),
    _may("approval_id", Text),
    _must("command", Text),
    _must("level", SmallInteger),
    _must("server_ids", JSONB),
    _must("requester_id", Text),
    _may("approver_id", Text),
    _must("state", Text),
    _may("owner", Text),
    _must("started_at", Moment),
    _may("ended_at", Moment),
    _one_of("state", ["running", "done", "unknown"]),
    Index(None, "turn_id"),
    Index("ix_run_started", "started_at"),
    Index("ix_run_running", "owner", postgresql_where=text("state = 'running'")),
)

run_targets = _tenant_table(
    "run_target",
    Column("run_id", Text, ForeignKey(runs.c.id), nullable=False),
    _must("server_id", Text),
    _must("server", Text),
    _must("state", Text),
    _may("exit_code", Integer),
    _may("duration_ms", BigInteger),
    _must("stdout", Text, "''"),
    _must("stderr", Text, "''"),
    _must("dropped", BigInteger, "0"),
    _may("error", JSONB),
    _must("os_user", Text, "''"),
    PrimaryKeyConstraint("run_id", "server_id"),
    _one_of("state", ["running", "done", "failed", "stopped", "timeout", "unknown"]),
)

credentials = _tenant_table(
    "credential",
    Column("id", Text, primary_key=True),
    _must("name", Text),
    _must("kind", Text),
    _must("sealed", LargeBinary),
    _must("version", Integer, "1"),
    _must("fingerprint", Text, "''"),
    _must("key_type", Text, "''"),
    _must("server", Text, "''"),
    _may("created_by", Text),
    _must("created_at", Moment),
    _may("used_at", Moment),
    _may("expires_at", Moment),
    _may("revoked_at", Moment),
    _one_of("kind", ["ssh_key", "ssh_password", "token", "kubeconfig"]),
    Index("uq_credential_name", "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
)

servers = _tenant_table(
    "server",
    Column("id", Text, primary_key=True),
    _must("name", Text),
    _must("connection", Text, "'ssh'"),
    _must("host", Text),
    _must("port", Integer, "22"),
    _must("environment", Text),
    _may("role", Text),
    _must("ssh_user", Text),
    Column("credential_id", Text, ForeignKey(credentials.c.id), nullable=True),
    Column("jump_server_id", Text, ForeignKey("tenant.server.id"), nullable=True),
    _must("ssh_options", JSONB, "'{}'"),
    _must("tags", JSONB, "'{}'"),
    _must("status", Text, "'active'"),
    _must("description", Text, "''"),
    _may("host_key", Text),
    _must("restricted", Boolean, "false"),
    _must("shell", Text, "'bash'"),
    _must("created_at", Moment),
    _may("cluster_id", Text),
    _must("read_user", Text, "''"),
    Column("read_credential_id", Text, ForeignKey(credentials.c.id), nullable=True),
    _must("accounts", JSONB, "'{}'"),
    _one_of("connection", ["ssh", "local"]),
    _one_of("environment", ["dev", "staging", "prod"]),
    _one_of("role", ["web", "db", "cache", "worker", "gateway"]),
    _one_of("status", ["active", "untrusted", "removed"]),
    _one_of("shell", ["bash", "sh"]),
    Index("uq_server_name", "name", unique=True, postgresql_where=text("status <> 'removed'")),
)

clusters = _tenant_table(
    "cluster",
    Column("id", Text, primary_key=True),
    _must("name", Text),
    _must("kind", Text),
    _must("environment", Text),
    Column("entry_server_id", Text, ForeignKey("tenant.server.id"), nullable=True),
    _must("description", Text, "''"),
    _must("status", Text, "'active'"),
    Column("credential_id", Text, ForeignKey(credentials.c.id), nullable=True),
    _must("created_at", Moment),
    _one_of("kind", ["bare_metal", "k8s", "docker_swarm"]),
    _one_of("environment", ["dev", "staging", "prod"]),
    _one_of("status", ["active", "removed"]),
    Index("uq_cluster_name", "name", unique=True, postgresql_where=text("status <> 'removed'")),
)

secret_forms = _tenant_table(
    "secret_form",
    Column("token_hash", LargeBinary, primary_key=True),
    _must("name", Text),
    _must("kind", Text),
    _must("user_id", Text),
    _must("expires_at", Moment),
    _may("used_at", Moment),
    _may("secret_expires_at", Moment),
)

policies = _tenant_table(
    "policy",
    Column("version", Integer, primary_key=True, autoincrement=False),
    _must("document", JSONB),
    _must("changed_at", Moment),
    _may("changed_by", Text),
)
"""Every version of the tenant's policy; the newest holds."""

audit = _tenant_table(
    "audit",
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _must("at", Moment),
    _must("action", Text),
    _must("actor_type", Text),
    _may("actor_id", Text),
    _may("approver_id", Text),
    _must("resource_type", Text, "''"),
    _must("resource_id", Text, "''"),
    _may("channel", Text),
    _may("ip", Text),
    _must("detail", JSONB),
    _may("key", Text),
    _must("previous_hash", LargeBinary),
    _must("hash", LargeBinary),
    _one_of("actor_type", ["agent", "user", "system"]),
    UniqueConstraint("key"),
    Index("ix_audit_at", "at"),
    Index("ix_audit_resource", "resource_type", "resource_id", "seq"),
)
