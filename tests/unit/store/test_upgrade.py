"""How an older database becomes one of this release."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from im.errors import StoreError
from im.store import schema, upgrade
from im.store.repository import Store


@pytest.fixture
def path(tmp_path, database):
    return shutil.copy(database, tmp_path / "im.db")


def engine(path):
    return sa.create_engine(f"sqlite:///{path}")


def test_a_new_database_is_at_the_newest_revision(path):
    assert upgrade.revision(engine(path)) == schema.HEAD


def test_the_constant_is_the_last_of_the_migrations():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(upgrade.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def test_the_migrations_make_exactly_the_tables_of_the_schema(path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine(path).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []


def test_a_database_of_a_newer_release_is_not_touched(path):
    with engine(path).begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    with pytest.raises(StoreError, match="written by another release of im"):
        Store(path)


def test_opening_a_current_database_costs_no_alembic(path):
    script = f"import sys; from pathlib import Path; from im.store.repository import Store; Store(Path({str(path)!r}));"
    script += "sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
