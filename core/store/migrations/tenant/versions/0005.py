"""Users that are API keys."""

import sqlalchemy as sa
from alembic import context, op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Expand."""
    op.add_column(
        "user",
        sa.Column("is_key", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema=context.config.attributes["schema"],  # Alembic does not translate it in ALTER TABLE
    )
