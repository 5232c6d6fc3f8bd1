"""The shared schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("installation_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("laned", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'new'"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("stop", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('new', 'taken', 'done', 'set_aside')", name=op.f("ck_inbox_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("installation_id", "event_id", name=op.f("uq_inbox_installation_id_event_id")),
        schema="it0_shared",
    )
    op.create_index(
        "ix_inbox_done",
        "inbox",
        ["done_at"],
        unique=False,
        schema="it0_shared",
        postgresql_where=sa.text("state = 'done'"),
    )
    op.create_index(
        "ix_inbox_lane",
        "inbox",
        ["tenant_id", "conversation_id", "id"],
        unique=False,
        schema="it0_shared",
        postgresql_where=sa.text("state = 'new'"),
    )
    op.create_index(
        "ix_inbox_new",
        "inbox",
        ["id"],
        unique=False,
        schema="it0_shared",
        postgresql_where=sa.text("state = 'new'"),
    )
    op.create_index(
        "ix_inbox_taken",
        "inbox",
        ["owner"],
        unique=False,
        schema="it0_shared",
        postgresql_where=sa.text("state = 'taken'"),
    )
    op.create_table(
        "lane",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("stop", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "conversation_id", name=op.f("pk_lane")),
        schema="it0_shared",
    )
    op.create_index(
        "ix_lane_owner",
        "lane",
        ["owner"],
        unique=False,
        schema="it0_shared",
        postgresql_where=sa.text("owner IS NOT NULL"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("installation_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'new'"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('new', 'taken', 'sent', 'set_aside')", name=op.f("ck_outbox_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint(
            "tenant_id", "conversation_id", "seq", name=op.f("uq_outbox_tenant_id_conversation_id_seq")
        ),
        schema="it0_shared",
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["due_at", "id"],
        unique=False,
        schema="it0_shared",
        postgresql_where=sa.text("state = 'new'"),
    )
    op.create_index(
        "ix_outbox_head",
        "outbox",
        ["tenant_id", "conversation_id", "id"],
        unique=False,
        schema="it0_shared",
        postgresql_where=sa.text("state IN ('new','taken')"),
    )
    op.create_index(
        "ix_outbox_sent",
        "outbox",
        ["sent_at"],
        unique=False,
        schema="it0_shared",
        postgresql_where=sa.text("state = 'sent'"),
    )
    op.create_index(
        "ix_outbox_taken",
        "outbox",
        ["owner"],
        unique=False,
        schema="it0_shared",
        postgresql_where=sa.text("state = 'taken'"),
    )
    op.create_table(
        "process",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process")),
        schema="it0_shared",
    )
    op.create_table(
        "stranger",
        sa.Column("installation_id", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("installation_id", "external_id", name=op.f("pk_stranger")),
        schema="it0_shared",
    )
    op.create_table(
        "tenant",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=True),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('active', 'suspended', 'deleted')", name=op.f("ck_tenant_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant")),
        sa.UniqueConstraint("slug", name=op.f("uq_tenant_slug")),
        schema="it0_shared",
    )
    op.create_table(
        "timer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'new'"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("state IN ('new', 'taken', 'done', 'set_aside')", name=op.f("ck_timer_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timer")),
        sa.UniqueConstraint(
            "tenant_id", "kind", "ref", "step", name=op.f("uq_timer_tenant_id_kind_ref_step")
        ),
        schema="it0_shared",
    )
    op.create_index(
        "ix_timer_due",
        "timer",
        ["due_at", "id"],
        unique=False,
        schema="it0_shared",
        postgresql_where=sa.text("state = 'new'"),
    )
    op.create_index(
        "ix_timer_taken",
        "timer",
        ["owner"],
        unique=False,
        schema="it0_shared",
        postgresql_where=sa.text("state = 'taken'"),
    )
    op.create_table(
        "identity",
        sa.Column("installation_id", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["it0_shared.tenant.id"], name=op.f("fk_identity_tenant_id")),
        sa.PrimaryKeyConstraint("installation_id", "external_id", name=op.f("pk_identity")),
        schema="it0_shared",
    )
    op.create_index(
        op.f("ix_identity_tenant_id_user_id"),
        "identity",
        ["tenant_id", "user_id"],
        unique=False,
        schema="it0_shared",
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["it0_shared.tenant.id"], name=op.f("fk_installation_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        schema="it0_shared",
    )
    op.create_table(
        "login_link",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["it0_shared.tenant.id"], name=op.f("fk_login_link_tenant_id")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_login_link")),
        schema="it0_shared",
    )
    op.create_table(
        "pairing_code",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["it0_shared.tenant.id"], name=op.f("fk_pairing_code_tenant_id")
        ),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_pairing_code")),
        schema="it0_shared",
    )
    op.create_table(
        "web_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["it0_shared.tenant.id"], name=op.f("fk_web_session_tenant_id")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_web_session")),
        sa.UniqueConstraint("id", name=op.f("uq_web_session_id")),
        schema="it0_shared",
    )
    op.create_index(
        op.f("ix_web_session_tenant_id_user_id"),
        "web_session",
        ["tenant_id", "user_id"],
        unique=False,
        schema="it0_shared",
    )
