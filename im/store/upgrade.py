"""Brings a database to the tables of this release; alembic is only imported where there is something to do."""

from __future__ import annotations

import fcntl
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from im.errors import StoreError
from im.store.schema import HEAD


def upgrade(engine: Engine, path: Path) -> None:
    """Bring the database to :data:`im.store.schema.HEAD`; of several clients at once, one does it, the others wait."""
    if revision(engine) == HEAD:
        return
    with path.with_suffix(".upgrade").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if revision(engine) != HEAD:
            _migrate(engine, path)


def revision(engine: Engine) -> str:
    """Return the revision of a database, "" for a new one."""
    with engine.connect() as connection:
        try:
            return str(connection.execute(text("select version_num from alembic_version")).scalar() or "")
        except OperationalError as error:
            if "no such table" not in str(error.orig):
                raise
            return ""


def _migrate(engine: Engine, path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script.revision import ResolutionError
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.connect().execution_options(im_writes=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except (CommandError, ResolutionError) as error:
            raise StoreError(
                f"the database {path} was written by another release of im", hint="use that release or a newer one"
            ) from error
