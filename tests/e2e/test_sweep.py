"""Scans on real nodes: under Slurm where there is one, else by a pool over ssh."""

from __future__ import annotations

import csv
import json
import signal
import time

import pytest

pytestmark = pytest.mark.e2e_local

PROGRAM = """#!/bin/sh
echo "$1 on $(hostname)"
echo "$1" > result
mkdir -p {home}/sweeps/nodes && touch {home}/sweeps/nodes/$(hostname)
until [ -e {home}/sweeps/nodes/worker-1 ] && [ -e {home}/sweeps/nodes/worker-2 ]; do sleep 0.05; done
[ ! -e {home}/sweeps/hold ] || sleep 300
[ "$1" != 7 ] || [ -e {home}/sweeps/mended ] || exit 9
"""


@pytest.fixture(scope="module", params=["slurm", "pool"])
def place(request):
    """The sub-cluster with Slurm, and the one without."""
    return request.getfixturevalue("batch_cluster" if request.param == "slurm" else "subcluster")


@pytest.fixture
def inputs(tmp_path, place):
    """Forty points, and a program that fails at one of them and waits until both workers have begun."""
    files = tmp_path / "files"
    files.mkdir()
    program = files / "run.sh"
    program.write_text(PROGRAM.replace("{home}", f"/home/{place.cluster.user}"))
    program.chmod(0o755)
    (tmp_path / "points.csv").write_text("m0\n" + "".join(f"{i}\n" for i in range(40)))
    return ("--params", tmp_path / "points.csv", "--files", files)


def client(place, *words, code=0):
    process = place.client("sweep", words[0], place.name, *words[1:])
    output, errors = process.communicate(timeout=180)
    assert process.returncode == code, errors
    return output


def status(place, sweep):
    return json.loads(client(place, "status", sweep, "--json"))[0]


def wait_for(condition, seconds=60):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.3)


def test_a_scan_runs_fails_at_a_point_is_mended_and_collected(place, mpi_image, inputs, tmp_path):
    words = ("--image", mpi_image, *inputs, "--check", "test -s result", "--", "./run.sh", "{m0}")
    sweep = client(place, "run", *words, code=1).strip()
    known = status(place, sweep)
    assert (known["state"], known["done"], known["failed"]) == ("finished", 39, 1)
    assert client(place, "logs", sweep, "5").startswith("5 on worker-")

    user = place.cluster.user
    place.on("frontend", f"touch /home/{user}/sweeps/mended")
    try:
        client(place, "resume", sweep, "--failed")
    finally:
        place.on("frontend", f"rm /home/{user}/sweeps/mended")
    client(place, "collect", sweep, tmp_path / "got")
    with (tmp_path / "got" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["state"] for row in rows} == {"done"}
    assert {row["node"] for row in rows} == {"worker-1", "worker-2"}
    assert [row["tries"] for row in rows] == ["2" if i == 7 else "1" for i in range(40)]
    assert [(tmp_path / f"got/points/{i}/result").read_text() for i in range(40)] == [f"{i}\n" for i in range(40)]


def test_a_scan_survives_its_client_and_ends_when_it_is_cancelled(place, mpi_image, inputs):
    user = place.cluster.user
    place.on(
        "frontend",
        f"mkdir -p /home/{user}/sweeps; touch /home/{user}/sweeps/hold; chown -R {user}: /home/{user}/sweeps",
    )
    try:
        words = ("--image", mpi_image, *inputs, "--", "./run.sh", "{m0}")
        process = place.client("sweep", "run", place.name, *words)
        sweep = process.stdout.readline().strip()
        wait_for(lambda: status(place, sweep)["running"] == 4)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert status(place, sweep)["state"] == "running"
        client(place, "cancel", sweep)
        known = status(place, sweep)
        assert (known["state"], known["done"], known["lost"]) == ("stopped", 0, 4)
        wait_for(lambda: not [line for line in place.left_over() if "sleep" in line or "proot" in line])
    finally:
        place.on("frontend", f"rm /home/{user}/sweeps/hold")
    client(place, "resume", sweep, code=1)
    assert status(place, sweep)["done"] == 39


def test_a_grid_runs_one_point_at_a_time_with_a_check_that_finds_a_wrong_result(place, mpi_image, tmp_path):
    (tmp_path / "grid.yaml").write_text("m0: { from: 100, to: 300, steps: 3 }\nmodel: [right, wrong]\n")
    busy = f"/home/{place.cluster.user}/sweeps/busy"
    program = f"mkdir {busy} || exit 8; sleep 0.2; rmdir {busy}; echo {{m0}} {{model}} > result"
    words = ("--image", mpi_image, "--params", tmp_path / "grid.yaml", "--at-most", 1, "--retries", 1, "-d")
    sweep = client(place, "run", *words, "--check", "grep -q right result", "--", "sh", "-c", program).strip()
    wait_for(lambda: status(place, sweep)["state"] != "running")
    client(place, "collect", sweep, tmp_path / "got")
    with (tmp_path / "got" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["m0"], row["model"]) for row in rows[:3]] == [
        ("100.0", "right"),
        ("100.0", "wrong"),
        ("200.0", "right"),
    ]
    assert [(row["state"], row["code"], row["tries"]) for row in rows] == [("done", "0", "1"), ("failed", "0", "2")] * 3
    assert len({row["node"] for row in rows}) == 1
