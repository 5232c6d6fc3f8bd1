"""The tenant's policy, every version of it, and which one an approval was asked under."""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0012"


def upgrade() -> None:
    """Expand."""
    tenant_id = context.config.attributes["tenant_id"]
    op.create_table(
        "policy",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy")),
        schema="tenant",
    )
    op.create_check_constraint("tenant", "policy", sa.column("tenant_id") == tenant_id, schema="tenant")
    policy = sa.Column("policy", sa.Integer(), server_default=sa.text("0"), nullable=False)
    schema = context.config.attributes["schema"]  # Alembic does not translate it in ALTER TABLE
    op.add_column("approval", policy, schema=schema)
