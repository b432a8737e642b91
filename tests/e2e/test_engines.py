"""Every container engine that keeps images per node, on real nodes: MPI jobs, shells, images; nothing left behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.e2e_local

ENGINES = ("docker", "podman", "lxc")
HELD = {
    "docker": "docker ps --all --quiet",
    "podman": "podman ps --all --quiet",
    "lxc": "sudo lxc-ls -P /var/lib/im/lxc/run --active -1",
}
"""Lists the containers of an engine on a node."""


@pytest.fixture
def client(engine_cluster):
    """Runs ``im_client`` to its end."""

    def client(*words, stdin=None):
        process = engine_cluster.client(*words, stdin=subprocess.PIPE)
        output, errors = process.communicate(stdin, timeout=300)
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


@pytest.mark.parametrize("engine", ENGINES)
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
