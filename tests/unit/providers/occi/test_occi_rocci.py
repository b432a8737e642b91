"""What rOCCI-server answers, version by version, in its own layout: no blanks, relative places, nested attributes."""

from __future__ import annotations

import pytest
from loopback import Answer

from im.providers.occi.model import COMPUTE

GIB = 1 << 30


@pytest.fixture
def rocci(site):
    """Return the replayed site as a rOCCI-server 1.1 at the root of its host."""
    site.replay.add("GET /-/", site.recorded("rocci1-discovery"))
    site.replay.add("GET /compute/", Answer(200, [("Content-Type", "text/plain")], b"X-OCCI-Location: /compute/4007"))
    site.replay.add("GET /compute/4007", site.recorded("rocci1-show"))
    return site


def test_version_1_is_known_by_the_place_of_its_links(rocci):
    found = rocci.client(endpoint=rocci.server.origin).site
    assert (found.dialect.name, found.dialect.read) == ("rocci-1", "text/plain")
    assert (
        "org.openstack.compute.user_data"
        in found.categories["http://schemas.openstack.org/compute/instance#user_data"].attributes
    )


def test_images_and_sizes_of_version_1_are_in_its_nested_attributes(rocci):
    catalog = rocci.provider(endpoint=rocci.server.origin).catalog()
    (flavor,), (image,) = catalog.flavors, catalog.images
    assert (flavor.name, flavor.cpus, flavor.memory) == ("Small Instance", 1, int(1.7 * GIB))
    assert (image.name, image.distribution, image.version) == ("Debian_12", "debian", "12")


def test_a_server_of_version_1_has_its_addresses_and_disk(rocci):
    (server,) = rocci.provider(endpoint=rocci.server.origin).list()
    assert (server.id, server.name, server.status) == ("4007", "worker-1", "active")
    assert (server.private_address, server.public_address) == ("10.4.0.58", "193.146.175.10")
    assert (server.cpus, server.memory) == (2, int(1.953125 * GIB))
    assert [(volume.id, volume.device) for volume in server.volumes] == [("375", "/dev/xvda")]


def test_links_whose_attributes_have_only_blanks_between_them_are_read(rocci):
    shown = rocci.client(endpoint=rocci.server.origin).show("/compute/4007", COMPUTE)
    link = shown.links[0]
    assert link.attributes["occi.core.title"] == "private"
    assert link.attributes["occi.networkinterface.mac"] == "10:00:00:00:00:05"


def test_version_2_tells_everything_in_its_listing(site):
    site.answer("GET /-/", "ooi-discovery")
    site.answer("GET /compute/", "rocci2-list")
    (server,) = site.provider(dialect="rocci-2").list()
    assert (server.id, server.status, server.private_address) == ("42", "building", "10.4.0.9")
    assert server.memory == GIB
    assert site.server.lines() == ["GET /occi1.2/-/", "GET /occi1.2/compute/"]
