"""Provider local where it may not, or need not, touch the machine."""

import os

import pytest

from im.config import Settings
from im.errors import InputError, NoCapacity, NotPermitted, ProviderError
from im.plan.model import NodeSpec
from im.providers.base import Environment
from im.providers.contract import ignore, make_identity
from im.providers.local import LocalProvider, checks


@pytest.fixture
def provider(tmp_path):
    return LocalProvider(Settings(home=tmp_path))


@pytest.fixture
def no_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("no_root")
@pytest.mark.parametrize(
    "call",
    [
        lambda provider: provider.prepare(Environment("00000001", "x"), ignore),
        lambda provider: provider.create([spec()]),
        lambda provider: provider.delete(["00000001.worker-1.00000000"]),
        lambda provider: provider.stop(["00000001.worker-1.00000000"]),
        lambda provider: provider.start(["00000001.worker-1.00000000"]),
        lambda provider: provider.release("00000001"),
    ],
)
def test_without_root_every_change_is_refused_with_what_is_needed(provider, call):
    with pytest.raises(NotPermitted, match="needs root") as caught:
        call(provider)
    assert "run im_client as root" in caught.value.hint


@pytest.mark.usefixtures("no_root")
def test_without_root_check_says_so_and_the_catalog_still_works(provider):
    root = next(check for check in provider.check() if check.name == "root")
    assert (root.status, root.hint) == ("failed", checks.ROOT_HINT)
    assert [image.id for image in provider.catalog().images] == ["debian-12"]
    assert provider.list() == provider.list("00000001") == ()


def test_the_machine_is_the_largest_size(provider):
    largest = provider.catalog().largest
    assert (largest.cpus, largest.memory > 0) == (os.cpu_count(), True)


@pytest.mark.parametrize("excess", [{"cpus": 100_000}, {"memory": 1 << 60}])
def test_a_node_larger_than_the_machine_is_refused(provider, monkeypatch, excess):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(NoCapacity, match="node worker-1 wants"):
        provider.create([spec(**excess)])
    assert provider.infrastructures() == {}


def test_missing_programs_are_named_with_their_packages(provider, monkeypatch):
    monkeypatch.setattr(checks, "PROGRAMS", {"no-such-program": "its-package"})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ProviderError, match="not installed: no-such-program") as caught:
        provider.prepare(Environment("00000001", "x"), ignore)
    assert caught.value.hint == "apt-get install its-package"
    programs = next(check for check in provider.check() if check.name == "programs")
    assert (programs.status, programs.hint) == ("failed", "apt-get install its-package")


def test_a_folder_that_cannot_hold_an_overlay_fails_the_check(provider, monkeypatch):
    monkeypatch.setattr(checks, "file_system", lambda _: "nfs4")
    disk = next(check for check in provider.check() if check.name == "disk")
    assert disk.status == "failed"
    assert "IM_HOME" in disk.hint


def test_ids_of_other_clouds_are_deleted_already(provider):
    provider.delete(["nova-1", "../../etc"])
    provider.stop(["nova-1"])
    assert provider.console("nova-1") == ""
    assert provider.publish("nova-1") == ""


def test_a_strange_infrastructure_id_is_refused(provider):
    with pytest.raises(InputError):
        provider.list("../etc")


def test_an_identity_never_shows_its_private_key():
    identity = make_identity()
    assert "OPENSSH" in identity.host_key
    assert "OPENSSH" not in repr(identity)
    assert identity.host_public_key.startswith("ssh-ed25519 ")


def spec(cpus=1, memory=0):
    return NodeSpec("00000001", "worker", 1, "worker-1", "t-1", cpus, memory, "debian-12")
