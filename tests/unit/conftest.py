"""Properties are tried with few examples here: this tier is run all the time, and finds the rest over the days."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unit", max_examples=25, deadline=None)
settings.load_profile("unit")
