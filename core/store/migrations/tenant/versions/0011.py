"""Grants for some minutes, approvals that go ahead by themselves, and what their turns had read."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0009"


def upgrade() -> None:
    """Expand."""
    schema = context.config.attributes["schema"]  # Alembic does not translate it in ALTER TABLE
    columns: list[tuple[str, sa.Column[Any]]] = [
        ("approval", sa.Column("seen", JSONB(), server_default=sa.text("'[]'"), nullable=False)),
        (
            "approval",
            sa.Column("grant_minutes", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        ),
        ("approval", sa.Column("goes_ahead", sa.Boolean(), server_default=sa.text("false"), nullable=False)),
        ("vote", sa.Column("grants", sa.Boolean(), server_default=sa.text("false"), nullable=False)),
    ]
    for table, column in columns:
        op.add_column(table, column, schema=schema)
    op.create_table(
        "timed_grant",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("approval_id", sa.Text(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_as", sa.Text(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "ended_as IN ('revoked', 'expired', 'void')", name=op.f("ck_timed_grant_ended_as")
        ),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["tenant.approval.id"], name=op.f("fk_timed_grant_approval_id")
        ),
        sa.PrimaryKeyConstraint("approval_id", name=op.f("pk_timed_grant")),
        schema="tenant",
    )
    op.create_index(
        "ix_timed_grant_live",
        "timed_grant",
        ["ends_at"],
        schema="tenant",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    tenant_id = context.config.attributes["tenant_id"]
    op.create_check_constraint("tenant", "timed_grant", sa.column("tenant_id") == tenant_id, schema="tenant")
