"""How many calls to the cloud a deployment costs, in which order, and which go at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from engine_lab import Lab, cluster

from im.clock import VirtualClock
from im.engine.operations import Engine
from im.errors import NoCapacity, NotPermitted
from im.plan.model import InfrastructureState
from im.providers.base import Capability

PATIENCE = 10.0
"""Seconds after which calls that do not meet are taken for calls that come one after the other."""


class SharedTime(VirtualClock):
    """A virtual time that passes only while the threads that may have something to say get real time to say it."""

    def wait(self, wake, seconds):
        wake.wait(0.02)
        super().wait(wake, seconds)


class ThreadedLab(Lab):
    """A lab whose engine works in many threads."""

    time = SharedTime

    def engine(self):
        made = (self.store, self.provider, self.contextualizer, self.settings, self.events.append)
        return Engine(*made, clock=self.clock, pool=lambda: ThreadPoolExecutor(8))


@pytest.fixture
def threaded(tmp_path, database):
    lab = ThreadedLab(tmp_path, database)
    yield lab
    lab.store.close()


def with_floating_addresses(lab):
    """A cloud whose servers begin without a public address."""
    create = lab.provider.create
    lab.provider.create = lambda specs: create([replace(spec, public=False) for spec in specs])


def meeting_of(number, call):
    """A call that is only made when so many are under way at once."""
    meeting = threading.Barrier(number)

    def together(argument):
        meeting.wait(PATIENCE)
        return call(argument)

    return together


@pytest.fixture
def order(lab):
    """The names of all calls, in their order."""
    names = []
    for name in ("catalog", "prepare", "create", "publish", "list"):
        call = getattr(lab.provider, name)
        setattr(lab.provider, name, lambda *args, name=name, call=call: names.append(name) or call(*args))
    return names


def provision(lab, topology=None):
    return lab.engine().deploy("demo", "fake", topology or cluster(), until=InfrastructureState.PROVISIONED)


def test_a_new_infrastructure_is_looked_at_only_when_its_servers_are_requested(lab, order):
    lab.provider.capabilities -= {Capability.DIRECT}
    provision(lab, cluster(workers=16))
    before, _, after = " ".join(order).partition("create create ")
    assert before == "catalog prepare "
    assert set(after.split()) == {"list", "publish"}
    assert after.split().count("publish") == 1


def test_what_a_listing_costs_decides_how_often_it_is_asked_for(lab):
    lab.behave(latency=1.0, build_time=100.0)
    provision(lab)
    assert lab.provider.calls["list"] <= 100 / (1 + 4) + 2


def test_only_nodes_that_need_a_public_address_get_one(lab):
    with_floating_addresses(lab)
    record = provision(lab, cluster(workers=3, public=True))
    assert lab.provider.calls["publish"] == 3
    assert [node.name for node in record.nodes if not node.public_address] == ["front-end"]


def test_public_addresses_are_asked_for_at_once(threaded):
    with_floating_addresses(threaded)
    threaded.provider.publish = meeting_of(5, threaded.provider.publish)
    record = provision(threaded, cluster(workers=5, public=True))
    assert sum(bool(node.public_address) for node in record.nodes) == 5


def test_an_address_that_cannot_be_had_does_not_cost_the_others(lab):
    with_floating_addresses(lab)
    publish = lab.provider.publish

    def scarce(server):
        if lab.provider.calls["publish"] == 2:
            raise NoCapacity("no more floating IPs")
        return publish(server)

    lab.provider.publish = scarce
    with pytest.raises(NoCapacity, match="no more floating IPs"):
        provision(lab, cluster(workers=4, public=True))
    assert sum(bool(node.public_address) for node in lab.record.nodes) == 2
    lab.provider.publish = publish
    record = provision(lab, cluster(workers=4, public=True))
    assert sum(bool(node.public_address) for node in record.nodes) == 4


def test_who_goes_on_makes_sure_of_what_addresses_need_before_asking_for_them(lab):
    with_floating_addresses(lab)
    publish = lab.provider.publish

    def killed(_server):
        raise NoCapacity("no more floating IPs")

    lab.provider.publish = killed
    with pytest.raises(NoCapacity):
        provision(lab, cluster(public=True))
    lab.provider.publish = publish
    lab.provider.calls.clear()
    provision(lab, cluster(public=True))
    assert (lab.provider.calls["create"], lab.provider.calls["prepare"]) == (0, 1)


def test_groups_are_created_at_once_where_the_cloud_makes_many_at_once(threaded):
    threaded.provider.create = meeting_of(2, threaded.provider.create)
    assert threaded.deploy().state is InfrastructureState.READY


def test_groups_are_created_one_after_the_other_elsewhere(lab):
    lab.provider.capabilities -= {Capability.MULTI_CREATE}
    submitted = []
    create = lab.provider.create
    lab.provider.create = lambda specs: submitted.append(threading.current_thread()) or create(specs)
    lab.deploy()
    assert submitted == [threading.main_thread()] * 2


def test_a_group_that_may_not_be_created_does_not_cost_the_others(lab):
    create = lab.provider.create

    def picky(specs):
        if specs[0].group == "front_end":
            raise NotPermitted("role member is missing")
        return create(specs)

    lab.provider.create = picky
    with pytest.raises(NotPermitted):
        lab.deploy()
    assert lab.node("worker-1").id
    lab.provider.create = create
    ids = {server.id for server in lab.provider.servers()}
    assert lab.deploy().state is InfrastructureState.READY
    assert ids < {server.id for server in lab.provider.servers()}
