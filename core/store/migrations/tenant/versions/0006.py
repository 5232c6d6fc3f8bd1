"""Clusters that are reached by their API, with a kubeconfig."""

import sqlalchemy as sa
from alembic import context, op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Expand."""
    schema = context.config.attributes["schema"]  # Alembic does not translate it in ALTER TABLE
    op.add_column(
        "credential",
        sa.Column("server", sa.Text(), server_default=sa.text("''"), nullable=False),
        schema=schema,
    )
    op.add_column("cluster", sa.Column("credential_id", sa.Text(), nullable=True), schema=schema)
    op.create_foreign_key(
        "fk_cluster_credential_id",
        "cluster",
        "credential",
        ["credential_id"],
        ["id"],
        source_schema=schema,
        referent_schema=schema,
    )
