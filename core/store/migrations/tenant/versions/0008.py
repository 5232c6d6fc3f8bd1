"""Places in chats that want to be quiet."""

import sqlalchemy as sa
from alembic import context, op

revision = "0008"
down_revision = "0006"


def upgrade() -> None:
    """Expand."""
    tenant_id = context.config.attributes["tenant_id"]
    op.create_table(
        "quiet_place",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("installation_id", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("installation_id", "thread", name=op.f("pk_quiet_place")),
        schema="tenant",
    )
    op.create_check_constraint("tenant", "quiet_place", sa.column("tenant_id") == tenant_id, schema="tenant")
