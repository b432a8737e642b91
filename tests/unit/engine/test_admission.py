"""What is refused before anything is touched."""

from dataclasses import replace

import pytest
from engine_lab import cluster
from msgspec import structs

from im.errors import InputError, NoCapacity
from im.plan.model import CloudNetwork, InfrastructureState, Room
from im.providers.base import Capability
from im.providers.fake import Fault
from im.providers.fake.provider import CATALOG


def offer(lab, **changes):
    lab.provider._catalog = replace(CATALOG, **changes)


def test_a_plan_that_the_quota_cannot_carry_is_refused_before_the_first_call_that_changes_anything(lab):
    offer(lab, quota={"servers": Room(10, 8), "cpus": Room(100, 0)})
    for command in (lab.deploy, lambda: lab.engine().plan("demo", "fake", cluster())):
        with pytest.raises(NoCapacity, match="servers: 3 wanted, 2 free of 10"):
            command()
    assert lab.store.infrastructures() == ()
    assert dict(lab.provider.calls) == {"catalog": 2}


def test_only_what_is_new_counts(lab):
    lab.deploy(cluster(workers=2))
    offer(lab, quota={"servers": Room(4, 3)})
    assert lab.deploy(cluster(workers=3)).state is InfrastructureState.READY


def test_a_deploy_that_is_refused_leaves_what_is_there_as_it_was(lab):
    before = lab.deploy(cluster(workers=2))
    offer(lab, quota={"servers": Room(4, 3)})
    with pytest.raises(NoCapacity, match="servers: 2 wanted, 1 free of 4"):
        lab.deploy(cluster(workers=4))
    with pytest.raises(NoCapacity, match="servers: 7 wanted, 1 free of 4"):
        lab.engine().scale("demo", {"worker": 9})
    assert lab.record == before
    assert len(lab.servers) == 3


def test_a_server_whose_creation_was_interrupted_is_not_counted_twice(lab):
    lab.behave(faults=(Fault("create", first=2, error=KeyboardInterrupt(), happens=True),))
    with pytest.raises(KeyboardInterrupt):
        lab.deploy()
    offer(lab, quota={"servers": Room(3, 3)})
    lab.behave()
    assert lab.deploy().state is InfrastructureState.READY
    assert len(lab.servers) == 3


def test_the_front_end_needs_a_public_address_only_where_nothing_else_leads_to_it(lab):
    offer(lab, quota={"public-addresses": Room(0)})
    lab.deploy()
    lab.engine().delete("demo")
    lab.provider.capabilities -= {Capability.DIRECT}
    with pytest.raises(NoCapacity, match="public addresses: 1 wanted, 0 free of 0"):
        lab.deploy()


def test_with_a_jump_host_the_front_end_needs_no_public_address(lab):
    offer(lab, quota={"public-addresses": Room(0)})
    lab.provider.capabilities -= {Capability.DIRECT}
    lab.settings = structs.replace(lab.settings, jump_hosts={"fake": "me@gateway"})
    record = lab.deploy()
    assert record.state is InfrastructureState.READY
    assert lab.provider.calls["publish"] == 0
    assert lab.engine().cluster(record).jump_host == "me@gateway"


def test_a_zone_that_is_not_there_is_refused(lab):
    offer(lab, zones=("nova",))
    with pytest.raises(InputError, match="no availability zone 'mars'"):
        lab.deploy(cluster(availability_zone="mars"))
    assert lab.store.infrastructures() == ()


def test_what_is_there_already_is_not_asked_again_what_it_names(lab):
    lab.deploy(cluster(availability_zone="mars"))
    offer(lab, zones=("nova",), networks=(CloudNetwork("1", "inside"),))
    assert lab.deploy(cluster(availability_zone="mars")).state is InfrastructureState.READY
