"""MPI jobs under Slurm: the same command gets its nodes from the queue, and gives them back however it ends."""

from __future__ import annotations

import json
import re
import signal
import time

import pytest

pytestmark = pytest.mark.e2e_local


@pytest.fixture
def mpi(batch_cluster, mpi_image):
    """Starts ``im_client mpi run``."""

    def mpi(*program, ranks=4, options=()):
        words = ("mpi", "run", batch_cluster.name, "-n", ranks, "--image", mpi_image, *options, "--", *program)
        return batch_cluster.client(*words)

    return mpi


@pytest.fixture
def queue(batch_cluster):
    """Shows the jobs of the sub-cluster's user; there are none after the test, and none of their processes."""

    def queue():
        return batch_cluster.on("frontend", "squeue --noheader --format='%j %T'", user=batch_cluster.cluster.user)

    yield queue
    until = time.monotonic() + 40
    while left := [*queue().splitlines(), *batch_cluster.left_over()]:
        assert time.monotonic() < until, left
        time.sleep(0.5)


@pytest.mark.parametrize("mode", ["hybrid", "inside"])
def test_ranks_run_where_slurm_put_them_within_the_limits_of_their_job(mpi, queue, mode):
    script = "mpi_hello; grep -o 'slurm[^/]*/uid_[0-9]*/job_[0-9]*' /proc/self/cgroup | head -n 1"
    output, errors = mpi("sh", "-c", script, options=("--mode", mode)).communicate(timeout=120)
    nodes = re.findall(r"rank \d of 4 on (\S+), container im-mpi-\w{16}, sum 10: right", output)
    assert sorted(nodes) == ["worker-1", "worker-1", "worker-2", "worker-2"], errors
    groups = re.findall(r"slurm_(\S+)/uid_\d+/job_(\d+)", output)
    assert sorted(node for node, _ in groups) == sorted(nodes)
    assert len({job for _, job in groups}) == 1


def test_the_exit_code_is_the_programs_and_the_job_has_completed(mpi, queue, batch_cluster):
    process = mpi("sh", "-c", "exit 7", ranks=1)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 7
    job = re.search(r"ranks .* in /home/[^/]*/jobs/(\w+)", errors)[1]
    ask = f"squeue --noheader --states=all --name=im-{job} --format=%T"
    until = time.monotonic() + 30
    while (state := batch_cluster.on("frontend", ask, user=batch_cluster.cluster.user).strip()) == "COMPLETING":
        assert time.monotonic() < until, "the epilogs do not end"
        time.sleep(0.2)
    assert state == "COMPLETED"


def test_the_record_of_a_job_says_which_image_it_ran(mpi, queue, batch_cluster, mpi_image):
    errors = mpi("mpi_hello", ranks=1).communicate(timeout=120)[1]
    job = re.search(r"ranks .* in /home/[^/]*/jobs/(\w+)", errors)[1]
    until = time.monotonic() + 30
    while not (records := json.loads(batch_cluster.on("frontend", f"im-batch acct --json {job}"))):
        assert time.monotonic() < until, "no record was written"
        time.sleep(0.3)
    assert [record["image"] for record in records] == [str(mpi_image)]


def test_a_job_waits_for_its_turn_and_ctrl_c_takes_it_from_the_queue(mpi, queue, batch_cluster):
    user = batch_cluster.cluster.user
    batch_cluster.on("frontend", "sbatch --quiet --ntasks=4 --job-name=all --wrap 'sleep 300'", user=user)
    try:
        process = mpi("mpi_hello")
        until = time.monotonic() + 60
        while not re.search(r"^im-\w+ PENDING$", queue(), re.MULTILINE):
            assert time.monotonic() < until
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 130
        assert queue().split() == ["all", "RUNNING"]
    finally:
        batch_cluster.on("frontend", "scancel --name=all", user=user)


@pytest.mark.parametrize("victim", ["client", "supervisor"])
def test_nodes_are_given_back_when_something_is_killed(mpi, queue, batch_cluster, victim):
    process = mpi("mpi_hello", "300")
    process.stdout.readline()
    assert "RUNNING" in queue()
    if victim == "client":
        process.kill()
    else:
        batch_cluster.on("frontend", "pkill -9 -f 'supervisor[.]py /'")
    process.communicate(timeout=60)
