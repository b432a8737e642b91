"""Engines of batch jobs: what each is asked for, and what root refuses to ask for a user."""

from __future__ import annotations

import json
import os
import pwd

import pytest
from im_batch import binding, images, keeper, mounts, places, podman
from im_batch.faults import BatchError

WANTED = {
    "image": "lab/tools:1",
    "container": "im-0123456789abcdef",
    "command": ["run", "a b"],
    "entrypoint": None,
    "directory": "",
    "variables": {"A": "x=y z"},
    "mounts": [{"source": "/home/ann/in", "target": "/in", "read_only": True}],
}


def order(**changes):
    return json.dumps({**WANTED, **changes}).encode()


def test_podman_runs_a_container_without_new_privileges_in_the_jobs_own_control_group():
    line = podman.command_line(WANTED, [("/places/0", "/in")], "3001:3001", ["--root=/x"])
    assert line[:3] == ["/usr/bin/podman", "--root=/x", "run"]
    assert {"--security-opt=no-new-privileges", "--cap-drop=all", "--user=3001:3001"} <= set(line)
    assert {"--cgroups=disabled", "--pid=host"} & set(line)
    assert line[-3:] == ["im-0123456789abcdef:latest", "run", "a b"]
    assert "--volume=/places/0:/in" in line
    assert not [word for word in line if word.startswith(("--entrypoint", "--workdir"))]


def test_docker_is_asked_for_the_user_the_jobs_group_and_nothing_that_is_privileged():
    asker = keeper.Asker(pwd.getpwuid(os.getuid()), "12", "/slurm/uid_0/job_12")
    asked = keeper.request(asker, "sha256:1", keeper.read(order()), [("/run/im/batch/12/x/0", "/in", True)])
    host = asked["HostConfig"]
    assert (asked["User"], asked["Image"], asked["Cmd"]) == (f"{os.getuid()}:{os.getgid()}", "sha256:1", ["run", "a b"])
    assert (host["CgroupParent"], host["CapDrop"]) == ("/slurm/uid_0/job_12", ["ALL"])
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not {"Privileged", "Devices", "PidMode", "CapAdd", "Binds"} & set(host)
    assert [mount["Source"] for mount in host["Mounts"]] == ["/var/lib/im/jobs/12/tmp", "/run/im/batch/12/x/0"]


def test_an_order_that_says_more_than_it_may_says_nothing_more():
    read = keeper.read(order(HostConfig={"Privileged": True}, user="root"))
    assert set(read) == set(WANTED)


@pytest.mark.parametrize(
    "changes",
    [
        {"container": "../../etc"},
        {"container": "im-0123456789abcdef/../x"},
        {"mounts": [{"source": "/x", "target": "/y", "propagation": "shared"}]},
        {"mounts": "all"},
        {"variables": ["A=1"]},
        {"command": None},
    ],
)
def test_what_is_no_container_is_refused(changes):
    with pytest.raises(BatchError, match="this is no container"):
        keeper.read(order(**changes))


@pytest.mark.parametrize("target", ["/", "/proc/x", "/x/../proc", "x"])
def test_a_mount_that_nobody_may_have_is_refused_again_by_root(target):
    with pytest.raises(BatchError):
        keeper.read(order(mounts=[{"source": "/home/ann", "target": target, "read_only": False}]))


V1 = "4:memory:/slurm/uid_3001/job_12/step_batch/task_0\n1:cpu:/\n"
V2 = "0::/system.slice/slurmstepd.scope/job_7/step_batch/user/task_0\n"


@pytest.fixture
def control_groups(tmp_path):
    """Both versions' trees, as Slurm leaves them."""
    (tmp_path / "memory/slurm").mkdir(parents=True)
    (tmp_path / "system.slice/slurmstepd.scope").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        (V1, ("12", "/slurm/uid_3001/job_12/step_batch")),
        (V2, ("7", "/system.slice/slurmstepd.scope/job_7/step_batch/user")),
    ],
)
def test_whose_job_it_is_is_known_from_the_control_group(control_groups, groups, found):
    assert keeper.own_job(groups, 3001, control_groups) == found


@pytest.mark.parametrize(
    ("groups", "user"),
    [
        ("4:memory:/user.slice\n1:name=job:/slurm/uid_1/job_9\n0::/\n", 1),
        ("0::/user.slice/user-3001.slice/user@3001.service/job_7/x\n", 3001),
        (V1, 3002),
    ],
)
def test_who_is_in_no_job_of_his_gets_no_container(control_groups, groups, user):
    with pytest.raises(BatchError, match="are for jobs"):
        keeper.own_job(groups, user, control_groups)


def test_an_archive_is_kept_once_under_its_digest(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "home", lambda: tmp_path)
    (tmp_path / "tools.tar").write_bytes(b"content")
    name = images.keep(str(tmp_path / "tools.tar"))
    assert images.keep(str(tmp_path / "tools.tar")) == name
    assert images.kept(name).read_bytes() == b"content"
    assert [path.suffix for path in (tmp_path / ".im/images").iterdir()] == [".tar"]


def test_what_a_registry_holds_is_known_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "home", lambda: tmp_path)
    assert images.kept(images.keep("lab/tools:1")) is None


def test_letting_go_of_places_never_touches_what_lies_on_them(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "precious").touch()
    (tmp_path / "1").mkdir()
    binding.let_go(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["0"]
    assert (tmp_path / "0" / "precious").exists()


def test_podmans_stores_are_where_the_recipe_found_room(tmp_path, monkeypatch):
    (tmp_path / "storage.conf").write_text('[storage]\ndriver = "overlay"\ngraphroot = "/var/tmp/im-podman/images"\n')
    monkeypatch.setattr(places, "_PODMAN", tmp_path / "storage.conf")
    assert (str(places.podman()), places.podman_driver()) == ("/var/tmp/im-batch-podman", "overlay")


def test_a_mount_is_written_as_it_is_read():
    for text in ("/a/b:/c", "/a:/b:ro"):
        assert str(mounts.parse(text)) == text
