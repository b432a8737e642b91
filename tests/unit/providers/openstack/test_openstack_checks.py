"""Whether a cloud can be used is told line by line, each failure with what to ask for."""

from dataclasses import replace

from im.plan.model import Catalog, CloudNetwork, Flavor, Image, Room
from im.providers.openstack.checks import offered

GOOD = Catalog(
    images=(Image("1", "Debian 12", "debian", "12"), Image("2", "unknown")),
    flavors=(Flavor("1", "m1", 4, 8 << 30, gpus=1),),
    quota={"servers": Room(10, 2), "cpus": Room(20, 2), "memory": Room(64 << 30, 8 << 30)},
    free_addresses=1,
    networks=(CloudNetwork("1", "public", external=True), CloudNetwork("2", "mine")),
)


def lines(**changes):
    return {one.name: one for one in offered(replace(GOOD, **changes))}


def test_a_good_cloud_is_all_ok_and_says_what_is_there():
    found = lines()
    assert {one.status for one in found.values()} == {"ok"}
    assert "8 of 10 servers" in found["quota"].message
    assert "56 of 64 GiB of memory" in found["quota"].message
    assert "1 with GPUs" in found["flavor"].message
    assert "1 unused" in found["external network"].message


def test_no_server_left_is_a_failure():
    check = lines(quota={"servers": Room(10, 10)})["quota"]
    assert (check.status, check.hint) == ("failed", "ask the site for more servers, or delete some")


def test_no_router_left_is_a_warning_for_an_existing_network_will_do():
    assert lines(quota={"routers": Room(5, 5)})["quota"].status == "warning"


def test_a_site_may_keep_its_limits_to_itself():
    assert lines(quota={})["quota"].status == "ok"


def test_without_images_or_flavors_nothing_can_be_made():
    assert lines(images=())["image"].status == lines(flavors=())["flavor"].status == "failed"


def test_images_that_do_not_say_what_they_are_must_be_named():
    assert lines(images=(Image("1", "x"),))["image"].status == "warning"


def test_external_networks():
    assert lines(networks=())["external network"].status == "warning"
    several = lines(networks=(CloudNetwork("1", "a", external=True), CloudNetwork("2", "b", external=True)))
    assert "a, b" in several["external network"].message
    assert "network_name" in several["external network"].hint
