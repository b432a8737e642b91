"""Flavors, images, limits and networks as the services show them."""

import pytest

from im.errors import NoCapacity
from im.plan.model import CloudNetwork, Flavor, Room
from im.providers.openstack.readings import (
    GIB,
    MIB,
    flavors_of,
    gpus_of,
    images_of,
    network_rooms_of,
    networks_of,
    rooms_of,
    smallest,
    zones_of,
)


def flavor(**more):
    return {"id": "1", "name": "m1", "vcpus": 2, "ram": 2048, "disk": 8, "extra_specs": {}, **more}


def test_a_flavor_is_read_in_bytes():
    assert flavors_of([flavor()]) == (Flavor("1", "m1", 2, 2048 * MIB, 8 * GIB),)


def test_a_disabled_flavor_is_not_offered():
    assert flavors_of([flavor(**{"OS-FLV-DISABLED:disabled": True})]) == ()


def test_a_flavor_of_an_old_nova_has_no_extra_specs():
    old = flavor()
    del old["extra_specs"]
    assert flavors_of([old])[0].gpus == 0


@pytest.mark.parametrize(
    ("specs", "gpus"),
    [
        ({}, 0),
        ({"pci_passthrough:alias": "a100:2"}, 2),
        ({"pci_passthrough:alias": "gpu-v100:1, nvidia-t4:3"}, 4),
        ({"pci_passthrough:alias": "fast-nic:2"}, 0),
        ({"resources:VGPU": "1"}, 1),
        ({"resources:CUSTOM_GPU_H100": "4"}, 4),
        ({"Accelerator:Type": "GPU", "Accelerator:Number": "2", "Accelerator:Model": "A30"}, 2),
        ({"Accelerator:Type": "FPGA", "Accelerator:Number": "2"}, 0),
        ({"gpu": "1"}, 1),
        ({"hw:cpu_policy": "dedicated"}, 0),
    ],
)
def test_gpus_are_found_in_extra_specs(specs, gpus):
    assert gpus_of(specs) == gpus


def test_the_smallest_flavor_that_fits_is_taken():
    small, large, gpu = Flavor("s", "s", 1, GIB), Flavor("l", "l", 4, 8 * GIB), Flavor("g", "g", 1, 2 * GIB, gpus=1)
    assert smallest([large, gpu, small], 1, GIB, 0) is small
    assert smallest([large, gpu, small], 1, 2 * GIB, 0) is large
    with pytest.raises(NoCapacity, match="8 CPUs"):
        smallest([large], 8, GIB, 0)


def image(**more):
    return {"id": "1", "name": "debian-12", "status": "active", "min_disk": 2, "min_ram": 256, **more}


def test_an_image_tells_its_distribution():
    (found,) = images_of([image(os_distro="debian", os_version="12", architecture="x86_64")])
    assert (found.distribution, found.version, found.architecture) == ("debian", "12", "x86_64")
    assert (found.min_disk, found.min_memory) == (2 * GIB, 256 * MIB)


def test_a_disk_must_hold_what_an_image_unpacks_to():
    assert images_of([image(virtual_size=10 * GIB)])[0].min_disk == 10 * GIB


@pytest.mark.parametrize("more", [{"status": "queued"}, {"disk_format": "iso"}, {"disk_format": "aki"}])
def test_what_no_server_starts_from_is_not_offered(more):
    assert images_of([image(**more)]) == ()


def test_limits_become_rooms_and_no_limit_is_left_out():
    absolute = {
        "maxTotalInstances": 10,
        "totalInstancesUsed": 3,
        "maxTotalCores": -1,
        "maxTotalRAMSize": 1024,
        "totalRAMUsed": 512,
    }
    assert rooms_of(absolute) == {"servers": Room(10, 3), "memory": Room(1024 * MIB, 512 * MIB)}
    assert rooms_of({"maxTotalVolumeGigabytes": 5, "totalGigabytesUsed": 1}) == {"volume-bytes": Room(5 * GIB, GIB)}


def test_neutrons_quota_counts_what_is_reserved():
    quota = {"network": {"limit": 5, "used": 2, "reserved": 1}, "floatingip": {"limit": -1, "used": 0, "reserved": 0}}
    assert network_rooms_of(quota) == {"networks": Room(5, 3)}


def test_networks_have_the_ranges_that_we_may_see():
    networks = [{"id": "1", "name": "public", "router:external": True}, {"id": "2", "name": "mine"}]
    subnets = [{"network_id": "2", "cidr": "10.0.0.0/24"}]
    assert networks_of(networks, subnets) == (
        CloudNetwork("1", "public", external=True),
        CloudNetwork("2", "mine", cidrs=("10.0.0.0/24",)),
    )


def test_a_zone_that_takes_no_servers_is_not_offered():
    zones = [{"zoneName": name, "zoneState": {"available": name == "a"}} for name in ("a", "b")]
    assert zones_of(zones) == ("a",)
