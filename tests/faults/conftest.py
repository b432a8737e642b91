"""The engine's lab, for tests that kill what works in it."""

from engine_lab import database, impatient_retries  # noqa: F401 - fixtures
