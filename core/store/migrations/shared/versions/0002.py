"""Leases on what one process at a time may do; what platforms called what they took; who knocked."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Expand."""
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
        schema="it0_shared",
    )
    op.add_column("outbox", sa.Column("receipt", JSONB(), nullable=True), schema="it0_shared")
    op.add_column("identity", sa.Column("home", sa.Text(), nullable=True), schema="it0_shared")
    op.add_column("stranger", sa.Column("name", sa.Text(), nullable=True), schema="it0_shared")
    op.add_column("stranger", sa.Column("language", sa.Text(), nullable=True), schema="it0_shared")
    op.add_column("stranger", sa.Column("home", sa.Text(), nullable=True), schema="it0_shared")
