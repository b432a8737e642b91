"""Volumes are made once, attached when they are ready, and named as the template names them."""

from dataclasses import replace

import pytest

from im.errors import InputError, ProviderError
from im.plan.model import AttachedVolume, Instance, NodeSpec
from im.providers.openstack.volumes import Names, Volumes
from im.topology.model import Volume

LAB = "0a1b2c3d"
SERVER = Instance("server-1", LAB, "worker", 1, "worker-1", "t1", "active")


class ToyCinder:
    """Volumes that are made at once, and are attached as soon as nova is asked for it."""

    def __init__(self, toy):
        self.volumes = {}
        self.old_nova = self.lose_answers = False
        self.metadata = {}
        self.toy = toy
        toy.answer = self.answer

    def add(self, status="available", **values):
        one = {"id": f"volume-{len(self.volumes) + 1}", "name": "", "metadata": {}, "attachments": [], **values}
        self.volumes[one["id"]] = one | {"status": status}
        return one["id"]

    def answer(self, method, path, query, body):
        if method == "GET":
            return 200, {"volumes": list(self.volumes.values())}
        if path == "/volumes":
            made = self.add(**body["volume"])
            return (500, {}) if self.lose_answers else (202, {"volume": {"id": made}})
        if path.endswith("/metadata"):
            self.metadata |= body["metadata"]
            return 200, body
        return self.attach(path, body["volumeAttachment"])

    def attach(self, path, wanted):
        if self.old_nova and "delete_on_termination" in wanted:
            return 406, {"computeFault": {"message": "Version 2.79 is not supported by the API."}}
        volume = self.volumes[wanted["volumeId"]]
        volume["status"] = "in-use"
        volume["attachments"] = [{"server_id": path.split("/")[2], **wanted}]
        return 200, {"volumeAttachment": wanted}


@pytest.fixture
def cinder(toy):
    return ToyCinder(toy)


@pytest.fixture
def volumes(api):
    return Volumes(api)


def spec(*wanted):
    return NodeSpec(LAB, "worker", 1, "worker-1", "t1", 1, 1, "image", volumes=wanted)


def attach(volumes, *wanted):
    """Ask until it is done; return how often that was."""
    for times in range(1, 10):
        if volumes.attach([spec(*wanted)], {"t1": SERVER}):
            return times
    raise AssertionError


def test_without_volumes_nothing_is_asked(cinder, volumes):
    assert attach(volumes) == 1
    assert cinder.toy.asked == []


def test_a_volume_is_made_with_our_mark_attached_and_goes_with_its_server(cinder, volumes):
    assert attach(volumes, Volume("data", 10 << 30), Volume("scratch", 1)) == 3
    data, scratch = sorted(cinder.volumes.values(), key=lambda one: one["metadata"]["im.volume"])
    assert data["metadata"] == {"im.infrastructure": LAB, "im.token": "t1", "im.volume": "data"}
    assert (data["size"], scratch["size"]) == (10, 1)
    assert data["name"] == "im-0a1b2c3d-worker-1-data"
    assert data["attachments"][0]["delete_on_termination"]


def test_done_again_nothing_is_made(cinder, volumes):
    attach(volumes, Volume("data", 1))
    assert attach(volumes, Volume("data", 1)) == 1
    assert len(cinder.volumes) == 1


def test_a_lost_answer_makes_no_second_volume(cinder, volumes):
    cinder.lose_answers = True
    attach(volumes, Volume("data", 1))
    assert len(cinder.volumes) == 1


def test_an_old_nova_attaches_too(cinder, volumes):
    cinder.old_nova = True
    attach(volumes, Volume("data", 1))
    assert "delete_on_termination" not in cinder.volumes["volume-1"]["attachments"][0]


def test_an_existing_volume_is_only_attached(cinder, volumes):
    mine = cinder.add(name="archive", metadata={"owner": "me"})
    attach(volumes, Volume("data", existing="archive"))
    assert len(cinder.volumes) == 1
    assert cinder.volumes[mine]["metadata"] == {"owner": "me"}
    assert "delete_on_termination" not in cinder.volumes[mine]["attachments"][0]
    assert cinder.metadata == {f"im.volume.{mine}": "data"}


def test_an_existing_volume_must_exist_once(cinder, volumes):
    with pytest.raises(InputError, match="no volume 'archive'"):
        attach(volumes, Volume("data", existing="archive"))
    cinder.add(name="archive")
    cinder.add(name="archive")
    with pytest.raises(InputError, match="2 volumes called 'archive'"):
        attach(volumes, Volume("data", existing="archive"))


def test_a_volume_in_error_is_told(cinder, volumes):
    metadata = {"im.infrastructure": LAB, "im.token": "t1", "im.volume": "data"}
    cinder.add(status="error", metadata=metadata)
    with pytest.raises(ProviderError, match=r"volume data of worker-1 .* is in error"):
        attach(volumes, Volume("data", 1))


def test_volumes_are_named_and_the_one_that_a_server_boots_from_is_left_out(cinder, volumes):
    ours = cinder.add(metadata={"im.infrastructure": LAB, "im.volume": "data"})
    held = (
        AttachedVolume("", ours, "/dev/a"),
        AttachedVolume("", "boot", "/dev/b"),
        AttachedVolume("old", "x", "/dev/c"),
    )
    names = Names(volumes)
    for _ in range(2):
        (server,) = names.put([replace(SERVER, volumes=held)])
        assert [(one.name, one.device) for one in server.volumes] == [("data", "/dev/a"), ("old", "/dev/c")]
    assert len(cinder.toy.asked) == 1
