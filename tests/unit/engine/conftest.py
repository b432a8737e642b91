"""The lab as a fixture, and retries without pauses."""

import pytest
import stamina
from engine_lab import Lab

from im.store.repository import Store


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """An empty database at the newest revision, to be copied."""
    path = tmp_path_factory.mktemp("store") / "im.db"
    Store(path).close()
    return path


@pytest.fixture
def lab(tmp_path, database):
    lab = Lab(tmp_path, database)
    yield lab
    lab.store.close()


@pytest.fixture(autouse=True)
def impatient_retries():
    """Retries without pauses."""
    stamina.set_testing(True, attempts=10)
    yield
    stamina.set_testing(False)
