"""What a template names and the cloud does not have."""

from dataclasses import replace

import pytest

from im.errors import InputError
from im.plan.model import Catalog, CloudNetwork
from im.plan.named import check_named
from im.topology.model import Network, NodeGroup, Topology, Volume

INSIDE, OUTSIDE = CloudNetwork("id-1", "inside"), CloudNetwork("id-2", "outside", external=True)
CATALOG = Catalog(zones=("nova", "gpu"), networks=(INSIDE, OUTSIDE))


def check(catalog=CATALOG, networks=(), *, volumes=True, public=False, **group):
    names = tuple(network.name for network in networks)
    group = NodeGroup("worker", networks=names, **group)
    check_named([group], Topology(groups=(group,), networks=networks), catalog, volumes=volumes, public=public)


@pytest.mark.parametrize("existing", ["inside", "id-1"])
def test_a_network_is_known_by_name_and_by_id(existing):
    check(networks=(Network("n", existing=existing),))


def test_a_network_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"worker: this cloud has no network 'insid' \(it has: inside"):
        check(networks=(Network("n", existing="insid"),))


def test_a_cloud_that_lists_no_networks_is_trusted():
    check(Catalog(), networks=(Network("n", existing="anything"),))


def test_a_zone_that_is_not_there_is_refused():
    check(availability_zone="gpu")
    with pytest.raises(InputError, match=r"no availability zone 'mars' \(it has: gpu, nova\)"):
        check(availability_zone="mars")


def test_a_volume_that_exists_needs_a_cloud_with_volumes():
    check(volumes=False)
    group = NodeGroup("worker", volumes=(Volume("data", existing="results"),))
    with pytest.raises(InputError, match="this cloud has no volumes, so no 'results'"):
        check_named([group], Topology(groups=(group,)), CATALOG, volumes=False, public=False)


def test_public_addresses_come_from_the_only_external_network():
    check(public=True)


def test_two_external_networks_are_one_too_many_unless_the_template_names_one():
    two = replace(CATALOG, networks=(INSIDE, OUTSIDE, CloudNetwork("id-3", "other", external=True)))
    check(two)
    check(two, networks=(Network("n", public=True, existing="other"),), public=True)
    with pytest.raises(InputError, match="could come from several networks: other, outside"):
        check(two, public=True)


def test_without_an_external_network_there_are_no_public_addresses():
    inside = replace(CATALOG, networks=(INSIDE,))
    check(inside)
    with pytest.raises(InputError, match="no external network"):
        check(inside, public=True)
