"""Every container engine but udocker, on real nodes: MPI jobs, shells, images; nothing left behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from subcluster import ACCOUNTS, guarded_registry, mpi_archive

from im.data_files import data_folder
from im.jobs.preflight import tiny_image

pytestmark = pytest.mark.e2e_local

ENGINES = ("docker", "podman", "lxc")
REST = tuple(pytest.param(engine, marks=pytest.mark.long) for engine in ENGINES[1:])
"""Those that differ little in what a test asks for, where it takes long."""
REMOVED = {
    "docker": "docker rmi --force {}:latest",
    "podman": "podman rmi --force {}:latest",
    "lxc": "sudo rm -rf /home/.im/lxc/{}",
}
"""Removes an image from a node behind our back."""
HELD = {
    "docker": "docker ps --all --quiet",
    "podman": "podman ps --all --quiet",
    "lxc": "sudo lxc-ls -P /var/lib/im/lxc/run --active -1",
}
"""Lists the containers of an engine on a node."""


@pytest.fixture
def client(engine_cluster):
    """Runs ``im_client`` to its end; what hangs is killed, and its job with it."""

    def client(*words, stdin=None):
        process = engine_cluster.client(*words, stdin=subprocess.PIPE)
        try:
            output, errors = process.communicate(stdin, timeout=300)
        finally:
            process.kill()
        return process.returncode, output, errors

    return client


@pytest.fixture
def nothing_held(engine_cluster):
    """After the test, no engine holds a container on any node."""
    yield
    user = engine_cluster.cluster.user
    until = time.monotonic() + 20
    while left := [
        (node.name, engine, held)
        for node in engine_cluster.cluster.nodes
        for engine in ENGINES
        if (held := engine_cluster.on(node.name, HELD[engine], user=user).split())
    ]:
        assert time.monotonic() < until, left
        time.sleep(0.5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["hybrid", "inside"])
@pytest.mark.usefixtures("nothing_held")
def test_four_ranks_on_two_nodes_compute_together(engine_cluster, client, mpi_image, engine, mode):
    options = ("-n", 4, "--engine", engine, "--mode", mode, "--image", mpi_image)
    code, output, errors = client("mpi", "run", engine_cluster.name, *options, "--", "mpi_hello")
    assert code == 0, errors
    nodes = re.findall(r"rank \d of 4 on (\S+), container im-mpi-\w{16}, sum 10: right", output)
    assert sorted(nodes) == ["frontend", "frontend", "worker-1", "worker-1"], output


TALK = """\
trap 'exit 9' TERM
echo rank $OMPI_COMM_WORLD_RANK began
[ "$OMPI_COMM_WORLD_RANK" != "$1" ] || { sleep 2; exit 7; }
while :; do sleep 0.1; done
"""
"""Ranks that say when they begin, and never end; but the one that the first word names, which fails."""


@pytest.fixture
def talk(engine_cluster, mpi_image, nothing_held):
    """Starts four ranks in Docker on two nodes and waits until all have begun; afterwards nothing is held."""
    started = []

    def talk(failing=""):
        words = ("-n", 4, "--engine", "docker", "--image", mpi_image, "--", "sh", "-c", TALK, "talk", failing)
        started.append(engine_cluster.client("mpi", "run", engine_cluster.name, *words))
        assert sorted(started[-1].stdout.readline() for _ in range(4)) == [f"rank {n} began\n" for n in range(4)]
        return started[-1]

    yield talk
    for process in started:
        process.kill()
        process.communicate()


def test_ranks_of_a_node_share_a_container_of_docker_and_those_of_two_jobs_do_not(engine_cluster, talk):
    for number in (1, 2):
        talk()
        for node in ("frontend", "worker-1"):
            assert len(engine_cluster.on(node, HELD["docker"]).split()) == number


def test_ctrl_c_ends_ranks_in_docker(talk):
    process = talk()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_a_rank_in_docker_that_fails_ends_the_others_and_the_job_with_its_code(talk):
    process = talk("1")
    process.communicate(timeout=60)
    assert process.returncode == 7


@pytest.mark.parametrize("victim", ["rank", "mpirun", "orted", "supervisor"])
def test_whatever_is_killed_ranks_in_docker_end(engine_cluster, talk, victim):
    process = talk()
    node, pattern = {
        "rank": ("worker-1", "'^sh -c trap'"),
        "mpirun": ("frontend", "'^mpirun '"),
        "orted": ("worker-1", "'^orted '"),
        "supervisor": ("frontend", "'supervisor[.]py /'"),
    }[victim]
    engine_cluster.on(node, f"pkill -9 -f {pattern}")
    process.communicate(timeout=30)
    assert process.returncode == {"rank": 137, "supervisor": 125}.get(victim, process.returncode) != 0


def test_a_program_that_is_not_in_an_image_of_docker_is_named(engine_cluster, client, mpi_image, nothing_held):
    options = ("-n", 1, "--engine", "docker", "--image", mpi_image)
    code, _, errors = client("mpi", "run", engine_cluster.name, *options, "--", "no_such_program")
    assert (code, "no_such_program" in errors) == (127, True), errors


def test_an_image_without_any_shell_runs_in_docker_too(engine_cluster, client, tmp_path, nothing_held):
    tiny_image(tmp_path)
    options = ("-n", 4, "--engine", "docker", "--image", tmp_path / "preflight.tar")
    program = ("--mount", "/usr/bin/tini-static:/program:ro", "--", "/program", "--version")
    code, output, errors = client("mpi", "run", engine_cluster.name, *options, *program)
    assert (code, output.count("tini version")) == (0, 4), errors


@pytest.mark.parametrize("engine", ["docker", *REST])
def test_an_image_that_a_node_has_lost_is_named_with_the_node_and_comes_back(engine_cluster, client, mpi_image, engine):
    options = ("-n", 4, "--engine", engine, "--image", mpi_image)
    container = client("image", "pull", engine_cluster.name, mpi_image, "--engine", engine)[1].strip()
    engine_cluster.on("worker-1", REMOVED[engine].format(container), user=engine_cluster.cluster.user)
    code, _, errors = client("mpi", "run", engine_cluster.name, *options, "--", "true")
    assert code == 125
    node = "frontend" if engine == "lxc" else "worker-1"  # all nodes share LXC's
    assert f"error job: node {node}: the image {mpi_image} is not there any more" in errors
    code, output, errors = client("mpi", "run", engine_cluster.name, *options, "--", "mpi_hello")
    assert (code, output.count("right")) == (0, 4), errors


@pytest.fixture(scope="session")
def mpich_image(cache):
    """The archive of the same program with MPICH, and of one whose ranks do not end together."""
    programs = data_folder("images") / "mpi" / "mpi_hello.c", Path(__file__).parent / "programs" / "late.c"
    return mpi_archive(cache, "e2e-mpich.tar", *programs, MPI="mpich")


@pytest.mark.parametrize("engine", ["docker", "udocker", *REST])
@pytest.mark.usefixtures("nothing_held")
def test_an_image_with_mpich_is_started_by_its_own_launcher(engine_cluster, client, mpich_image, engine):
    options = ("-n", 4, "--engine", engine, "--image", mpich_image, "--time", "60")
    code, output, errors = client("mpi", "run", engine_cluster.name, *options, "--", "mpi_hello")
    assert "inside: the image's own launcher starts the ranks (image: MPICH 4" in errors
    nodes = re.findall(r"rank \d of 4 on (\S+), container im-mpi-\w{16}, sum 10: right", output)
    assert (code, sorted(nodes)) == (0, ["frontend", "frontend", "worker-1", "worker-1"]), output


@pytest.mark.parametrize("engine", ["docker", "udocker", *REST])
@pytest.mark.usefixtures("nothing_held")
def test_a_rank_that_ends_after_all_others_ends_too_with_mpich(engine_cluster, client, mpich_image, engine):
    options = ("-n", 4, "--engine", engine, "--image", mpich_image, "--time", "60")
    code, output, errors = client("mpi", "run", engine_cluster.name, *options, "--", "late")
    assert (code, output) == (0, ""), errors
    assert "can hang in MPI_Finalize" not in errors


def test_the_nodes_launcher_is_not_asked_for_ranks_that_would_be_alone(engine_cluster, client, mpich_image):
    options = ("-n", 2, "--engine", "lxc", "--image", mpich_image, "--mode", "hybrid")
    code, output, errors = client("mpi", "run", engine_cluster.name, *options, "--", "mpi_hello")
    assert (code, output) == (2, "")
    assert "each rank would believe that it is alone" in errors
    assert "image: MPICH 4" in errors


@pytest.mark.parametrize("engine", ENGINES)
def test_a_job_sees_what_is_mounted_and_starts_where_it_is_told(engine_cluster, client, mpi_image, engine):
    options = ("-n", 1, "--engine", engine, "--image", mpi_image, "--mount", "/usr/share:/in:ro", "--workdir", "/in")
    script = "pwd; test -d doc && echo seen; touch new 2>/dev/null || echo protected; id -u"
    code, output, errors = client("mpi", "run", engine_cluster.name, *options, "--", "sh", "-c", script)
    uid = engine_cluster.on("frontend", "id -u", user=engine_cluster.cluster.user).strip()
    assert (code, output.split()) == (0, ["/in", "seen", "protected", uid]), errors


@pytest.mark.parametrize("engine", ENGINES)
def test_containers_of_another_user_are_removed_too(engine_cluster, mpi_image, nothing_held, engine):
    options = ("-n", 1, "--engine", engine, "--image", mpi_image, "--user", "root")
    process = engine_cluster.client(
        "mpi", "run", engine_cluster.name, *options, "--", "sh", "-c", "id -u; trap '' INT TERM; sleep 300"
    )
    assert process.stdout.readline() == "0\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_shell_is_in_the_container_with_the_users_home(engine_cluster, client, mpi_image, nothing_held, engine):
    words = ("shell", engine_cluster.name, "--image", mpi_image, "--engine", engine, "--node", "worker-1")
    code, output, errors = client(*words, stdin="hostname; pwd; cut -c1-7 /etc/im-image; exit 5\n")
    assert (code, output.split()) == (5, ["worker-1", f"/home/{engine_cluster.cluster.user}", "im-mpi-"]), errors


def test_an_image_is_listed_with_its_library_and_can_be_removed(engine_cluster, client, mpi_image):
    client("image", "pull", engine_cluster.name, mpi_image, "--engine", "podman")
    _, text, _ = client("image", "inspect", engine_cluster.name, mpi_image, "--json")
    (podman,) = (each for each in json.loads(text) if each["engine"] == "podman")
    assert (podman["mpi"]["family"], podman["nodes"]) == ("openmpi", ["frontend", "worker-1"])
    assert client("image", "rm", engine_cluster.name, mpi_image, "--engine", "podman")[0] == 0
    user = engine_cluster.cluster.user
    assert podman["container"] not in engine_cluster.on("worker-1", "podman images", user=user)
    assert "podman" not in [
        each["engine"]
        for each in json.loads(client("image", "list", engine_cluster.name, "--json")[1])
        if each["container"] == podman["container"]
    ]


@pytest.mark.parametrize("engine", ["docker", *REST])
def test_an_image_is_built_once_in_the_cluster_and_runs_from_its_own_registry(
    engine_cluster, client, mpi_image, tmp_path, engine
):
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY word /word\nRUN echo built > /built\n")
    (tmp_path / "word").write_text("hello\n")
    words = ("image", "build", engine_cluster.name, tmp_path, "--tag", "lab", "--base", mpi_image)
    code, reference, errors = client(*words)
    assert code == 0, errors
    assert re.fullmatch(r"http://frontend:5000/im/lab:\w{12}\n", reference)
    options = ("-n", 4, "--engine", engine, "--image", reference.strip())
    code, output, errors = client("mpi", "run", engine_cluster.name, *options, "--", "cat", "/word", "/built")
    assert (code, sorted(output.split())) == (0, ["built"] * 4 + ["hello"] * 4), errors


def test_a_changed_file_builds_the_image_anew_while_somebody_watches(engine_cluster, client, mpi_image, tmp_path):
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY word /word\n")
    (tmp_path / "word").write_text("one\n")
    words = ("image", "build", engine_cluster.name, tmp_path, "--tag", "watched", "--base", mpi_image, "--watch")
    process = engine_cluster.client(*words)
    first = process.stdout.readline().strip()
    (tmp_path / "word").write_text("two\n")
    second = process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    for name, word in ((first, "one"), (second, "two")):
        words = ("shell", engine_cluster.name, "--engine", "lxc", "--image", name, "--", "cat", "/word")
        code, output, errors = client(*words)
        assert (code, output) == (0, f"{word}\n"), errors


@pytest.fixture
def guarded(engine_cluster, client, mpi_image, tmp_path, monkeypatch):
    """An image in a registry that asks for an account, and what gives this machine the account."""
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN echo guarded > /word\n")
    words = ("image", "build", engine_cluster.name, tmp_path, "--tag", "guarded", "--base", mpi_image)
    code, reference, errors = client(*words)
    assert code == 0, errors
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    with guarded_registry(engine_cluster):
        yield reference.strip(), lambda: (tmp_path / "auth.json").write_text(ACCOUNTS)


LOOK = """\
import glob, os, pathlib, sys
secrets = pathlib.Path("/srv/secret").read_text().split()
print("looking", flush=True)
while not os.path.exists("/srv/over"):
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            text = pathlib.Path(path).read_text()
        except (OSError, UnicodeError):
            continue
        if any(secret in text for secret in secrets):
            print("seen:", text[:200].replace(chr(0), " "), flush=True)
"""


@pytest.mark.parametrize("engine", ["docker", "udocker", *REST])
def test_an_account_at_a_registry_is_used_and_stands_on_no_command_line(engine_cluster, client, guarded, engine):
    reference, log_in = guarded
    client("image", "rm", engine_cluster.name, reference)
    assert client("image", "pull", engine_cluster.name, reference, "--engine", engine)[0] == 125
    log_in()
    words = ("exec", engine_cluster.name, "--", "sudo", "sh", "-c", "rm -f /srv/over; exec python3 -u -")
    looker = engine_cluster.client(*words, stdin=subprocess.PIPE)
    looker.stdin.write(LOOK)
    looker.stdin.close()
    assert looker.stdout.readline() == "looking\n"
    code, _, errors = client("image", "pull", engine_cluster.name, reference, "--engine", engine)
    engine_cluster.on("frontend", "touch /srv/over")
    assert code == 0, errors
    assert looker.stdout.read() == ""
    assert engine_cluster.on("frontend", "grep -rlsf /srv/secret /home/*/.docker /home/*/.im/images /tmp") == ""


def test_a_restart_brings_the_engines_back_and_what_a_node_has_lost(engine_cluster, client, mpi_image):
    mine = client("image", "pull", engine_cluster.name, mpi_image, "--engine", "docker")[1].strip()
    others = f"docker image ls --format '{{{{.Repository}}}}' | grep -v {mine}"
    assert "im-" in engine_cluster.on("worker-1", f"{others} | tee /tmp/gone | xargs docker rmi --force; cat /tmp/gone")
    code, _, errors = client("restart", engine_cluster.name)
    assert code == 0, errors
    for engine in ENGINES:
        options = ("-n", 4, "--engine", engine, "--image", mpi_image)
        code, output, errors = client("mpi", "run", engine_cluster.name, *options, "--", "mpi_hello")
        assert (code, output.count("sum 10: right")) == (0, 4), errors
