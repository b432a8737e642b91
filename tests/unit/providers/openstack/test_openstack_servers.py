"""What nova is asked for, and how its answers are read."""

import base64
import json
from dataclasses import replace

import pytest

from im.errors import InputError
from im.plan.model import AttachedVolume, NodeSpec
from im.providers.contract import make_identity
from im.providers.openstack.marks import Batch, to_metadata
from im.providers.openstack.servers import create_body, instance_of, networks_of
from im.providers.openstack.surroundings import Surroundings

AROUND = Surroundings(
    label="lab",
    networks={"private": "net-1", "data": "net-2", "campus": "net-3"},
    default="net-1",
    outside={"net-3": "campus-net"},
    floating="net-ext",
    inside="sg-inside",
    groups={"frontend": "sg-front"},
    placements={"worker": "sg-1"},
)


def spec(index=1, group="worker", **more):
    given = {"identity": make_identity("root", "ssh-ed25519 AAAA"), **more}
    return NodeSpec("0a1b2c3d", group, index, f"{group}-{index}", f"{index:016x}", 1, 1, "image-1", **given)


def server(*specs, **more):
    return create_body(specs, "flavor-1", AROUND)["server"]


def test_many_servers_are_one_request():
    body = server(spec(1), spec(2), spec(3))
    assert (body["min_count"], body["max_count"]) == (3, 3)
    assert body["name"] == "im-0a1b2c3d-lab-worker"
    assert body["metadata"]["im.nodes.000"].split()[2] == "3:0000000000000003"


def test_a_server_starts_from_an_image_with_its_identity_in_user_data():
    body = server(spec())
    assert (body["imageRef"], body["flavorRef"]) == ("image-1", "flavor-1")
    assert base64.b64decode(body["user_data"]).startswith(b"#cloud-config\n")
    assert "availability_zone" not in body


def test_security_groups_are_the_inner_one_and_the_groups_own():
    assert server(spec())["security_groups"] == [{"name": "sg-inside"}]
    assert server(spec(group="frontend"))["security_groups"] == [{"name": "sg-inside"}, {"name": "sg-front"}]


def test_a_network_that_only_lends_addresses_is_not_plugged_in():
    assert networks_of(("private", "public"), AROUND) == ["net-1"]
    assert networks_of(("public",), AROUND) == ["net-1"]
    assert networks_of((), AROUND) == ["net-1"]
    assert networks_of(("data", "private"), AROUND) == ["net-2", "net-1"]


def test_a_key_pair_of_the_users_goes_along():
    assert server(spec(key_pair="mine"))["key_name"] == "mine"
    assert "key_name" not in server(spec())


def test_a_zone_and_a_placement_are_passed_on():
    body = create_body([spec(availability_zone="z1")], "f", AROUND)
    assert body["server"]["availability_zone"] == "z1"
    assert body["os:scheduler_hints"] == {"group": "sg-1"}
    assert "os:scheduler_hints" not in create_body([spec(group="frontend")], "f", AROUND)


def test_a_boot_volume_is_made_of_the_image_and_goes_with_the_server():
    body = server(spec(boot_volume=20 << 30))
    (volume,) = body["block_device_mapping_v2"]
    assert "imageRef" not in body
    assert (volume["uuid"], volume["volume_size"], volume["delete_on_termination"]) == ("image-1", 20, True)


def test_user_data_of_the_user_goes_along():
    text = base64.b64decode(server(spec(user_data="#!/bin/sh\necho hello\n"))["user_data"]).decode()
    assert "multipart" in text
    assert "echo hello" in text


def test_user_data_that_is_too_long_is_refused_before_the_cloud_is_asked():
    with pytest.raises(InputError, match="too long"):
        server(spec(user_data="#!/bin/sh\n" + "x" * 60000))


def test_a_request_does_not_show_the_host_key_in_plain():
    one = spec()
    assert one.identity.host_key.splitlines()[1] not in json.dumps(server(one))


def shown(name="im-0a1b2c3d-lab-worker-2", status="ACTIVE", **more):
    metadata = to_metadata(Batch.of([spec(1), spec(2)]))
    addresses = {"lab": [{"addr": "10.64.0.5", "version": 4, "OS-EXT-IPS:type": "fixed"}]}
    return {"id": "s-2", "name": name, "status": status, "metadata": metadata, "addresses": addresses, **more}


def test_a_server_is_known_by_its_metadata_and_its_place_in_the_call():
    found = instance_of(shown())
    assert (found.infrastructure, found.group, found.index, found.name) == ("0a1b2c3d", "worker", 2, "worker-2")
    assert (found.id, found.token, found.status, found.private_address) == ("s-2", f"{2:016x}", "active", "10.64.0.5")


def test_servers_of_others_are_not_ours():
    assert instance_of(shown() | {"metadata": {}}) is None


@pytest.mark.parametrize(
    ("status", "task", "ours"),
    [
        ("BUILD", "spawning", "building"),
        ("ACTIVE", None, "active"),
        ("REBOOT", "rebooting", "active"),
        ("SHUTOFF", None, "stopped"),
        ("SHELVED_OFFLOADED", None, "stopped"),
        ("ERROR", None, "error"),
        ("ACTIVE", "deleting", "deleting"),
        ("ERROR", "deleting", "deleting"),
    ],
)
def test_what_a_server_does_is_said_in_our_words(status, task, ours):
    assert instance_of(shown(status=status, **{"OS-EXT-STS:task_state": task})).status == ours


def test_a_server_in_error_says_why():
    assert (
        instance_of(shown(status="ERROR", fault={"message": "No valid host was found."})).message
        == "No valid host was found."
    )


def test_a_floating_address_is_public():
    fixed = {"addr": "10.64.0.5", "version": 4, "OS-EXT-IPS:type": "fixed"}
    floating = {"addr": "192.0.2.7", "version": 4, "OS-EXT-IPS:type": "floating"}
    found = instance_of(shown(addresses={"lab": [floating, fixed]}))
    assert (found.private_address, found.public_address) == ("10.64.0.5", "192.0.2.7")


def test_an_address_on_an_external_network_is_public_and_the_only_one_is_private_too():
    body = create_body([replace(spec(1), networks=("campus",))], "f", AROUND)["server"]
    addresses = {"campus-net": [{"addr": "198.51.100.9", "version": 4, "OS-EXT-IPS:type": "fixed"}]}
    found = instance_of(shown(metadata=body["metadata"], addresses=addresses))
    assert (found.private_address, found.public_address) == ("198.51.100.9", "198.51.100.9")


def test_ipv4_comes_before_ipv6():
    entries = [{"addr": "2001:db8::5", "version": 6}, {"addr": "10.64.0.5", "version": 4}]
    assert instance_of(shown(addresses={"lab": entries})).private_address == "10.64.0.5"


def test_volumes_are_found_by_what_the_kernel_calls_them():
    volume = "12345678-1234-1234-1234-123456789012"
    metadata = {**shown()["metadata"], f"im.volume.{volume}": "data"}
    found = instance_of(shown(metadata=metadata, **{"os-extended-volumes:volumes_attached": [{"id": volume}]}))
    assert found.volumes == (AttachedVolume("data", volume, "/dev/disk/by-id/virtio-12345678-1234-1234-1"),)
