"""What the client remembers: infrastructures, their nodes and what happened, in one SQLite file.

Intent and audit log in one: a state change and its event are written in one transaction. No call to a cloud is ever
made inside one. Nothing secret is kept here; keys are files of the infrastructure's folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.exc import DatabaseError, IntegrityError

from im.errors import InputError, StoreError, UnknownName
from im.events import Event
from im.plan.model import InfrastructureState, Node
from im.store import records, schema
from im.store.records import InfrastructureRecord
from im.store.upgrade import upgrade

__all__ = ["InfrastructureRecord", "Store"]

BUSY_TIMEOUT = 10.0
"""Seconds that a client waits for another one's transaction."""


class Store:
    """The database of one client; safe to use from several threads and processes at once.

    Every method raises :class:`im.errors.StoreError` if the database cannot be used.
    """

    def __init__(self, path: Path, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": busy_timeout})
            sa.event.listen(self._engine, "connect", _prepare_connection)
            sa.event.listen(self._engine, "begin", _begin)
            self._writer = self._engine.execution_options(im_writes=True)
            upgrade(self._engine, path)

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self._engine.dispose()

    # reading

    def infrastructures(self, *, deleted: bool = False) -> tuple[InfrastructureRecord, ...]:
        """Return all infrastructures by name, with their nodes; those that are deleted only if asked."""
        table = schema.infrastructures
        query = sa.select(table).order_by(table.c.name, table.c.created)
        return self._records(query if deleted else query.where(table.c.state != InfrastructureState.DELETED))

    def find(self, name: str) -> InfrastructureRecord | None:
        """Return the living infrastructure of that name or id, if there is one."""
        table = schema.infrastructures
        living = sa.select(table).where(table.c.state != InfrastructureState.DELETED)
        found = self._records(living.where(table.c.name == name)) or self._records(living.where(table.c.id == name))
        return found[0] if found else None

    def infrastructure(self, name: str) -> InfrastructureRecord:
        """Return the living infrastructure of that name or id. Raises :class:`im.errors.UnknownName`."""
        if record := self.find(name):
            return record
        known = ", ".join(record.name for record in self.infrastructures()) or "none"
        raise UnknownName(f"there is no infrastructure {name!r}", hint=f"known: {known}")

    def nodes(self, infrastructure: str) -> tuple[Node, ...]:
        """Return the nodes of an infrastructure (by id), front-end first, then by group and index."""
        table = schema.nodes
        order = (table.c.front_end.desc(), table.c.group, table.c.index)
        with self._reading() as connection:
            rows = connection.execute(sa.select(table).where(table.c.infrastructure == infrastructure).order_by(*order))
            return tuple(records.node(row._asdict()) for row in rows)

    def events(self, infrastructure: str, *, after: int = 0, limit: int | None = None) -> tuple[Event, ...]:
        """Return what happened to an infrastructure (by id) after the event number ``after``, oldest first."""
        table = schema.events
        query = sa.select(table).where(table.c.infrastructure == infrastructure, table.c.seq > after)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(table.c.seq).limit(limit))
            return tuple(records.event(row._asdict()) for row in rows)

    # writing

    def write(
        self,
        record: InfrastructureRecord | None = None,
        *,
        nodes: Sequence[Node] = (),
        gone: Sequence[Node] = (),
        events: Sequence[Event] = (),
    ) -> tuple[Event, ...]:
        """Write all of this or nothing: a record, new and changed nodes, nodes to forget, and what happened.

        Returns the events with their numbers. ``record.nodes`` is not looked at.
        """
        with self._writing() as connection:
            if record:
                connection.execute(_PUT_INFRASTRUCTURES, records.infrastructure_row(record))
            for node in gone:
                table = schema.nodes
                connection.execute(
                    sa.delete(table).where(table.c.infrastructure == node.infrastructure, table.c.name == node.name)
                )
            if nodes:
                connection.execute(_PUT_NODES, [records.node_row(node) for node in nodes])
            return _append(connection, events) if events else ()

    def add_event(self, event: Event) -> Event:
        """Append one event and return it with its number."""
        return self.write(events=(event,))[0]

    # connections

    def _records(self, query: sa.Select[Any]) -> tuple[InfrastructureRecord, ...]:
        with self._reading() as connection:
            found = tuple(records.infrastructure(row._asdict()) for row in connection.execute(query))
        return tuple(replace(record, nodes=self.nodes(record.id)) for record in found)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The driver's errors in our words."""
        try:
            yield
        except IntegrityError as error:
            if "infrastructures.name" in str(error.orig):
                raise InputError("an infrastructure of that name exists already") from error
            raise StoreError(f"the database {self.path} refuses what contradicts it: {error.orig}") from error
        except (DatabaseError, OSError) as error:
            reason = str(error.orig) if isinstance(error, DatabaseError) else str(error.strerror)
            raise StoreError(
                f"cannot use the database {self.path}: {reason}", hint=_hint(reason, self._busy_timeout)
            ) from error


def _hint(reason: str, busy_timeout: float) -> str:
    hints = {
        "locked": f"another program has held it for {busy_timeout:g} s; try again when that is done",
        "full": "free some disk space and run the same command again; nothing is lost",
        "No space": "free some disk space and run the same command again; nothing is lost",
        "readonly": "check the owner and the permissions of the file and its folder",
        "ermission": "check the owner and the permissions of the file and its folder",
        "malformed": "restore a backup or move the file away; delete works by infrastructure id without it",
        "not a database": "move the file away; delete works by infrastructure id without it",
    }
    return next((hint for word, hint in hints.items() if word in reason), "")


def _prepare_connection(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3's, as SQLAlchemy hands it over
    connection.isolation_level = None  # SQLAlchemy's "begin" event decides which kind of transaction begins
    for pragma in ("journal_mode = wal", "synchronous = normal", "foreign_keys = on"):
        connection.execute(f"pragma {pragma}")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("im_writes")
    connection.exec_driver_sql("begin immediate" if writes else "begin")


def _upsert(table: sa.Table) -> Insert:
    """The statement that writes rows whether they exist or not; made once, for it costs more than running it."""
    statement = insert(table)
    changed = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)


_PUT_INFRASTRUCTURES = _upsert(schema.infrastructures)
_PUT_NODES = _upsert(schema.nodes)
_APPEND = sa.insert(schema.events).returning(schema.events.c.seq, sort_by_parameter_order=True)


def _append(connection: sa.Connection, events: Sequence[Event]) -> tuple[Event, ...]:
    rows = [records.event_row(event) for event in events]
    numbers = connection.execute(_APPEND, rows).scalars().all()
    return tuple(replace(event, seq=number) for event, number in zip(events, numbers, strict=True))
