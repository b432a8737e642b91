"""MPI jobs on real nodes, every rank in a container; and what is left of them when things go wrong: nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
import signal
import subprocess
import tarfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from im.errors import InputError, PreflightError
from im.jobs.mpi import MpiJob, run
from im.jobs.preflight import preflight
from im.providers.local import LocalProvider
from im.ssh import connection
from im.topology.model import Software, Topology

pytestmark = pytest.mark.e2e_local

HELLO = [
    rf"rank {rank} of 4 on worker-{1 + rank // 2}, container im-mpi-[0-9a-f]{{16}}, sum 10: right" for rank in range(4)
]  # two slots a node, filled in order


def wait_until_nothing_is_left(subcluster, cluster):
    limit = time.monotonic() + 30
    pause = 0.05
    while left := subcluster.left_over(cluster):
        assert time.monotonic() < limit, left
        time.sleep(pause)
        pause = min(1.0, pause * 1.5)


@pytest.fixture
def launch(subcluster, mpi_image):
    """Starts ``im_client mpi run`` on four ranks; what it started is gone when the test ends."""
    started = []

    def launch(*program, ranks=4, image=mpi_image, options=(), **how):
        words = ("mpi", "run", subcluster.name, "-n", ranks, "--image", image, *options, "--", *program)
        started.append(subcluster.client(*words, **how))
        return started[-1]

    yield launch
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


@pytest.fixture
def nothing_left(subcluster):
    """After the test, no node runs anything of the cluster's user."""
    cluster = subcluster.cluster
    yield cluster
    wait_until_nothing_is_left(subcluster, cluster)


def finish(process, seconds=120):
    output, errors = process.communicate(timeout=seconds)
    return process.returncode, output, errors


def test_four_ranks_on_two_nodes_compute_together_in_containers(launch, nothing_left):
    code, output, errors = finish(launch("mpi_hello"))
    assert code == 0, errors
    lines = sorted(output.splitlines())
    assert len(lines) == len(HELLO)
    assert all(map(re.fullmatch, HELLO, lines)), output


def test_the_image_is_prepared_once_per_cluster(subcluster, mpi_image):
    events = []
    for _ in range(2):
        events.clear()
        assert run(subcluster.cluster, MpiJob(1, str(mpi_image), ("true",)), emit=events.append) == 0
    assert {event.phase for event in events} == {"job"}
    containers = subcluster.on("frontend", "udocker ps | grep -c im-", user=subcluster.cluster.user)
    assert int(containers) <= 3  # this one, the preflight's, and one of another test


def test_both_outputs_arrive_apart_and_the_exit_code_is_the_programs(launch, nothing_left):
    code, output, errors = finish(launch("sh", "-c", "echo out; echo err >&2; exit 42", ranks=1))
    assert (code, output) == (42, "out\n")
    assert "err\n" in errors
    assert "setpgid" not in errors


def test_output_is_live(launch, nothing_left):
    process = launch("sh", "-c", "echo first; sleep 60; echo last", ranks=1)
    assert process.stdout.readline() == "first\n"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130


def test_files_arguments_and_variables_reach_every_rank_unchanged(launch, tmp_path, nothing_left, subcluster):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "input.txt").write_text("42\n")
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "$PWD" > folder-$OMPI_COMM_WORLD_RANK\necho "$(cat data/input.txt)|$1|$ODD"\n')
    program.chmod(0o755)
    options = ("--files", tmp_path, "--env", "ODD=a 'b' $c=\"d\"")
    code, output, errors = finish(launch("./program", "x  y", options=options))
    assert (code, output.splitlines()) == (0, ["42|x  y|a 'b' $c=\"d\""] * 4), errors
    folders = subcluster.on("frontend", f"cat /home/{subcluster.cluster.user}/jobs/*/folder-3").split()
    assert len(folders) == 1


def test_programs_look_at_the_clock_without_a_system_call(launch, nothing_left):
    """PRoot hides the vDSO, with which MPI waits, from what it runs as another kernel."""
    code, output, errors = finish(launch("sh", "-c", "LD_SHOW_AUXV=1 sh -c :", ranks=1))
    assert (code, "AT_SYSINFO_EHDR" in output) == (0, True), errors


def test_threads_of_a_program_share_their_memory(launch, nothing_left):
    """PRoot takes a thread that was started by clone3 for a process with a heap of its own."""
    assert finish(launch("heap", ranks=1))[:2] == (0, "right\n")


def test_a_job_that_takes_too_long_is_ended_with_the_code_of_timeout(launch, nothing_left):
    assert finish(launch("mpi_hello", "300", options=("--time", "4")))[0] == 124


def test_the_images_own_launcher_starts_the_ranks_if_it_is_asked_to(launch, nothing_left):
    code, output, errors = finish(launch("mpi_hello", options=("--mode", "inside")))
    assert code == 0, errors
    assert all(map(re.fullmatch, HELLO, sorted(output.splitlines()))), output


def test_a_rehearsal_tells_the_commands_and_runs_nothing(launch, subcluster):
    code, output, errors = finish(launch("touch", "never", options=("--dry-run", "--workdir", "/tmp")))
    assert code == 0, errors
    assert re.search(
        r"^frontend: cd \S+ && mpirun --host worker-1:2,worker-2:2 -np 4 .* touch never$",
        output,
        re.DOTALL | re.MULTILINE,
    )
    assert subcluster.on("frontend", "ls /tmp/never; true", user=subcluster.cluster.user) == ""


def test_more_ranks_than_slots_are_refused_before_anything_starts(launch):
    code, output, errors = finish(launch("mpi_hello", ranks=5))
    assert (code, output) == (2, "")
    assert "5 ranks do not fit: the sub-cluster has 4 slots" in errors
    assert "worker-1 2, worker-2 2" in errors


def test_a_program_that_is_not_in_the_image_is_named(launch, nothing_left):
    code, _, errors = finish(launch("no_such_program", ranks=1))
    assert code == 127
    assert "no_such_program" in errors


def test_one_rank_that_fails_ends_the_job_with_its_code(launch, nothing_left):
    script = '[ "$OMPI_COMM_WORLD_RANK" != 1 ] || exit 7; sleep 300'
    assert finish(launch("sh", "-c", script))[0] == 7


def test_one_rank_that_is_killed_ends_the_job_with_the_code_of_its_signal(launch, subcluster, nothing_left):
    process = launch("mpi_hello", "300")
    process.stdout.readline()
    subcluster.on("worker-2", "kill -9 $(pgrep -x mpi_hello | head -n 1)")
    assert finish(process)[0] == 137


def test_a_client_that_is_killed_leaves_nothing_running(launch, subcluster):
    cluster = subcluster.cluster
    process = launch("mpi_hello", "300")
    process.stdout.readline()
    assert len(subcluster.left_over(cluster)) > 4
    process.kill()
    wait_until_nothing_is_left(subcluster, cluster)


def test_a_connection_that_falls_silent_ends_the_job(subcluster, mpi_image, nothing_left):
    """The ssh process that holds the connection stops: as if the network swallowed everything."""
    script = f"""
import sys
from im.api import LocalManager
from im.config import load_settings
from im.jobs.mpi import MpiJob, run
with LocalManager(load_settings()) as im:
    job = MpiJob(4, {str(mpi_image)!r}, ("mpi_hello", "300"), patience=8.0)
    sys.exit(run(im.cluster({subcluster.name!r}), job, emit=lambda event: None))
"""
    cluster = subcluster.cluster
    process = subcluster.python(script)
    master = 0
    try:
        assert "right" in process.stdout.readline()
        master = connection_to_front_end(cluster)
        os.kill(master, signal.SIGSTOP)
        wait_until_nothing_is_left(subcluster, cluster)
    finally:
        if master:
            os.kill(master, signal.SIGCONT)
        process.kill()
        process.communicate()


def test_a_connection_that_breaks_ends_the_job_and_says_so(launch, subcluster, nothing_left):
    process = launch("mpi_hello", "300")
    process.stdout.readline()
    (ssh,) = children(process.pid)
    os.kill(ssh, signal.SIGKILL)
    code, _, errors = finish(process)
    assert code == 125
    assert "error job" in errors


def test_a_supervisor_that_is_killed_leaves_nothing_running(launch, subcluster, nothing_left):
    process = launch("mpi_hello", "300")
    process.stdout.readline()
    subcluster.on("frontend", "pkill -9 -f 'supervisor[.]py /'")
    code, _, errors = finish(process)
    assert code == 125
    assert "ended without a result" in errors


def test_a_node_that_loses_its_daemon_ends_the_job(launch, subcluster, nothing_left):
    process = launch("mpi_hello", "300")
    process.stdout.readline()
    subcluster.on("worker-1", "pkill -9 -x orted")
    assert finish(process)[0] != 0


def test_ctrl_c_ends_all_ranks(launch, nothing_left):
    process = launch("mpi_hello", "300")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert finish(process, 30)[0] == 130


def test_a_daemon_that_hides_from_us_does_not_outlive_its_job(launch, nothing_left):
    assert finish(launch("sh", "-c", "env -i setsid sleep 300 >/dev/null 2>&1 & sleep 1; exit 0"))[0] == 0


def test_two_clients_with_a_new_image_prepare_it_once(launch, subcluster, mpi_image, tmp_path):
    image = tmp_path / "new.tar"
    image.write_bytes(mpi_image.read_bytes() + b"\0" * 10240)
    both = [launch("mpi_hello", ranks=2, image=image) for _ in range(2)]
    results = [finish(process) for process in both]
    assert [code for code, _, _ in results] == [0, 0], results
    name = f"im-{hashlib.sha256(image.read_bytes()).hexdigest()[:16]}"
    assert subcluster.on("frontend", f"udocker ps | grep -c {name}", user=subcluster.cluster.user) == "1\n"


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def docker_save(rootfs: Path, path: Path) -> Path:
    """Write what ``docker save`` would for an image of one layer."""
    layer = hashlib.sha256(rootfs.read_bytes()).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/no/entrypoint"], "Env": ["COLOUR=red"]},
    }
    config |= {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]}, "history": []}
    text = json.dumps(config).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": ["lab/mpi:saved"], "Layers": [f"{layer}/layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        add(archive, name, text)
        archive.add(rootfs, f"{layer}/layer.tar")
        add(archive, f"{layer}/VERSION", b"1.0")
        add(archive, f"{layer}/json", json.dumps({"id": layer, **config}).encode())
        add(archive, "repositories", json.dumps({"lab/mpi": {"saved": layer}}).encode())
        add(archive, "manifest.json", json.dumps(manifest).encode())
    return path


def oci_archive(rootfs: Path, path: Path) -> Path:
    """Write an OCI image layout of one layer as an archive."""
    layer = hashlib.sha256(rootfs.read_bytes()).hexdigest()
    config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["COLOUR=blue"]}}
    config |= {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]}}
    blobs = {layer: rootfs.read_bytes()}

    def blob(kind: str, value: object) -> dict[str, object]:
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        digest = hashlib.sha256(text).hexdigest()
        blobs[digest] = text
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(text)}

    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
    manifest |= {"config": blob("config.v1+json", config), "layers": [blob("layer.v1.tar", blobs[layer])]}
    tag = {"annotations": {"org.opencontainers.image.ref.name": "lab/mpi:oci"}}
    index = {"schemaVersion": 2, "manifests": [blob("manifest.v1+json", manifest) | tag]}
    with tarfile.open(path, "w") as archive:
        add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add(archive, "index.json", json.dumps(index).encode())
        for digest, content in blobs.items():
            add(archive, f"blobs/sha256/{digest}", content)
    return path


@pytest.mark.parametrize("form", [(docker_save, "red"), (oci_archive, "blue")], ids=["docker-save", "oci"])
def test_archives_of_other_formats_run_too_with_the_images_own_variables(launch, subcluster, mpi_image, tmp_path, form):
    pack, colour = form
    image = pack(mpi_image, tmp_path / "image.tar")
    code, output, errors = finish(launch("sh", "-c", "echo $COLOUR; mpi_hello", ranks=2, image=image))
    assert code == 0, errors
    assert output.count(f"{colour}\n") == 2
    assert len(re.findall(r"container im-mpi-\w{16}, sum 3: right", output)) == 2
    assert "im/im-" not in subcluster.on("frontend", "udocker images", user=subcluster.cluster.user)


# the preflight


MPI = Topology(
    software=(
        Software("mpi", "im.nodes.OpenMPI", "worker", provides={"mpi": {}}),
        Software("udocker", "im.nodes.Udocker", "worker", provides={"container_engine": {}}),
    )
)


@pytest.fixture
def broken(subcluster):
    """Breaks one thing on a node and mends it afterwards."""
    mends = []

    def break_it(node, script, mend):
        mends.append((node, mend))
        subcluster.on(node, script)

    yield break_it
    for node, mend in mends:
        subcluster.on(node, mend)


def failure(subcluster):
    with pytest.raises(PreflightError) as caught:
        preflight(subcluster.cluster, MPI, emit=lambda event: None)
    return str(caught.value)


def test_a_healthy_cluster_passes_with_two_ranks_in_containers_on_two_nodes(subcluster, nothing_left):
    events = []
    preflight(subcluster.cluster, MPI, emit=events.append)
    assert "2 ranks in containers on worker-1, worker-2" in [event.message for event in events]


def test_without_mpi_in_the_template_the_rest_is_still_checked(subcluster):
    events = []
    preflight(subcluster.cluster, Topology(), emit=events.append)
    assert [event.code for event in events] == ["preflight", "mesh", "mpi-skipped", "preflight"]


def test_a_name_that_a_node_does_not_know_is_found(subcluster, broken):
    broken(
        "worker-2",
        "sed 's/ worker-1$/ elsewhere/' /etc/hosts > /tmp/h; cp /etc/hosts /tmp/saved; cat /tmp/h > /etc/hosts",
        "cat /tmp/saved > /etc/hosts",
    )
    assert failure(subcluster).startswith("node worker-2, names: cannot resolve worker-1")


def test_a_node_whose_own_name_is_the_loopback_is_found(subcluster, broken):
    broken(
        "worker-1",
        "cp /etc/hosts /tmp/saved; (echo 127.0.1.1 worker-1; cat /tmp/saved) > /tmp/h; cat /tmp/h > /etc/hosts",
        "cat /tmp/saved > /etc/hosts",
    )
    assert failure(subcluster).startswith("node worker-1, names: resolves worker-1 to 127.0.1.1")


def test_a_login_that_is_refused_between_two_workers_is_found(subcluster, broken):
    address = subcluster.cluster.node("worker-1").private_address
    broken(
        "worker-2",
        f"echo 'Match Address {address}\n  DenyUsers *' > /etc/ssh/sshd_config.d/broken.conf; pkill -HUP -o -x sshd",
        "rm /etc/ssh/sshd_config.d/broken.conf; pkill -HUP -o -x sshd",
    )
    assert failure(subcluster).startswith("node worker-1, ssh: cannot log in to worker-2")


SAVE = "mv /usr/local/bin/udocker /tmp/udocker.saved"
MEND = "mv /tmp/udocker.saved /usr/local/bin/udocker"


def test_a_container_engine_that_a_node_lacks_is_found(subcluster, broken):
    broken("worker-2", SAVE, MEND)
    message = failure(subcluster)
    assert message.startswith("node worker-1, worker-2, mpi:")
    assert "udocker" in message


def test_ranks_that_are_not_inside_their_container_are_found(subcluster, broken):
    """As a proot without seccomp does: the program runs, on the node's own files, with exit code 0."""
    script = '#!/bin/sh\nwhile [ "$1" != /usr/bin/python3 ]; do shift; done; exec "$@"'
    broken(
        "worker-2",
        f"{SAVE}; echo '{script}' > /usr/local/bin/udocker; chmod 755 /usr/local/bin/udocker",
        MEND,
    )
    assert failure(subcluster).startswith("node worker-2, mpi: a rank ran on the node's own files")


def test_ranks_that_their_launcher_cannot_speak_to_are_found(subcluster, broken):
    script = '#!/bin/sh\nexec env -i HOME="$HOME" USER="$USER" IM_JOB="$IM_JOB" PATH="$PATH" /tmp/udocker.saved "$@"\n'
    put = f"{SAVE}; printf '%s' '{script}' > /usr/local/bin/udocker; chmod 755 /usr/local/bin/udocker"
    for node in ("worker-1", "worker-2"):
        broken(node, put, MEND)
    assert failure(subcluster).startswith("node worker-1, worker-2, mpi: every rank believes that it is alone")


def test_ports_that_are_closed_between_two_nodes_are_found(subcluster, monkeypatch):
    """Logins pass, all else that begins on one of them is dropped at worker-2 (this machine's iptables in its network).

    One way is not enough: ranks need only one of the two connections that they try.
    """
    monkeypatch.setattr("im.jobs.preflight.MPI_LIMIT", 15.0)
    address = subcluster.cluster.node("worker-1").private_address
    rules = [
        [chain, "-p", "tcp", side, address, "!", "--dport", "22", "--syn", "-j", "DROP"]
        for chain, side in (("INPUT", "-s"), ("OUTPUT", "-d"))
    ]
    inside = ["nsenter", "--net", "--target", str(process_on(subcluster, "worker-2")), "iptables"]
    for rule in rules:
        subprocess.run([*inside, "-A", *rule], check=True)
    try:
        assert re.match(
            r"node worker-1, worker-2, mpi: 2 ranks did not find each other in time .*"
            r"\(nodes must reach each other on all TCP ports",
            failure(subcluster),
        )
    finally:
        for rule in rules:
            subprocess.run([*inside, "-D", *rule], check=True)


def process_on(subcluster, node) -> int:
    """Return a process of this machine that is on a node: the only one with a secret in its environment."""
    secret = f"IM_TEST={secrets.token_hex(8)}"
    subcluster.on(node, f"env {secret} setsid sleep 60 > /dev/null 2>&1 &")
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if secret.encode() in path.read_bytes().split(b"\0"):
                return int(path.parent.name)
    raise AssertionError(f"no process of {node} is seen")


def test_a_job_that_loses_a_node_ends_says_so_and_leaves_nothing_on_the_others(another, mpi_image):
    with another("die", ["workers=2", "worker_cpus=1"]) as doomed:
        cluster = doomed.cluster
        process = doomed.client("mpi", "run", doomed.name, "-n", 2, "--image", mpi_image, "--", "mpi_hello", "300")
        process.stdout.readline()
        LocalProvider(doomed.settings, "local").stop([cluster.node("worker-2").id])
        code, _, errors = finish(process, 60)
        assert code == 125
        assert "the job has lost node worker-2" in errors
        left = replace(cluster, nodes=tuple(node for node in cluster.nodes if node.name != "worker-2"))
        wait_until_nothing_is_left(doomed, left)


def test_an_engine_that_the_cluster_lacks_is_refused(subcluster, mpi_image):
    with pytest.raises(InputError, match="has no container engine 'docker'"):
        run(subcluster.cluster, MpiJob(1, str(mpi_image), ("true",), engine="docker"), emit=lambda event: None)


def connection_to_front_end(cluster) -> int:
    """Return the process that holds the user's shared connection to the front-end."""
    line = connection.command(cluster, cluster.front_end, user=cluster.user)
    told = subprocess.run([*line[:-1], "-O", "check", line[-1]], capture_output=True, check=True, text=True).stderr
    return int(re.search(r"pid=(\d+)", told)[1])


def children(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
