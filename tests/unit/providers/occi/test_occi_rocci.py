"""What rOCCI-server answers, version by version: header spelling, order, quoting, statuses, states and forms of links.

The exchanges are ours, in the shapes of those that are public: version 1 as rOCCI-api recorded it (Rails behind
Apache, no ``Server`` of its own, JSON only where the site allows it), version 2 as its sources and the data of its
integration tests have it.
"""

from __future__ import annotations

import json

import pytest
from loopback import Answer

from im.errors import NotPermitted
from im.plan.model import Identity, NodeSpec
from im.providers.occi.auth import keystone_of
from im.providers.occi.model import (
    COMPUTE,
    COMPUTE_ACTION,
    ID,
    IP_RESERVATION,
    NETWORK,
    NETWORK_INTERFACE,
    RESOURCE_TEMPLATE,
    SOURCE,
    STORAGE,
    TARGET,
    TITLE,
    Resource,
)

GIB = 1 << 30
STOP = f"{COMPUTE_ACTION}stop"
SMALL_1 = "http://example.org/occi/infrastructure/resource_tpl#small"
SMALL_2 = "http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#small"
IMAGE_2 = "http://schemas.example.org/occi/infrastructure/os_tpl#7"
SPEC = NodeSpec(
    infrastructure="1a2b",
    group="worker",
    index=9,
    name="worker-9",
    token="t9",
    cpus=1,
    memory=GIB,
    image=IMAGE_2,
    flavor=SMALL_2,
    identity=Identity("root", ("ssh-ed25519 AAAA me",), "PRIVATE-HOST-KEY", "ssh-ed25519 BBBB"),
)


class Rocci:
    """A rOCCI-server at the root of its host, that plays exchanges."""

    def __init__(self, site) -> None:
        self.site = site
        self.origin = site.server.origin

    def plays(self, line: str, *names: str) -> None:
        self.site.replay.answers.pop(line, None)
        self.site.replay.add(line, *(self.site.recorded(name) for name in names))

    def client(self, **changes):
        return self.site.client(endpoint=self.origin, **changes)

    def provider(self, **changes):
        return self.site.provider(endpoint=self.origin, **changes)

    @property
    def seen(self):
        return self.site.server.seen


@pytest.fixture
def one(site) -> Rocci:
    """Return a rOCCI-server 1.1 with two servers, one of them ours."""
    rocci = Rocci(site)
    rocci.plays("GET /-/", "rocci1-discovery")
    rocci.plays("GET /compute/", "rocci1-list")
    rocci.plays("GET /compute/4007", "rocci1-show")
    rocci.plays("GET /compute/4011", "rocci1-show-blanks")
    return rocci


@pytest.fixture
def two(site) -> Rocci:
    """Return a rOCCI-server 2.x with four servers, three of them ours."""
    rocci = Rocci(site)
    rocci.plays("GET /-/", "rocci2-discovery")
    rocci.plays("GET /compute/", "rocci2-list")
    return rocci


# version 1


def test_version_1_is_known_by_its_discovery_alone(one):
    found = one.client().site
    assert (found.dialect.name, found.dialect.read) == ("rocci-1", "text/plain")
    assert found.categories[COMPUTE].actions[1] == STOP
    data = found.categories["http://schemas.openstack.org/compute/instance#user_data"]
    assert list(data.attributes) == ["org.openstack.compute.user_data"]


def test_an_action_is_not_mixed_up_with_another_things_action_of_that_name(one):
    up = {name for name in one.client().site.categories if name.endswith("action#up")}
    assert len(up) == 2


def test_sizes_of_version_1_are_in_their_titles_where_it_speaks_text_only(one):
    catalog = one.provider().catalog()
    (flavor,), (image,) = catalog.flavors, catalog.images
    assert (flavor.id, flavor.cpus, flavor.memory) == (SMALL_1, 1, int(1.7 * GIB))
    assert (image.name, image.distribution, image.version) == ("Debian_12", "debian", "12")
    sizes = {one.name: one.memory for one in one.provider(sizes={"medium": [2, 3.75]}).catalog().flavors}
    assert sizes["Medium Instance"] == int(3.75 * GIB)


def test_sizes_of_version_1_are_in_its_nested_attributes_where_it_speaks_json(one):
    one.plays("GET /-/", "rocci1-discovery-json")
    (flavor,) = one.provider().catalog().flavors
    assert (flavor.name, flavor.cpus, flavor.memory) == ("Small Instance", 1, int(1.7 * GIB))


def test_version_1_lists_places_and_is_asked_for_them_in_the_form_that_all_of_its_releases_have(one):
    (server,) = one.provider().list()
    assert (server.id, server.name, server.status) == ("4007", "worker-1", "active")
    listing = next(request for request in one.seen if request.line == "GET /compute/")
    assert listing.headers["accept"] == "text/uri-list"


def test_a_server_of_version_1_has_its_addresses_and_the_disk_that_it_boots_from_is_no_volume(one):
    (server,) = one.provider().list()
    assert (server.private_address, server.public_address) == ("10.4.0.58", "193.146.175.10")
    assert (server.cpus, server.memory) == (2, int(1.953125 * GIB))
    assert server.volumes == ()


def test_the_storage_of_a_server_is_looked_at_once_and_no_other_storage(one):
    provider = one.provider()
    for _ in range(3):
        provider.list()
    looked = [request.line for request in one.seen if "/storage/" in request.path]
    assert looked == ["GET /storage/375"]


def test_a_link_whose_types_run_into_each_other_keeps_its_place(one):
    client = one.client()
    _, nic, other = client.show("/compute/4007", COMPUTE).links
    assert nic.target == "/network/24"
    assert client.location_of(nic) == f"{one.origin}/link/networkinterface/compute_4007_nic_0"
    assert other.attributes["org.opennebula.networkinterface.white_ports_udp"] == "67;68"


def test_links_whose_attributes_have_only_blanks_between_them_are_read(one):
    disk, nic = one.client().show("/compute/4011", COMPUTE).links
    assert disk.attributes[TITLE] == "tiny linux - kvm"
    assert nic.attributes["occi.networkinterface.mac"] == "02:00:c0:a8:79:01"


def test_a_listing_in_json_may_have_links_that_are_places_and_actions_that_are_objects(one):
    one.plays("GET /compute/", "rocci1-whole-json")
    (server,) = one.client().listing(COMPUTE)
    assert (server.title, server.attributes["occi.compute.state"]) == ("worker-1:im:1a2b:1:t1:worker", "waiting")
    assert server.actions == (STOP,)
    assert [link.location for link in server.links] == [
        "/link/storagelink/compute_4007_disk_0",
        "/link/networkinterface/compute_4007_nic_0",
    ]


@pytest.mark.parametrize(("answer", "id_"), [("rocci1-created", "4015"), ("rocci1-created-json", "4017")])
def test_a_create_of_version_1_is_a_place_in_the_body_or_in_a_header_beside_an_ok(one, answer, id_):
    one.plays("POST /compute/", answer)
    made = one.client().create(Resource(COMPUTE, mixins=(SMALL_1,), attributes={TITLE: "one"}))
    assert (made.id, made.location) == (id_, f"{one.origin}/compute/{id_}")
    assert one.seen[-1].headers["content-type"] == "text/plain"


def test_actions_updates_and_deletes_of_version_1_are_answered_by_200_and_nothing(one):
    for line in ("POST /compute/4007?action=stop", "POST /compute/4007", "DELETE /compute/4007"):
        one.plays(line, "rocci1-done")
    client = one.client()
    client.act("/compute/4007", STOP)
    client.update("/compute/4007", Resource("", mixins=(SMALL_1,)))
    client.delete("/compute/4007")
    assert one.seen[2].headers["category"] == (
        'small; scheme="http://example.org/occi/infrastructure/resource_tpl#"; class="mixin"'
    )


def test_networks_of_version_1_are_shown_one_by_one(one):
    place = f"{one.origin}/network/24".encode()
    one.site.replay.add("GET /network/", Answer(200, [("Content-Type", "text/uri-list; charset=utf-8")], place))
    one.plays("GET /network/24", "rocci1-network")
    (network,) = one.provider().catalog().networks
    assert (network.name, network.cidrs) == ("private", ("10.4.0.0/24",))


def test_what_version_1_says_of_a_login_that_it_refuses(one):
    one.plays("GET /-/", "rocci1-unauthorized")
    with pytest.raises(NotPermitted, match="strategies are supported"):
        one.client().discover()
    challenge = dict(one.site.recorded("rocci1-unauthorized").headers)["WWW-Authenticate"]
    assert keystone_of(challenge, one.origin) == f"{one.origin}/v3"


def test_the_disk_that_a_server_of_version_1_boots_from_is_not_taken_from_it(one):
    one.plays("DELETE /compute/4007", "rocci1-done")
    one.provider().delete(["4007"])
    assert [request.line for request in one.seen if request.method == "DELETE"] == ["DELETE /compute/4007"]


# version 2


def test_version_2_is_known_by_its_discovery_alone(two):
    found = two.client().site
    assert found.dialect.name == "rocci-2"
    assert [one.type for one in found.derived(RESOURCE_TEMPLATE)] == [SMALL_2]


def test_images_and_sizes_of_version_2_are_in_its_discovery(two):
    catalog = two.provider().catalog()
    (flavor,), (image,) = catalog.flavors, catalog.images
    assert (flavor.cpus, flavor.memory, flavor.disk) == (1, 2 * GIB, 20 * GIB)
    assert (image.id, image.distribution, image.version) == (IMAGE_2, "debian", "12")


def test_version_2_tells_everything_in_its_listing(two):
    active, waiting, failed = two.provider().list()
    assert (active.status, waiting.status, failed.status) == ("active", "building", "error")
    assert (active.private_address, active.public_address) == ("10.4.0.9", "193.146.175.11")
    assert active.memory == 2 * GIB
    assert [request.line for request in two.seen] == ["GET /-/", "GET /compute/", "GET /storage/5401"]


def test_the_device_of_a_volume_of_version_2_is_in_its_folder(two):
    storage = {"kind": STORAGE, "id": "5401", "attributes": {TITLE: "data:imv:1a2b:t1"}}
    headers = [("Content-Type", "application/occi+json; charset=utf-8")]
    two.site.replay.add("GET /storage/5401", Answer(200, headers, json.dumps(storage).encode()))
    active, *_ = two.provider().list()
    assert [(volume.name, volume.id, volume.device) for volume in active.volumes] == [("data", "5401", "/dev/vda")]


def test_an_empty_collection_of_version_2_is_an_answer_without_content(two):
    two.site.replay.answers["GET /compute/"].clear()
    two.site.replay.add("GET /compute/", Answer(204))
    assert two.provider().list() == ()


def test_a_request_to_version_2_has_the_ids_and_attributes_that_its_schema_demands(two):
    two.plays("POST /compute/", "rocci2-created")
    two.site.replay.add("GET /network/", Answer(200, [("Content-Type", "application/occi+json")], b"{}"))
    (made,) = two.provider().create([SPEC])
    assert made.id == "42"
    said = json.loads(two.seen[-1].body)
    assert said.keys() == {"kind", "id", "mixins", "attributes"}
    assert said["attributes"][TITLE] == "worker-9:im:1a2b:9:t9:worker"


def test_version_2_gets_user_data_by_the_mixin_that_it_reads(two):
    two.plays("POST /compute/", "rocci2-created")
    two.provider().create([SPEC])
    said = json.loads(two.seen[-1].body)
    assert "http://schemas.ogf.org/occi/infrastructure/compute#user_data" in said["mixins"]
    assert {"occi.compute.userdata", "occi.credentials.ssh.publickey"} <= said["attributes"].keys()


def test_a_link_in_a_request_to_version_2_has_an_id_and_both_of_its_ends(two):
    two.plays("POST /networkinterface/", "rocci2-linked")
    ends = {SOURCE: f"{two.origin}/compute/42", TARGET: f"{two.origin}/ipreservation/31"}
    made = two.client().create(Resource(NETWORK_INTERFACE, attributes=ends))
    assert made.id == "compute_42_nic_1"
    said = json.loads(two.seen[-1].body)
    assert said["id"]
    assert (said["source"], said["target"]) == ({"location": ends[SOURCE]}, {"location": ends[TARGET]})
    assert ends.items() <= said["attributes"].items()


def test_a_reserved_address_of_version_2_comes_from_its_pool(two):
    two.plays("POST /ipreservation/", "rocci2-reserved")
    two.plays("GET /ipreservation/31", "rocci2-reservation")
    two.plays("POST /networkinterface/", "rocci2-linked")
    two.plays("GET /networkinterface/compute_42_nic_1", "rocci2-link")
    building = json.loads(two.site.recorded("rocci2-list").body)["resources"][1]
    shown = json.dumps({**building, "id": "42"}).encode()
    two.site.replay.add("GET /compute/42", Answer(200, [("Content-Type", "application/occi+json")], shown))
    assert two.provider().publish("42") == "193.146.175.11"
    said = next(json.loads(request.body) for request in two.seen if request.line == "POST /ipreservation/")
    assert said["mixins"] == ["http://schemas.example.org/occi/infrastructure/network/floatingippool#3"]
    assert (said["kind"], said["attributes"].keys() - {ID}) == (IP_RESERVATION, set())


def test_a_resize_of_version_2_names_the_template_and_nothing_else(two):
    two.site.replay.add("POST /compute/42", Answer(204))
    two.client().update("/compute/42", Resource("", mixins=(SMALL_2,)))
    assert two.seen[-1].line == "POST /compute/42"
    assert two.seen[-1].body == b""
    assert two.seen[-1].headers["category"] == f'small; scheme="{SMALL_2[:-5]}"; class="mixin"'


# the ooi of old


def test_kinds_without_a_place_are_where_their_names_say_below_the_endpoint(site):
    site.answer("GET /-/", "ooi-old-discovery")
    for path in ("compute", "network", "storage", "networkinterface"):
        site.answer(f"GET /{path}/", Answer(204))
    client = site.client()
    assert client.site.dialect.name == "ooi"
    assert [client.listing(kind) for kind in (COMPUTE, NETWORK, STORAGE, NETWORK_INTERFACE)] == [()] * 4
    assert site.server.lines()[1:] == [
        f"GET /occi1.2/{path}/" for path in ("compute", "network", "storage", "networkinterface")
    ]


def test_an_image_whose_title_has_slashes_in_it_is_understood(site):
    site.answer("GET /-/", "ooi-old-discovery")
    site.answer("GET /network/", Answer(204))
    (image,) = site.provider().catalog().images
    assert (image.distribution, image.version) == ("ubuntu", "14.04")


def test_the_dialect_in_the_settings_wins(two):
    assert two.client(auth="none", dialect="standard").site.dialect.name == "standard"
