"""${message}"""

import sqlalchemy as sa
from alembic import context, op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

SCHEMA = context.config.attributes["schema"]
"""For add_column, alter_column, drop_column: Alembic's ALTERs do not translate the placeholder ``tenant``."""


def upgrade() -> None:
    """Expand."""
    ${upgrades if upgrades else "pass"}
