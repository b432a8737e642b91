"""The lab as a fixture, and retries without pauses."""

import pytest
from engine_lab import Lab, database, impatient_retries  # noqa: F401 - fixtures


@pytest.fixture
def lab(tmp_path, database):  # noqa: F811 - pytest's way to say what a fixture needs
    lab = Lab(tmp_path, database)
    yield lab
    lab.store.close()
