"""The fake cloud keeps the contract of every cloud, and misbehaves as told."""

import os
import signal

import pytest

from im.clock import VirtualClock
from im.config import Settings
from im.errors import NoCapacity, NotReachable, ProviderUnavailable
from im.plan.model import NodeSpec
from im.providers.base import Environment
from im.providers.contract import ProviderContract, ignore
from im.providers.fake import Behaviour, FakeContextualizer, FakeProvider, Fault


class TestInMemory(ProviderContract):
    """The contract, for the cloud of one process."""

    @pytest.fixture
    def provider(self, tmp_path):
        return FakeProvider(Settings(home=tmp_path), behaviour=Behaviour(build_time=0.01, delete_time=0.01))


class TestInAFile(ProviderContract):
    """The contract, for the cloud that outlives its process."""

    @pytest.fixture
    def provider(self, tmp_path):
        return FakeProvider(Settings(home=tmp_path), "fake:account", behaviour=Behaviour(leftovers=1))


def spec(name="worker-1", token="t1", **more):
    return NodeSpec("0000000a", "worker", 1, name, token, 1, 1, "image-debian-12", **more)


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def cloud(tmp_path, clock):
    def make(**behaviour):
        return FakeProvider(Settings(home=tmp_path), behaviour=Behaviour(**behaviour), clock=clock)

    return make


def status(provider):
    return [server.status for server in provider.list()]


def test_calls_take_their_time(cloud, clock):
    cloud(latency=0.2).list()
    assert clock.monotonic() == 0.2


def test_servers_are_built_before_they_run_and_run_before_they_answer(cloud, clock):
    provider = cloud(build_time=10, boot_time=20)
    (server,) = provider.create([spec()])
    contextualizer = FakeContextualizer(provider)
    assert (server.status, server.private_address) == ("building", "")
    clock.sleep(10)
    (server,) = provider.list()
    assert server.status == "active"
    assert server.private_address
    with pytest.raises(NotReachable):
        contextualizer.reach(None, server)
    clock.sleep(20)
    contextualizer.reach(None, server)


def test_a_deleted_server_is_listed_until_it_is_gone(cloud, clock):
    provider = cloud(delete_time=5)
    (server,) = provider.create([spec()])
    provider.delete([server.id])
    assert status(provider) == ["deleting"]
    clock.sleep(5)
    assert status(provider) == []


def test_the_call_that_is_to_fail_fails(cloud):
    provider = cloud(faults=(Fault("list", first=2, times=2, error=ProviderUnavailable("HTTP 503")),))
    provider.list()
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            provider.list()
    provider.list()


@pytest.mark.parametrize("happens", [True, False])
def test_a_call_that_fails_may_have_happened(cloud, happens):
    provider = cloud(faults=(Fault("create", error=ProviderUnavailable("timed out"), happens=happens),))
    with pytest.raises(ProviderUnavailable):
        provider.create([spec()])
    assert len(provider.servers()) == happens


def test_a_server_ends_in_error_as_often_as_told(cloud):
    provider = cloud(errors={"worker-1": 1})
    provider.create([spec(), spec(token="t2")])
    assert status(provider) == ["error", "active"]
    assert provider.list()[0].message


def test_there_is_only_so_much_room(cloud):
    provider = cloud(capacity=2)
    provider.create([spec()])
    with pytest.raises(NoCapacity, match="2 servers do not fit, there is room for 1"):
        provider.create([spec(token="t2"), spec(token="t3")])
    assert len(provider.servers()) == 1


def test_listings_may_be_stale(cloud, clock):
    provider = cloud(staleness=10)
    provider.create([spec()])
    assert provider.list() == ()
    clock.sleep(10)
    assert status(provider) == ["active"]


def test_a_release_may_need_several_calls(cloud):
    provider = cloud(leftovers=2)
    provider.prepare(Environment("0000000a", "demo"), ignore)
    assert provider.release("0000000a") == ("network: 2 ports are still in use",)
    assert provider.release("0000000a") == ("network: 1 ports are still in use",)
    assert provider.release("0000000a") == ()
    assert provider.infrastructures() == {}


def test_a_fault_without_an_error_kills_the_caller_and_a_file_outlives_it(tmp_path):
    pid = os.fork()
    if pid == 0:
        faults = (Fault("create", happens=True),)
        FakeProvider(Settings(home=tmp_path), "fake:x", behaviour=Behaviour(faults=faults)).create([spec()])
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert [server.name for server in FakeProvider(Settings(home=tmp_path), "fake:x").servers()] == ["worker-1"]
