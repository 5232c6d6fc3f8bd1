"""Whether the decision that waits for a second factor is for the grant, too."""

import sqlalchemy as sa
from alembic import context, op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Expand."""
    grants: sa.Column[bool] = sa.Column(
        "asked_grants", sa.Boolean(), server_default=sa.text("false"), nullable=False
    )
    schema = context.config.attributes["schema"]  # Alembic does not translate it in ALTER TABLE
    op.add_column("totp", grants, schema=schema)
