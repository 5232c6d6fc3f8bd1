"""A second account of a server, what its accounts can do, and as whom a command ran."""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Expand."""
    schema = context.config.attributes["schema"]  # ALTER TABLE is not translated
    empty = sa.text("''")
    for table, column in (
        ("run_target", sa.Column("os_user", sa.Text(), server_default=empty, nullable=False)),
        ("server", sa.Column("read_user", sa.Text(), server_default=empty, nullable=False)),
        ("server", sa.Column("read_credential_id", sa.Text(), nullable=True)),
        ("server", sa.Column("accounts", JSONB(), server_default=sa.text("'{}'"), nullable=False)),
        ("secret_form", sa.Column("secret_expires_at", sa.DateTime(timezone=True), nullable=True)),
    ):
        op.add_column(table, column, schema=schema)
    op.create_foreign_key(
        op.f("fk_server_read_credential_id"),
        "server",
        "credential",
        ["read_credential_id"],
        ["id"],
        source_schema=schema,
        referent_schema=schema,
    )
