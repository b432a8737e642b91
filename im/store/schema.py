"""The tables. A change here needs a revision under ``migrations/versions`` and its id in :data:`HEAD`."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

HEAD = "0003"
"""The alembic revision that these tables are at."""

metadata = MetaData()

infrastructures = Table(
    "infrastructures",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("name", String, nullable=False),
    Column("cloud", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("topology", Text),
    Column("counts", Text, nullable=False),
    Column("until", String, nullable=False, server_default="ready"),
    Column("outputs", Text, nullable=False),
    Column("created", DateTime, nullable=False),
    Column("updated", DateTime, nullable=False),
    Column("expires", DateTime),
)

Index(
    "one_living_infrastructure_per_name",
    infrastructures.c.name,
    unique=True,
    sqlite_where=text("state != 'deleted'"),
)

nodes = Table(
    "nodes",
    metadata,
    Column("infrastructure", String(8), ForeignKey("infrastructures.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("group", String, nullable=False),
    Column("index", Integer, nullable=False),
    Column("token", String, nullable=False, unique=True),
    Column("state", String, nullable=False),
    Column("id", String, nullable=False),
    Column("private_address", String, nullable=False),
    Column("public_address", String, nullable=False),
    Column("user", String, nullable=False),
    Column("host_public_key", String, nullable=False),
    Column("cpus", Integer, nullable=False),
    Column("memory", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("front_end", Boolean, nullable=False),
    Column("reason", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("configured", String, nullable=False),
    Column("image", String, nullable=False),
    Column("flavor", String, nullable=False),
    Column("request", String, nullable=False),
    Column("requested", DateTime),
    Column("volumes", Text, nullable=False, server_default="[]"),
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("infrastructure", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("phase", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("code", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("at", DateTime, nullable=False),
    Index("events_of_an_infrastructure", "infrastructure", "seq"),
    sqlite_autoincrement=True,
)
