"""Messages that show a running turn, and what a message that was sent belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Expand."""
    op.create_table(
        "passing",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("installation_id", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("installation_id", "thread", "message_id", name=op.f("pk_passing")),
        schema="it0_shared",
    )
    op.create_index(op.f("ix_passing_owner"), "passing", ["owner"], schema="it0_shared")
    op.create_index(
        "ix_outbox_receipt",
        "outbox",
        ["receipt"],
        schema="it0_shared",
        postgresql_using="gin",
        postgresql_ops={"receipt": "jsonb_path_ops"},
        postgresql_where=sa.text("receipt IS NOT NULL"),
    )
