"""Limits in hierarchies of both versions."""

from pathlib import Path

import pytest

from im.providers.local import cgroups
from im.providers.local.cgroups import Hierarchy


@pytest.fixture
def mounted(tmp_path):
    """Return a function that makes mount points and a mounts file."""

    def make(*lines):
        text = []
        for name, kind, options in lines:
            (tmp_path / name).mkdir(exist_ok=True)
            text.append(f"cgroup {tmp_path / name} {kind} {options} 0 0\n")
        (tmp_path / "mounts").write_text("".join(text))
        return tmp_path / "mounts"

    return make


def test_a_hybrid_machine_has_hierarchies_of_both_versions(mounted, tmp_path):
    mounts = mounted(
        ("cpu,cpuacct", "cgroup", "rw,nosuid,relatime,cpu,cpuacct"),
        ("systemd", "cgroup", "rw,xattr,release_agent=/x,name=systemd"),
        ("unified", "cgroup2", "rw,nsdelegate"),
        ("proc", "proc", "rw"),
    )
    (tmp_path / "unified/cgroup.controllers").write_text("\n")
    assert cgroups.hierarchies(mounts) == (
        Hierarchy(tmp_path / "cpu,cpuacct", 1, frozenset({"cpu", "cpuacct"}), "cpu,cpuacct"),
        Hierarchy(tmp_path / "systemd", 1, frozenset({"name=systemd"}), "none,name=systemd"),
        Hierarchy(tmp_path / "unified", 2, frozenset()),
    )


def test_a_hierarchy_mounted_twice_counts_once(mounted):
    mounts = mounted(("a", "cgroup", "rw,memory"), ("b", "cgroup", "rw,memory"))
    assert [one.mount.name for one in cgroups.hierarchies(mounts)] == ["a"]


def make_files(folder: Path, **files):
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_version_one_limits_are_quota_and_bytes(tmp_path):
    group = tmp_path / "im-00000001/node"
    make_files(group, cpu__cfs_quota_us="-1", memory__limit_in_bytes="0")
    one = Hierarchy(tmp_path, 1, frozenset({"cpu", "memory"}), "cpu,memory")
    assert cgroups.create([one], "00000001", "node", 2, 512 << 20) == (str(group / "cgroup.procs"),)
    assert (group / "cpu.cfs_quota_us").read_text() == "200000"
    assert (group / "memory.limit_in_bytes").read_text() == str(512 << 20)


def test_version_two_limits_stand_on_the_group_and_its_processes_in_a_leaf(tmp_path):
    group = tmp_path / "im-00000001/node"
    make_files(group, cpu__max="max 100000", memory__max="max", cgroup__subtree_control="")
    one = Hierarchy(tmp_path, 2, frozenset({"cpu", "memory"}))
    assert cgroups.create([one], "00000001", "node", 3, 1 << 30) == (str(group / "init/cgroup.procs"),)
    assert (group / "cpu.max").read_text() == "300000 100000"
    assert (group / "memory.max").read_text() == str(1 << 30)
    assert "+" in (tmp_path / "im-00000001/cgroup.subtree_control").read_text()


def test_no_memory_asked_for_is_no_limit(tmp_path):
    group = tmp_path / "im-00000001/node"
    make_files(group, memory__max="1", memory__limit_in_bytes="1")
    cgroups.create([Hierarchy(tmp_path, 1, frozenset({"memory"}), "memory")], "00000001", "node", 1, 0)
    assert (group / "memory.limit_in_bytes").read_text() == "-1"
    cgroups.create([Hierarchy(tmp_path, 2, frozenset({"memory"}))], "00000001", "node", 1, 0)
    assert (group / "memory.max").read_text() == "max"


def test_processes_are_found_in_groups_that_a_node_made_for_itself(tmp_path):
    make_files(tmp_path / "im-00000001/node", cgroup__procs="10\n11\n")
    make_files(tmp_path / "im-00000001/node/docker/x", cgroup__procs="12\n")
    one = Hierarchy(tmp_path, 1, frozenset({"pids"}), "pids")
    assert cgroups.processes([one], "00000001", "node") == {10, 11, 12}
    assert cgroups.processes([one], "00000002") == set()


def test_groups_are_removed_with_their_children_and_busy_ones_are_named(tmp_path):
    (tmp_path / "im-00000001/node/docker/x").mkdir(parents=True)
    one = Hierarchy(tmp_path, 1, frozenset({"pids"}), "pids")
    assert cgroups.remove([one], "00000001") == ()
    assert not (tmp_path / "im-00000001").exists()
    make_files(tmp_path / "im-00000001/node", busy="")
    assert set(cgroups.remove([one], "00000001")) == {
        str(tmp_path / "im-00000001" / "node"),
        str(tmp_path / "im-00000001"),
    }


def test_a_node_sees_what_the_machine_has():
    cpu = Hierarchy(Path("/c"), 1, frozenset({"cpu", "cpuacct"}), "cpu,cpuacct")
    named = Hierarchy(Path("/s"), 1, frozenset({"name=systemd"}), "none,name=systemd")
    unified = Hierarchy(Path("/u"), 2, frozenset())
    assert cgroups.views([cpu, named, unified]) == (
        (
            ("cpu,cpuacct", "cgroup", "cpu,cpuacct"),
            ("systemd", "cgroup", "none,name=systemd"),
            ("unified", "cgroup2", ""),
        ),
        (("cpu", "cpu,cpuacct"), ("cpuacct", "cpu,cpuacct")),
    )
    assert cgroups.views([unified]) == ((("", "cgroup2", ""),), ())
