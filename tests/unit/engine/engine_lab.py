"""A cloud, a clock that does not wait, a store and an engine that works in the test's own thread."""

import shutil
from concurrent.futures import Executor, Future

import pytest
import stamina

from im.clock import VirtualClock
from im.config import Settings
from im.engine.operations import Engine
from im.providers.fake import Behaviour, FakeContextualizer, FakeProvider
from im.store.repository import Store
from im.topology.model import NodeGroup, Topology

COMPILED = {}
"""SQL that need not be compiled again in each of hundreds of tests and processes."""


def open_store(path, kind=Store, **more):
    store = kind(path, **more)
    store._engine = store._engine.execution_options(compiled_cache=COMPILED)
    store._writer = store._writer.execution_options(compiled_cache=COMPILED)
    return store


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """An empty database at the newest revision, to be copied."""
    path = tmp_path_factory.mktemp("store") / "im.db"
    Store(path).close()
    return path


@pytest.fixture(autouse=True)
def impatient_retries():
    """Retries without pauses."""
    stamina.set_testing(True, attempts=10)
    yield
    stamina.set_testing(False)


class Inline(Executor):
    """Does at once what it is asked to do later, so that a test is the same every time."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - a pool keeps whatever it is
            future.set_exception(error)
        return future


class Lab:
    """Everything around an engine; ``engine()`` gives a new one each time, as a new process would have."""

    time = VirtualClock

    def __init__(self, home, database):
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(database, home / "im.db")
        self.settings = Settings(home=home)
        self.clock = self.time()
        self.provider = FakeProvider(self.settings, clock=self.clock)
        self.contextualizer = FakeContextualizer(self.provider)
        self.store = open_store(home / "im.db")
        self.events = []
        self.behave()

    def behave(self, **changes):
        """Change how the cloud behaves; each call begins the script anew."""
        usual = {"latency": 0.2, "build_time": 10.0, "boot_time": 5.0, "delete_time": 2.0}
        self.provider.behaviour = Behaviour(**(usual | changes))
        self.provider.calls.clear()

    def engine(self):
        return Engine(
            self.store,
            self.provider,
            self.contextualizer,
            self.settings,
            self.events.append,
            clock=self.clock,
            pool=Inline,
        )

    def deploy(self, topology=None, name="demo"):
        return self.engine().deploy(name, "fake", topology or cluster())

    @property
    def record(self):
        return self.store.infrastructure("demo")

    def node(self, name):
        return next(node for node in self.record.nodes if node.name == name)

    @property
    def servers(self):
        """Names of the servers that exist, sorted."""
        return sorted(server.name for server in self.provider.servers())

    def codes(self, subject):
        return [event.code for event in self.events if event.subject == subject]


def cluster(workers=2, **worker):
    return Topology(
        groups=(
            NodeGroup("front_end", front_end=True, works=False),
            NodeGroup("worker", count=workers, **worker),
        )
    )
