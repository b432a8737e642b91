from __future__ import annotations

import os
import secrets
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from im.errors import InputError
from im.jobs.engines import ENGINES, LOADED, Inside, Mount, choose
from im.jobs.engines.docker import IN_SLURM
from im.jobs.engines.udocker import udocker_reference
from im.jobs.images import Image

UDOCKER, DOCKER, PODMAN, LXC = (ENGINES[name] for name in ("udocker", "docker", "podman", "lxc"))
INSIDE = Inside("im-1", "/home/hpc", "/home/hpc/jobs/1", (Mount("/usr", "/usr"), Mount("/a b", "/data")))


def image(kind, reference="mpi.tar"):
    return Image(reference, kind, "ab" * 32, None if kind == "registry" else Path(reference))


def test_udocker_imports_a_root_file_system_straight_into_a_container():
    load = ("udocker", "import", "--tocontainer", "--name=im-abababababababab", "/a.tar")
    setup = ("udocker", "setup", "--execmode=P2", "im-abababababababab")
    assert UDOCKER.prepare(image("rootfs"), "/a.tar", "P2") == (load, setup)
    assert UDOCKER.prepare(image("rootfs"), "/a.tar", "P1") == (load,)  # every container begins with P1


@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_udocker_makes_a_container_of_what_load_called_the_image_and_keeps_no_layers(kind):
    name = "im-abababababababab"
    load, create, remove, _ = UDOCKER.prepare(image(kind), "/a.tar", "P2")
    assert load == ("udocker", "load", "-i", "/a.tar", f"im/{name}")
    assert create == ("udocker", "create", f"--name={name}", LOADED)
    assert remove == ("udocker", "rmi", LOADED)


@pytest.mark.parametrize(
    ("groups", "parent"),
    [
        ("5:memory:/slurm/uid_1/job_7/step_batch/task_0\n1:cpu:/other\n0::/\n", "/slurm/uid_1/job_7/step_batch"),
        ("0::/slurmstepd.scope/job_7/step_0/user/task_3\n", "/slurmstepd.scope/job_7/step_0/user"),
        ("5:memory:/im-1/job_7\n0::/user.slice/session-1.scope\n", None),
    ],
)
def test_a_container_of_docker_starts_in_the_control_group_of_its_step_of_slurm(groups, parent):
    done = subprocess.run(["sed", "-nE", IN_SLURM], input=groups, capture_output=True, text=True, check=True)
    assert done.stdout == (f"--cgroup-parent={parent}\n" if parent else "")
    assert IN_SLURM in DOCKER.run(INSIDE)[2]
    assert IN_SLURM not in PODMAN.run(INSIDE)[2]


def test_udocker_pulls_from_a_registry_and_keeps_its_own_mode_if_none_was_probed():
    pull, create, remove = UDOCKER.prepare(image("registry", "lab/mpi:1"), "", "")
    assert pull == ("udocker", "pull", "lab/mpi:1")
    assert create[-1] == "lab/mpi:1"
    assert remove == ("udocker", "rmi", "lab/mpi:1")


@pytest.mark.parametrize(
    ("reference", "options", "repository"),
    [
        ("debian:12", (), "debian:12"),
        ("ghcr.io/lab/mpi:1", (), "ghcr.io/lab/mpi:1"),
        ("10.0.0.1:5000/lab/mpi:1", ("--registry=https://10.0.0.1:5000",), "lab/mpi:1"),
        ("http://10.0.0.1:5000/lab/mpi:1", ("--registry=http://10.0.0.1:5000",), "lab/mpi:1"),
        ("localhost/mpi", ("--registry=https://localhost",), "mpi"),
    ],
)
def test_a_registry_with_a_port_or_a_scheme_is_named_to_udocker_apart(reference, options, repository):
    assert udocker_reference(reference) == (options, repository)


def test_a_rank_in_udocker_has_the_users_identity_and_mpis_environment():
    line = UDOCKER.run(INSIDE)[2]
    for flag in (
        "--hostenv",
        "--hostauth",
        '--user="$(id -un)"',
        "--volume=/etc/hosts:/etc/hosts",
        "--volume=/usr:/usr",
        "'--volume=/a b:/data'",
    ):
        assert flag in line
    assert UDOCKER.run(INSIDE)[-2:] == ("im-1", "/home/hpc/jobs/1")


@pytest.fixture
def pretend(tmp_path):
    """Runs a rank with an udocker that prints its words, one a line."""
    udocker = tmp_path / "udocker"
    udocker.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    udocker.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def run(*program):
        line = [*UDOCKER.run(replace(INSIDE, mounts=(Mount("/usr", "/usr"),))), *program]
        return subprocess.run(line, env=environment, capture_output=True, check=True, text=True).stdout.splitlines()

    run.root = tmp_path / ".udocker/containers/im-1/ROOT"
    return run


def test_the_words_of_the_program_reach_the_engine_one_by_one(pretend):
    words = pretend("./a program", "x  y", "$HOME", "'")
    assert words[-6:] == ["--workdir=/home/hpc/jobs/1", "im-1", "./a program", "x  y", "$HOME", "'"]


def test_a_shell_of_the_image_waits_for_the_program_so_that_signals_keep_their_codes(pretend):
    (pretend.root / "bin").mkdir(parents=True)
    (pretend.root / "bin/sh").symlink_to("/no/busybox")
    assert pretend("./program", "x")[-6:] == ["/bin/sh", "-c", '"$@"; exit $?', "sh", "./program", "x"]


def test_folders_to_mount_at_are_there_before_udocker_looks_for_ranks_begin_together(pretend, tmp_path):
    pretend.root.mkdir(parents=True)
    pretend("true")
    assert (pretend.root.parent / ".mountpoints").is_dir()
    assert (pretend.root / "usr").is_dir()
    assert not (pretend.root / "etc/hosts").exists()


@pytest.mark.parametrize("engine", ENGINES.values(), ids=list(ENGINES))
def test_what_a_node_lacks_is_named_and_never_mounted(engine, tmp_path):
    for name in ("sudo", "udocker", "podman"):
        (tmp_path / name).write_text("#!/bin/sh\necho started\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    (tmp_path / "it's here").mkdir()
    there, lacking = Mount(f"{tmp_path}/it's here", "/x"), Mount(f"{tmp_path}/a 'b'", "/y")
    for mounts, code, output in (((there,), 0, "started\n"), ((there, lacking), 125, "")):
        line = [*engine.run(replace(INSIDE, mounts=mounts)), "true"]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (code, output)
        assert (f"has no {tmp_path}/a 'b' to mount" in done.stderr) == (code == 125)


def test_a_rank_never_prepares_anything():
    for engine in ENGINES.values():
        line = " ".join(engine.run(INSIDE))
        assert not any(f" {word} " in line for word in ("create", "pull", "import", "load", "setup"))


def test_whether_udocker_has_an_image_is_seen_by_its_tree(pretend, tmp_path):
    line = UDOCKER.present("im-1")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    assert subprocess.run(line, env=environment, check=False).returncode == 1
    pretend.root.mkdir(parents=True)
    assert subprocess.run(line, env=environment, check=False).returncode == 0


def test_udocker_is_asked_to_remove_a_container_only_where_there_is_one(pretend, tmp_path):
    (line,) = UDOCKER.discard(image("rootfs"))
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    name = tmp_path / ".udocker/containers/im-abababababababab"
    assert subprocess.check_output(line, env=environment, text=True) == ""
    name.parent.mkdir(parents=True)
    name.symlink_to("what is left of it")
    assert subprocess.check_output(line, env=environment, text=True).split() == ["rm", "-f", name.name]


def test_a_rank_in_docker_shares_the_namespaces_of_its_node_and_is_not_root():
    line = DOCKER.run(INSIDE)[2]
    for flag in ("--network=host", "--ipc=host", "--pid=host", '--user="$(id -u):$(id -g)"'):
        assert flag in line


def test_lxc_unpacks_an_image_and_names_containers_after_the_job():
    (step,) = LXC.prepare(image("oci"), "/a.tar", "")
    assert step[-2:] == ("/a.tar", "/home/.im/lxc/im-abababababababab")
    assert 'lxc-execute -n "im-$IM_JOB-$$"' in LXC.run(INSIDE)[2]
    assert LXC.clean("j1")[2].endswith("lxc.*.im-j1-*")


def test_lxc_pulls_without_telling_anybody_an_account():
    (step,) = LXC.prepare(image("registry", "http://r:5000/lab/mpi"), "", "")
    assert step[-3:] == ("r:5000/lab/mpi", "--src-tls-verify=false", "/home/.im/lxc/im-abababababababab")


def test_lxc_mounts_folders_and_files_as_what_the_node_has_with_blanks_as_its_table_wants_them(tmp_path):
    (tmp_path / "sudo").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (tmp_path / "sudo").chmod(0o755)
    (tmp_path / "a b").mkdir()
    (tmp_path / "file").touch()
    mounts = (Mount(str(tmp_path / "a b"), "/data"), Mount(str(tmp_path / "file"), "/in", read_only=True))
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    line = [*LXC.run(replace(INSIDE, mounts=mounts)), "true"]
    words = subprocess.run(line, env=path, capture_output=True, text=True, check=True).stdout.splitlines()
    assert f"lxc.mount.entry={tmp_path}/a\\040b data none rbind,rw,create=dir 0 0" in words
    assert f"lxc.mount.entry={tmp_path}/file in none rbind,ro,create=file 0 0" in words
    assert "lxc.mount.entry=/etc/hosts etc/hosts none rbind,ro,create=file 0 0" in words


def test_another_user_may_be_asked_for():
    for engine in (UDOCKER, DOCKER, PODMAN):
        assert "--user=root" in engine.run(replace(INSIDE, user="root"))[2]
    assert LXC.run(replace(INSIDE, user="root"))[2].startswith("user=root;")


SUDO = """\
#!/bin/sh
shift 2
echo "$1 $2" >> "$HOME/calls"
case "$1 $2" in
"run --detach") sleep 30 > /dev/null 2>&1 & echo $! > "$HOME/monitor"; sleep 0.2; echo held; exit $NO_SHELL ;;
run*) while [ "$1" != im-1:latest ]; do shift; done ;;
exec*) while [ "$1" != held ]; do shift; done ;;
*) exit ;;
esac
shift
exec "$@"
"""
"""Docker by way of sudo, which writes down what it is asked for, and starts programs here.

Like Podman's, what it leaves with a container lives on, with the files that were open.
"""


@pytest.fixture
def rank(tmp_path):
    """Starts a rank of a job whose ranks on this node may share a container of this Docker; cleans up after it."""
    (tmp_path / "sudo").write_text(SUDO)
    (tmp_path / "sudo").chmod(0o755)
    job = secrets.token_hex(4)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "IM_JOB": job}

    def start(*program, no_shell=0):
        line = [*DOCKER.run(Inside("im-1", "/home/hpc", "/", together=True)), *program]
        variables = {**environment, "NO_SHELL": str(no_shell)}
        return subprocess.Popen(line, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def clean():
        assert Path(f"/tmp/im-{job}").is_dir()
        subprocess.run(DOCKER.clean(job), env=environment, check=True)
        assert not Path(f"/tmp/im-{job}").exists()
        start.cleaned = True

    start.calls, start.clean, start.cleaned = tmp_path / "calls", clean, False
    yield start
    os.kill(int((tmp_path / "monitor").read_text()), signal.SIGKILL)
    if not start.cleaned:
        clean()


def test_ranks_that_come_together_share_one_container_of_docker(rank):
    ranks = [rank("sh", "-c", 'echo "$1"; exit 4', "sh", f"a  '{number}'") for number in range(4)]
    assert [each.communicate(timeout=20)[0] for each in ranks] == [f"a  '{number}'\n" for number in range(4)]
    assert [each.returncode for each in ranks] == [4] * 4
    rank.clean()
    calls = rank.calls.read_text().splitlines()
    assert (sorted(calls[:-1]), calls[-1]) == (["exec -e"] * 4 + ["run --detach"], "rm --force")


def test_ranks_have_a_container_each_where_the_image_has_no_shell_to_wait_in_it(rank):
    for _ in range(2):
        output, errors = rank("echo", "alone", no_shell=127).communicate()
        assert (output, errors) == ("alone\n", "")
    rank.clean()
    *calls, asked = rank.calls.read_text().splitlines()
    assert [call.split()[1] == "--detach" for call in calls] == [True, False, False]
    assert asked == "ps --all"


def test_a_signal_reaches_a_rank_whose_client_does_not_pass_it_on_and_its_last_words_are_heard(rank):
    process = rank("sh", "-c", "trap 'echo last; exit 9' TERM; echo first; while :; do sleep 0.05; done")
    assert process.stdout.readline() == "first\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate() == ("last\n", "")
    assert process.returncode == 9


def test_a_program_that_a_shared_container_lacks_has_the_code_of_a_shell(rank):
    process = rank("no_such_program")
    assert "no_such_program" in process.communicate()[1]
    assert process.returncode == 127


def test_ranks_of_docker_and_podman_share_a_container_and_what_is_started_once_has_its_own():
    together = replace(INSIDE, together=True)
    for engine in (DOCKER, PODMAN):
        assert f"{engine.client} exec $(" in engine.run(together)[2]
        assert " exec $(" not in engine.run(INSIDE)[2]
    for engine in (UDOCKER, LXC):
        assert engine.run(together) == engine.run(INSIDE)


def test_podman_takes_the_words_of_docker_but_needs_no_root():
    line = PODMAN.run(INSIDE)[2]
    assert "exec podman run" in line
    assert "--userns=keep-id" in line
    assert "sudo" not in line + " ".join(PODMAN.clean("j1"))


def test_podman_is_told_of_a_registry_without_tls():
    pull, _, _ = PODMAN.prepare(image("registry", "http://r:5000/lab/mpi"), "", "")
    assert pull == ("podman", "pull", "--tls-verify=false", "r:5000/lab/mpi")
    assert PODMAN.prepare(image("registry", "r:5000/lab/mpi"), "", "")[0] == ("podman", "pull", "r:5000/lab/mpi")


@pytest.mark.parametrize(("loaded", "removed"), [("lab/mpi:1", "rmi lab/mpi:1\n"), ("sha256:abab", "")])
def test_an_image_keeps_no_name_but_ours_so_that_it_goes_with_it(tmp_path, loaded, removed):
    podman = tmp_path / "podman"
    podman.write_text('#!/bin/sh\necho "$@"\n')
    podman.chmod(0o755)
    *_, unname = PODMAN.prepare(image("docker"), "/a.tar", "")
    line = [word.replace(LOADED, loaded) for word in unname]
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(line, env=path, capture_output=True, text=True, check=True).stdout == removed


def test_a_mount_may_be_protected_where_the_engine_can():
    inside = replace(INSIDE, mounts=(Mount("/data", "/in", read_only=True),))
    assert "-v /data:/in:ro" in DOCKER.run(inside)[2]
    assert (DOCKER.read_only_mounts, UDOCKER.read_only_mounts) == (True, False)


def test_what_docker_holds_of_a_job_is_found_by_its_label():
    assert '--label "im.job=$IM_JOB"' in DOCKER.run(INSIDE)[2]
    assert "label=im.job=j1" in DOCKER.clean("j1")[2]
    assert UDOCKER.clean("j1") == ()


def test_docker_prepares_every_node_and_udocker_only_the_shared_home():
    assert (DOCKER.per_node, UDOCKER.per_node) == (True, False)


def test_the_clusters_first_engine_is_the_default():
    assert choose("", ["docker", "udocker"]) is DOCKER
    assert choose("udocker", ["docker", "udocker"]) is UDOCKER


def test_an_engine_that_the_cluster_lacks_is_refused_with_those_it_has():
    with pytest.raises(InputError, match=r"has no container engine 'docker' \(it has: udocker\)"):
        choose("docker", ["udocker"])
    with pytest.raises(InputError, match="the sub-cluster has no container engine"):
        choose("", ["rocket"])
