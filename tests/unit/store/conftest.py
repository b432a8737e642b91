"""An empty database at the newest revision: its making takes longer than most tests."""

from engine_lab import database  # noqa: F401 - a fixture
