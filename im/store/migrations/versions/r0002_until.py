"""How far a deployment goes: until ready, or only until provisioned."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("infrastructures", sa.Column("until", sa.String, nullable=False, server_default="ready"))


def downgrade() -> None:
    op.drop_column("infrastructures", "until")
