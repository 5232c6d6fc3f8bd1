"""Clusters, and which of them a server belongs to."""

import sqlalchemy as sa
from alembic import context, op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Expand."""
    op.create_table(
        "cluster",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("entry_server_id", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('bare_metal', 'k8s', 'docker_swarm')", name=op.f("ck_cluster_kind")),
        sa.CheckConstraint("environment IN ('dev', 'staging', 'prod')", name=op.f("ck_cluster_environment")),
        sa.CheckConstraint("status IN ('active', 'removed')", name=op.f("ck_cluster_status")),
        sa.ForeignKeyConstraint(
            ["entry_server_id"], ["tenant.server.id"], name=op.f("fk_cluster_entry_server_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cluster")),
        schema="tenant",
    )
    op.create_index(
        "uq_cluster_name",
        "cluster",
        ["name"],
        unique=True,
        schema="tenant",
        postgresql_where=sa.text("status <> 'removed'"),
    )
    # A column's own statement is not translated as a table's is.
    schema = context.config.attributes["schema"]
    op.add_column("server", sa.Column("cluster_id", sa.Text(), nullable=True), schema=schema)
    tenant_id = context.config.attributes["tenant_id"]
    op.create_check_constraint("tenant", "cluster", sa.column("tenant_id") == tenant_id, schema="tenant")
