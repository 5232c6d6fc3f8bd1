"""Second factors: a sealed secret a person, what was used of it, and what it was last asked for."""

import sqlalchemy as sa
from alembic import context, op

revision = "0012"
down_revision = "0009"


def upgrade() -> None:
    """Expand."""
    op.create_table(
        "totp",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("proven_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_for", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_totp")),
        schema="tenant",
    )
    tenant_id = context.config.attributes["tenant_id"]
    op.create_check_constraint("tenant", "totp", sa.column("tenant_id") == tenant_id, schema="tenant")
