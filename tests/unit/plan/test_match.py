"""Which image and which size a group gets, and what is said if there is none."""

from dataclasses import replace

import pytest

from im.errors import InputError, NoCapacity
from im.plan.match import match, size
from im.plan.model import Catalog, Flavor, Image
from im.topology.model import Hardware, Mark, NodeGroup, OperatingSystem

GIB = 1 << 30

CATALOG = Catalog(
    images=(
        Image("i1", "Debian 11", "debian", "11", "x86_64"),
        Image("i2", "Debian 12", "debian", "12.5", "x86_64", min_disk=10 * GIB),
        Image("i3", "Ubuntu 22.04", "ubuntu", "22.04", "x86_64"),
        Image("i4", "Ubuntu for ARM", "ubuntu", "22.04", "aarch64"),
        Image("i5", "Something"),
    ),
    flavors=(
        Flavor("f4", "c4.large", 4, 8 * GIB, 40 * GIB),
        Flavor("f1", "c1.tiny", 1, 1 * GIB, 5 * GIB),
        Flavor("f2", "c2.small", 2, 4 * GIB, 20 * GIB),
        Flavor("f2d", "c2.diskless", 2, 2 * GIB, 0),
        Flavor("fg", "g2.gpu", 2, 4 * GIB, 20 * GIB, gpus=1),
    ),
)


def group(os=None, **hardware):
    return NodeGroup("worker", hardware=Hardware(**hardware), os=os or OperatingSystem(), mark=Mark("t.yaml", 12, 5))


def image(catalog=CATALOG, **wanted):
    return match(group(OperatingSystem(**wanted)), catalog).image.id


def flavor(os=None, **hardware):
    return match(group(os, **hardware), CATALOG).flavor.name


# sizes


def test_the_smallest_flavor_that_fits_is_taken():
    assert flavor(cpus=1) == "c1.tiny"
    assert flavor(cpus=2, memory=3 * GIB) == "c2.small"
    assert flavor(cpus=3) == "c4.large"


def test_a_flavor_without_a_disk_grows_with_the_image():
    assert flavor(cpus=2, disk=20 * GIB) == "c2.diskless"


def test_an_image_that_needs_more_disk_rules_small_flavors_out():
    assert flavor(OperatingSystem(image="Debian 12"), cpus=1) == "c2.diskless"


def test_gpus_are_not_wasted_on_those_who_do_not_ask():
    assert flavor(cpus=2, memory=4 * GIB) == "c2.small"
    assert flavor(gpus=1) == "g2.gpu"


def test_a_flavor_can_be_named():
    assert flavor(flavor="c4.large") == "c4.large"
    assert flavor(flavor="f4") == "c4.large"


def test_a_named_flavor_must_exist():
    with pytest.raises(InputError, match=r"no flavor 'c4\.big'") as caught:
        flavor(flavor="c4.big")
    assert "c4.large" in caught.value.hint


def test_a_named_flavor_must_carry_the_image():
    with pytest.raises(InputError, match=r"c1\.tiny is too small for image Debian 12") as caught:
        flavor(OperatingSystem(image="Debian 12"), flavor="c1.tiny")
    assert "the image needs 10 GiB of disk" in caught.value.hint


def test_a_group_that_boots_from_volumes_needs_no_disk_of_its_flavor():
    boots = replace(group(OperatingSystem(image="Debian 12"), flavor="c1.tiny"), boot_volume=10 * GIB)
    assert match(boots, CATALOG).flavor.name == "c1.tiny"
    with pytest.raises(InputError, match="boot volume of 9 GiB is too small for Debian 12"):
        match(replace(boots, boot_volume=9 * GIB), CATALOG)


def test_a_named_flavor_must_be_large_enough():
    with pytest.raises(InputError, match=r"c1\.tiny is too small: asked for 4 CPUs, 1 are possible"):
        flavor(flavor="c1.tiny", cpus=4)


def test_what_does_not_fit_anywhere_is_told_with_what_was_asked_where_and_the_nearest():
    with pytest.raises(NoCapacity) as caught:
        flavor(cpus=4, memory=64 * GIB)
    assert caught.value.message == "no flavor has 4 CPUs, 64 GiB of memory"
    assert caught.value.where == "t.yaml:12:5: worker"
    assert caught.value.hint == "the nearest is c4.large with 4 CPUs, 8 GiB of memory, 40 GiB of disk"


# clouds of any size


def any_size(**hardware):
    largest = Flavor("", "largest", 8, 16 * GIB)
    return match(group(**hardware), Catalog(CATALOG.images, any_size=True, largest=largest)).flavor


def test_a_cloud_of_any_size_gives_what_is_asked():
    assert any_size(cpus=3, memory=5 * GIB) == Flavor("", "", 3, 5 * GIB)


def test_a_cloud_of_any_size_has_an_end_and_both_numbers_are_told():
    with pytest.raises(NoCapacity, match="asked for 9 CPUs, 8 are possible"):
        any_size(cpus=9)
    with pytest.raises(NoCapacity, match="asked for 17 GiB of memory, 16 GiB are possible"):
        any_size(memory=17 * GIB)


def test_a_cloud_of_any_size_has_no_flavors_to_name():
    with pytest.raises(InputError, match="no flavors"):
        any_size(flavor="c4.large")


# images


def test_an_image_is_found_by_id_and_by_name():
    assert image(image="i3") == "i3"
    assert image(image="ubuntu 22.04") == "i3"


def test_an_image_is_found_by_its_properties():
    assert image(distribution="Ubuntu", architecture="x86_64") == "i3"
    assert image(distribution="ubuntu", architecture="arm64") == "i4"


def test_the_newest_version_is_taken_unless_one_is_asked_for():
    assert image(distribution="debian") == "i2"
    assert image(distribution="debian", version="11") == "i1"
    assert image(distribution="debian", version="12") == "i2"


def test_who_asks_for_nothing_gets_what_the_cloud_names_first():
    assert image() == "i1"


def test_an_image_that_is_there_is_better_than_one_that_must_be_made():
    absent = Image("new", "Debian 13", "debian", "13", present=False)
    assert image(Catalog((absent, *CATALOG.images), CATALOG.flavors), distribution="debian") == "i2"


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"image": "Debain 12"}, "no image 'Debain 12'"),
        ({"distribution": "debian", "version": "120"}, "no image with distribution debian, version 120"),
        ({"type": "windows"}, "no image with type windows"),
    ],
)
def test_an_image_that_is_not_there_is_told_with_those_that_are(wanted, text):
    with pytest.raises(InputError, match=text) as caught:
        image(**wanted)
    assert "Debian 12" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (512, "512 B"), (512 << 20, "512 MiB"), (GIB, "1 GiB"), (3 * GIB // 2, "1.5 GiB")]
)
def test_sizes_are_written_for_people(number, text):
    assert size(number) == text
