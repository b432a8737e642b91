"""A cloud that exists only in memory or in one file: for the engine's tests, for benchmarks, for trying things out."""

from im.providers.fake.cloud import Behaviour, Fault
from im.providers.fake.contextualizer import FakeContextualizer
from im.providers.fake.provider import FakeProvider

__all__ = ["Behaviour", "FakeContextualizer", "FakeProvider", "Fault"]
