"""First tables: infrastructures, nodes, events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    infrastructures()
    nodes()
    events()


def infrastructures() -> None:
    op.create_table(
        "infrastructures",
        sa.Column("id", sa.String(8), primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("cloud", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("topology", sa.Text),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("outputs", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("updated", sa.DateTime, nullable=False),
        sa.Column("expires", sa.DateTime),
    )
    op.create_index(
        "one_living_infrastructure_per_name",
        "infrastructures",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state != 'deleted'"),
    )


def nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column(
            "infrastructure", sa.String(8), sa.ForeignKey("infrastructures.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("group", sa.String, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("token", sa.String, nullable=False, unique=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("private_address", sa.String, nullable=False),
        sa.Column("public_address", sa.String, nullable=False),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("host_public_key", sa.String, nullable=False),
        sa.Column("cpus", sa.Integer, nullable=False),
        sa.Column("memory", sa.Integer, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("front_end", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("configured", sa.String, nullable=False),
        sa.Column("image", sa.String, nullable=False),
        sa.Column("flavor", sa.String, nullable=False),
        sa.Column("request", sa.String, nullable=False),
        sa.Column("requested", sa.DateTime),
    )


def events() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("infrastructure", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("phase", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("events_of_an_infrastructure", "events", ["infrastructure", "seq"])


def downgrade() -> None:
    for table in ("events", "nodes", "infrastructures"):
        op.drop_table(table)
