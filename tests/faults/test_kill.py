"""SIGKILL at every point of a command; the same command continues, and nothing is leaked or doubled."""

import gc
import mmap
import os
import shutil
import signal
import struct

import pytest
from engine_lab import Lab, cluster, open_store
from msgspec import structs

from im.clock import VirtualClock
from im.plan.model import InfrastructureState, NodeState
from im.providers.base import Capability
from im.providers.fake import FakeProvider, Fault
from im.store.repository import Store
from im.topology.model import Volume


class SharedClock(VirtualClock):
    """A time that goes on for the parent as it did for its killed child."""

    def __init__(self):
        self._memory = mmap.mmap(-1, 8)
        super().__init__()

    @property
    def _passed(self):
        return struct.unpack("d", self._memory[:8])[0]

    @_passed.setter
    def _passed(self, seconds):
        self._memory[:8] = struct.pack("d", seconds)


class MortalStore(Store):
    """Dies before, or after, its n-th change of state is written."""

    def __init__(self, path, *, n, after):
        super().__init__(path)
        self.left, self.after = n, after

    def write(self, *args, **kwargs):
        if not args and kwargs.keys() == {"events"}:
            return super().write(*args, **kwargs)
        self.left -= 1
        if self.left == 0 and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        written = super().write(*args, **kwargs)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return written


class FileLab(Lab):
    """A lab whose cloud outlives the process."""

    def __init__(self, home, database):
        super().__init__(home, database)
        self.settings = structs.replace(self.settings, absence_grace=0.5)
        self.clock = SharedClock()
        self.reopen()

    def reopen(self):
        self.store.close()  # SQLite must not be carried over a fork
        self.store = open_store(self.settings.home / "im.db")
        self.provider = FakeProvider(self.settings, clock=self.clock, file=self.settings.home / "cloud.json")
        self.contextualizer = type(self.contextualizer)(self.provider)
        self.behave()

    def behave(self, **changes):
        quick = {"latency": 0.01, "build_time": 0.2, "boot_time": 0.2, "delete_time": 0.1}
        super().behave(**(quick | changes))


def in_child(work):
    """Run ``work`` in a forked process; returns the signal that ended it, 0 if it came to its end."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a forked test must not go on with the parent's tests
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def kill_everywhere(tmp_path, database, work, check, *, begin=lambda lab: None, also_after=False):
    """Kill ``work`` at its first, second, … write until it comes to its end; ``check`` continues each time."""
    blank = FileLab(tmp_path / "begin", database)
    begin(blank)
    blank.store.close()
    kills = 0
    for after in (False, True) if also_after else (False,):
        n, ended = 0, False
        while not ended:
            n += 1
            home = tmp_path / f"{n}-{after}"
            shutil.copytree(tmp_path / "begin", home)
            lab = FileLab.__new__(FileLab)
            lab.__dict__.update(blank.__dict__ | {"settings": structs.replace(blank.settings, home=home)})
            ended = in_child(lambda lab=lab, n=n, after=after: _mortal(lab, n, after, work)) == 0
            lab.reopen()
            check(lab)
            lab.store.close()
            shutil.rmtree(home)
            kills += not ended
    return kills


def _mortal(lab, n, after, work):
    gc.disable()
    lab.reopen()
    lab.store.close()
    lab.store = open_store(lab.store.path, MortalStore, n=n, after=after)
    work(lab)


def assert_exactly(lab, *names):
    """Exactly these servers exist, each bound to a ready row."""
    assert lab.record.state is InfrastructureState.READY
    assert {node.state for node in lab.record.nodes} == {NodeState.READY}
    assert lab.servers == sorted(names)
    assert {server.id for server in lab.provider.servers()} == {node.id for node in lab.record.nodes}


def test_a_deploy_killed_at_any_change_of_state_is_continued(tmp_path, database):
    def again(lab):
        lab.deploy()
        assert_exactly(lab, "front-end", "worker-1", "worker-2")

    assert kill_everywhere(tmp_path, database, lambda lab: lab.deploy(), again, also_after=True) > 20


def test_a_replacement_killed_at_any_change_of_state_is_continued(tmp_path, database):
    def deploy(lab):
        lab.behave(errors={"worker-1": 1})
        lab.deploy(cluster(workers=1, on_failure="replace"))

    def again(lab):
        deploy(lab)
        assert_exactly(lab, "front-end", "worker-1")

    assert kill_everywhere(tmp_path, database, deploy, again) > 15


def test_a_scale_killed_at_any_change_of_state_is_continued(tmp_path, database):
    def scale(lab):
        lab.engine().scale("demo", {"worker": 1})

    def again(lab):
        scale(lab)
        assert_exactly(lab, "front-end", "worker-1")

    kills = kill_everywhere(tmp_path, database, scale, again, begin=lambda lab: lab.deploy(cluster(workers=2)))
    assert kills > 5


def test_a_delete_killed_at_any_change_of_state_is_continued(tmp_path, database):
    def delete(lab):
        lab.engine().delete("demo")

    def again(lab):
        if lab.store.find("demo"):
            delete(lab)
        assert lab.servers == []
        assert lab.provider.infrastructures() == {}

    assert kill_everywhere(tmp_path, database, delete, again, begin=lambda lab: lab.deploy()) > 3


def test_a_deploy_killed_at_any_change_of_state_can_be_deleted(tmp_path, database):
    def delete(lab):
        if lab.store.find("demo"):
            lab.engine().delete("demo")
        assert lab.servers == []
        assert lab.provider.infrastructures() == {}

    kill_everywhere(tmp_path, database, lambda lab: lab.deploy(cluster(workers=1)), delete)


@pytest.mark.parametrize("happens", [False, True], ids=["before it happens", "after it happened"])
@pytest.mark.parametrize(("call", "first"), [("prepare", 1), ("create", 1), ("create", 2), ("list", 1), ("list", 3)])
def test_a_deploy_killed_inside_a_call_to_the_cloud_is_continued(tmp_path, database, call, first, happens):
    lab = FileLab(tmp_path, database)

    def deploy():
        lab.reopen()
        lab.behave(faults=(Fault(call, first=first, happens=happens),))
        lab.deploy()

    lab.store.close()
    assert in_child(deploy) == signal.SIGKILL
    lab.reopen()
    lab.deploy()
    assert_exactly(lab, "front-end", "worker-1", "worker-2")


def equipped(lab):
    """Deploy where nodes get volumes, the front-end a public address, and workers a host key of their own."""
    lab.provider.capabilities -= {Capability.DIRECT}
    lab.behave(attach_time=0.1)
    lab.deploy(cluster(workers=1, volumes=(Volume("data", 1 << 30, "/data"),)))


def assert_equipped(lab):
    assert_exactly(lab, "front-end", "worker-1")
    front_end, worker = lab.record.nodes
    assert front_end.public_address
    assert [volume.name for volume in worker.volumes] == ["data"]
    own = lab.engine()._world.keys(lab.record.id).host_key("worker-1").public
    assert worker.host_public_key == own


def test_a_deploy_with_addresses_and_volumes_killed_at_any_change_of_state_is_continued(tmp_path, database):
    def again(lab):
        equipped(lab)
        assert_equipped(lab)

    assert kill_everywhere(tmp_path, database, equipped, again, also_after=True) > 20


@pytest.mark.parametrize("happens", [False, True], ids=["before it happens", "after it happened"])
@pytest.mark.parametrize("call", ["publish", "attach"])
def test_a_deploy_killed_while_it_equips_nodes_is_continued(tmp_path, database, call, happens):
    lab = FileLab(tmp_path, database)

    def deploy():
        lab.reopen()
        behave, lab.behave = lab.behave, lambda **changes: behave(faults=(Fault(call, happens=happens),), **changes)
        equipped(lab)

    lab.store.close()
    assert in_child(deploy) == signal.SIGKILL
    lab.reopen()
    equipped(lab)
    assert_equipped(lab)
