"""A tenant's schema."""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

TABLES = (
    "approval",
    "audit",
    "conversation",
    "credential",
    "run",
    "secret_form",
    "setting",
    "turn",
    "user",
    "approval_place",
    "event",
    "run_target",
    "server",
    "vote",
)


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "approval",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("requester_id", sa.Text(), nullable=False),
        sa.Column("needed", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("approvals", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("four_eyes", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("settled_event", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'approved', 'rejected', 'expired', 'cancelled')",
            name=op.f("ck_approval_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
        sa.UniqueConstraint("turn_id", "step", name=op.f("uq_approval_turn_id_step")),
        schema="tenant",
    )
    op.create_index(
        "ix_approval_conversation", "approval", ["conversation_id"], unique=False, schema="tenant"
    )
    op.create_index("ix_approval_created", "approval", ["created_at"], unique=False, schema="tenant")
    op.create_index(
        "ix_approval_pending",
        "approval",
        ["expires_at"],
        unique=False,
        schema="tenant",
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "audit",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=True),
        sa.Column("approver_id", sa.Text(), nullable=True),
        sa.Column("resource_type", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("resource_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("actor_type IN ('agent', 'user', 'system')", name=op.f("ck_audit_actor_type")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
        sa.UniqueConstraint("key", name=op.f("uq_audit_key")),
        schema="tenant",
    )
    op.create_index("ix_audit_at", "audit", ["at"], unique=False, schema="tenant")
    op.create_index(
        "ix_audit_resource", "audit", ["resource_type", "resource_id", "seq"], unique=False, schema="tenant"
    )
    op.create_table(
        "conversation",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("installation_id", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("engine", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('open', 'closed')", name=op.f("ck_conversation_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation")),
        schema="tenant",
    )
    op.create_index(
        op.f("ix_conversation_user_id_updated_at"),
        "conversation",
        ["user_id", "updated_at"],
        unique=False,
        schema="tenant",
    )
    op.create_index(
        "uq_conversation_open_thread",
        "conversation",
        ["installation_id", "thread"],
        unique=True,
        schema="tenant",
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "credential",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("fingerprint", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("key_type", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('ssh_key', 'ssh_password', 'token', 'kubeconfig')", name=op.f("ck_credential_kind")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
        schema="tenant",
    )
    op.create_index(
        "uq_credential_name",
        "credential",
        ["name"],
        unique=True,
        schema="tenant",
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "run",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("approval_id", sa.Text(), nullable=True),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("server_ids", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("requester_id", sa.Text(), nullable=False),
        sa.Column("approver_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('running', 'done', 'unknown')", name=op.f("ck_run_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        schema="tenant",
    )
    op.create_index(
        "ix_run_running",
        "run",
        ["owner"],
        unique=False,
        schema="tenant",
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index("ix_run_started", "run", ["started_at"], unique=False, schema="tenant")
    op.create_index(op.f("ix_run_turn_id"), "run", ["turn_id"], unique=False, schema="tenant")
    op.create_table(
        "secret_form",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_secret_form")),
        schema="tenant",
    )
    op.create_table(
        "setting",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_setting")),
        schema="tenant",
    )
    op.create_table(
        "turn",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("approval_id", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'suspended', 'completed', 'failed', 'stopped')",
            name=op.f("ck_turn_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turn")),
        schema="tenant",
    )
    op.create_index(
        op.f("ix_turn_conversation_id_started_at"),
        "turn",
        ["conversation_id", "started_at"],
        unique=False,
        schema="tenant",
    )
    op.create_table(
        "user",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("language IN ('en', 'zh')", name=op.f("ck_user_language")),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'admin')", name=op.f("ck_user_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("name", name=op.f("uq_user_name")),
        schema="tenant",
    )
    op.create_table(
        "approval_place",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("approval_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["tenant.approval.id"], name=op.f("fk_approval_place_approval_id")
        ),
        sa.PrimaryKeyConstraint("approval_id", "conversation_id", "seq", name=op.f("pk_approval_place")),
        schema="tenant",
    )
    op.create_table(
        "event",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["tenant.conversation.id"], name=op.f("fk_event_conversation_id")
        ),
        sa.PrimaryKeyConstraint("conversation_id", "seq", name=op.f("pk_event")),
        schema="tenant",
    )
    op.create_index(
        "ix_event_turn",
        "event",
        ["turn_id", "seq"],
        unique=False,
        schema="tenant",
        postgresql_where=sa.text("turn_id IS NOT NULL"),
    )
    op.create_table(
        "run_target",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("server_id", sa.Text(), nullable=False),
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("stdout", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("stderr", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("dropped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "state IN ('running', 'done', 'failed', 'stopped', 'timeout', 'unknown')",
            name=op.f("ck_run_target_state"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["tenant.run.id"], name=op.f("fk_run_target_run_id")),
        sa.PrimaryKeyConstraint("run_id", "server_id", name=op.f("pk_run_target")),
        schema="tenant",
    )
    op.create_table(
        "server",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), server_default=sa.text("'ssh'"), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), server_default=sa.text("22"), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("ssh_user", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=True),
        sa.Column("jump_server_id", sa.Text(), nullable=True),
        sa.Column(
            "ssh_options",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "tags", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("host_key", sa.Text(), nullable=True),
        sa.Column("restricted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("shell", sa.Text(), server_default=sa.text("'bash'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("connection IN ('ssh', 'local')", name=op.f("ck_server_connection")),
        sa.CheckConstraint("environment IN ('dev', 'staging', 'prod')", name=op.f("ck_server_environment")),
        sa.CheckConstraint(
            "role IN ('web', 'db', 'cache', 'worker', 'gateway')", name=op.f("ck_server_role")
        ),
        sa.CheckConstraint("shell IN ('bash', 'sh')", name=op.f("ck_server_shell")),
        sa.CheckConstraint("status IN ('active', 'untrusted', 'removed')", name=op.f("ck_server_status")),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["tenant.credential.id"], name=op.f("fk_server_credential_id")
        ),
        sa.ForeignKeyConstraint(
            ["jump_server_id"], ["tenant.server.id"], name=op.f("fk_server_jump_server_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server")),
        schema="tenant",
    )
    op.create_index(
        "uq_server_name",
        "server",
        ["name"],
        unique=True,
        schema="tenant",
        postgresql_where=sa.text("status <> 'removed'"),
    )
    op.create_table(
        "vote",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("approval_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("verdict IN ('approve', 'reject')", name=op.f("ck_vote_verdict")),
        sa.ForeignKeyConstraint(["approval_id"], ["tenant.approval.id"], name=op.f("fk_vote_approval_id")),
        sa.PrimaryKeyConstraint("approval_id", "user_id", name=op.f("pk_vote")),
        schema="tenant",
    )

    _bind_to_tenant()
    _guard_audit()


def _bind_to_tenant() -> None:
    """Let no row of another tenant into this schema: the second line of defence."""
    tenant_id = context.config.attributes["tenant_id"]
    for table in TABLES:
        op.create_check_constraint("tenant", table, sa.column("tenant_id") == tenant_id, schema="tenant")


def _guard_audit() -> None:
    """Refuse every change of a written audit row, whoever asks."""
    schema = context.config.attributes["schema"]
    op.execute(
        f"""
        CREATE FUNCTION "{schema}".audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$
        """
    )
    op.execute(
        f"""
        CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON "{schema}".audit
        FOR EACH STATEMENT EXECUTE FUNCTION "{schema}".audit_is_append_only()
        """
    )
