"""Files that were sent from servers to conversations, for as long as they are kept."""

import sqlalchemy as sa
from alembic import context, op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Expand."""
    op.create_table(
        "file",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["tenant.conversation.id"], name=op.f("fk_file_conversation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file")),
        schema="tenant",
    )
    op.create_index(op.f("ix_file_created_at"), "file", ["created_at"], schema="tenant")
    tenant_id = context.config.attributes["tenant_id"]
    op.create_check_constraint("tenant", "file", sa.column("tenant_id") == tenant_id, schema="tenant")
