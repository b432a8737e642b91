"""The volumes of a node."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("nodes", sa.Column("volumes", sa.Text, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("nodes", "volumes")
