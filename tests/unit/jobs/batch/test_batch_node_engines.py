"""Engines of batch jobs: what each is asked for, and what root refuses to ask for a user."""

from __future__ import annotations

import json
import os
import pwd
import tarfile

import pytest
from im_batch import binding, dockerd, images, keeper, mounts, places, podman, udocker
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


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a shell script on the path; its calls are lines of the file it returns."""

    def program(name, script):
        calls = tmp_path / f"{name}.calls"
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$*" >> {calls}\n{script}\n')
        (tmp_path / name).chmod(0o755)
        return calls

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return program


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's home."""
    (tmp_path / "home").mkdir()
    for module in (images, udocker, places):
        monkeypatch.setattr(module, "home", lambda: tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def tools(home):
    """An archive, kept; returns its containers' name."""
    with tarfile.open(home / "tools.tar", "w") as archive:
        archive.add(__file__, "usr/tool")
    return images.keep(str(home / "tools.tar"))


def test_an_archive_is_kept_once_under_its_digest(home, tools):
    assert images.keep(str(home / "tools.tar")) == tools
    assert images.kept(tools).read_bytes() == (home / "tools.tar").read_bytes()
    assert images.listing() == [{"image": str(home / "tools.tar"), "engine": "batch", "container": tools}]


FETCH = 'for last; do :; done; : > "${last#docker-archive:}"'


def test_what_a_registry_holds_is_fetched_once_and_known_by_its_name(home, program):
    calls = program("skopeo", FETCH)
    name = images.keep("http://r:5000/lab/tools:1")
    assert images.keep("http://r:5000/lab/tools:1") == name
    assert images.kept(name).exists()
    (call,) = calls.read_text().splitlines()
    assert call.startswith("copy --quiet --src-tls-verify=false docker://r:5000/lab/tools:1 docker-archive:")


def test_a_registry_that_refuses_is_quoted_and_nothing_is_kept(home, program):
    program("skopeo", """echo 'time="now" level=fatal msg="r: unauthorized"' >&2; exit 1""")
    with pytest.raises(BatchError, match=r"cannot be fetched: r: unauthorized$") as caught:
        images.keep("lab/tools:1")
    assert "skopeo login" in caught.value.hint
    assert images.listing() == []
    assert images.all_kept() == []


def test_udocker_keeps_no_archive_of_what_it_has_from_a_registry(home, program):
    program("skopeo", 'for last; do :; done; tar -cf "${last#docker-archive:}" -C /etc/.. etc/hostname')
    program("udocker", f'[ "$1" != import ] || mkdir -p {home}/.udocker/containers/${{3#--name=}}')
    name = images.prepared("lab/tools:1")
    assert images.prepared("lab/tools:1") == name
    assert images.all_kept() == []
    assert images.listing() == [{"image": "lab/tools:1", "engine": "udocker", "container": name}]


def test_a_changed_file_is_another_image_for_udocker_too(home, tools, program):
    program("udocker", f'[ "$1" != import ] || mkdir -p {home}/.udocker/containers/${{3#--name=}}')
    assert images.prepared(str(home / "tools.tar")) == tools
    with tarfile.open(home / "tools.tar", "w") as archive:
        archive.add(__file__, "usr/another")
    assert images.prepared(str(home / "tools.tar")) != tools


@pytest.mark.parametrize("called", ["tools.tar", "container"])
def test_an_image_is_removed_by_its_files_name_or_its_container(tools, called):
    images.remove(tools if called == "container" else called, set())
    assert (images.listing(), images.all_kept()) == ([], [])


def test_an_image_of_one_engine_may_be_removed_alone(home, tools, program):
    program("udocker", f'[ "$1" != import ] || mkdir -p {home}/.udocker/containers/${{3#--name=}}')
    images.prepared(str(home / "tools.tar"))
    images.remove("tools.tar", set(), "docker")
    assert [each["engine"] for each in images.listing()] == ["udocker"]
    images.remove("tools.tar", set(), "udocker")
    assert images.listing() == []


def test_an_image_that_a_container_runs_in_is_not_removed(tools):
    with pytest.raises(BatchError, match="is in use"):
        images.remove("tools.tar", {tools})
    assert images.all_kept() == [tools]


def test_an_image_that_is_not_there_cannot_be_removed(home):
    with pytest.raises(BatchError, match="you have no image 'x'"):
        images.remove("x", set())


def test_podman_drops_what_was_removed_since(tools, program, tmp_path, monkeypatch):
    calls = program("podman", f'[ "$1" != images ] || printf "localhost/%s:latest\\n" im-{"0" * 16} {tools}')
    monkeypatch.setattr(podman, "PROGRAM", str(tmp_path / "podman"))
    podman._prepare({"container": tools, "image": "tools.tar"}, [], dict(os.environ))
    assert calls.read_text().splitlines()[1:] == [f"rmi --force im-{'0' * 16}:latest"]
    images.remove("tools.tar", set())
    with pytest.raises(BatchError, match="was removed"):
        podman._prepare({"container": tools, "image": "tools.tar"}, [], dict(os.environ))


def test_docker_drops_what_was_removed_since_unless_another_user_has_it_too(tmp_path, monkeypatch):
    for user, name, identifier in (("1", "im-a", "sha256:a"), ("1", "im-b", "sha256:b"), ("2", "im-b", "sha256:b")):
        (tmp_path / user).mkdir(exist_ok=True)
        (tmp_path / user / name).write_text(identifier)
    (tmp_path / "1" / "im-c").write_text("sha256:c")
    asked = []
    monkeypatch.setattr(dockerd, "_IMAGES", tmp_path)
    monkeypatch.setattr(dockerd, "_ask", lambda *words: asked.append(words))
    assert dockerd.image(1, "im-c", -1, whole=True, kept=["im-c"]) == "sha256:c"
    assert asked == [("DELETE", "/images/sha256:a"), ("GET", "/images/sha256:c/json")]
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["im-c"]


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
