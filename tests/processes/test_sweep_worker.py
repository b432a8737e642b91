"""Workers of a scan, with a shell of this machine where a container would be."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time

import pytest

from im.jobs.remote import ward
from im.jobs.sweep.remote import front, manifest


class Scan:
    """A scan's folder, and workers on it as processes."""

    def __init__(self, folder):
        self.folder = folder
        self.name = secrets.token_hex(8)

    def make(self, words, points, *, check=(), retries=0, at_most=0, prefix=("sh", "-c", '"$@"', "sh"), batches=None):
        wanted = {
            "id": self.name,
            "image": "none",
            "words": list(words),
            "check": list(check),
            "env": {"COLOUR": "green"},
            "retries": retries,
            "at_most": at_most,
            "memory": "",
            "points": len(points),
            "prefix": list(prefix),
            "nodes": [["here", 2]],
            "here": "here",
        }
        (self.folder / "sweep.json").write_text(json.dumps(wanted))
        (self.folder / "points.jsonl").write_text("".join(f"{json.dumps(point)}\n" for point in points))
        if batches is None:
            batches = [list(range(len(points)))]
        if batches:
            self.attempt(batches)
        return self

    def attempt(self, batches):
        folder = self.folder / "attempts" / str(len(list(self.folder.glob("attempts/*"))) + 1)
        (folder / "claims").mkdir(parents=True)
        (folder / "batches.json").write_text(json.dumps(batches))
        return folder

    def start(self, number=0, *options, attempt=1):
        line = [sys.executable, "-m", "im.jobs.sweep.remote.worker", *options, str(self.folder), str(attempt)]
        return subprocess.Popen([*line, str(number)], stdin=subprocess.PIPE)

    def run(self):
        assert self.start().wait(60) == 0
        return self

    @property
    def manifest(self):
        return manifest.Manifest(self.folder)

    @property
    def states(self):
        return {point: record["state"] for point, record in self.manifest.states().items()}

    def text(self, point, name="out"):
        return (self.folder / "points" / str(point) / name).read_text()


@pytest.fixture
def scan(tmp_path):
    return Scan(tmp_path)


def wait_until(condition, seconds=20):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def test_every_point_runs_in_a_folder_of_its_own_with_its_values(scan):
    scan.make(["sh", "-c", "echo {m0} {point} $COLOUR $PWD; echo e >&2; echo r > r"], [{"m0": "1"}, {"m0": "2"}]).run()
    assert scan.text(1) == f"2 1 green {scan.folder}/points/1\n"
    assert (scan.text(1, "err"), scan.text(1, "r")) == ("e\n", "r\n")
    assert scan.states == {0: "done", 1: "done"}


@pytest.mark.parametrize("value", ["a  b", "$HOME `id` \"x\" 'y'", "-n", "", "two\nlines", "*", "a;b#c\\"])
def test_values_reach_the_program_unchanged(scan, value):
    scan.make([sys.executable, "-c", "import sys; print(repr(sys.argv[1]))", "{m0}"], [{"m0": value}]).run()
    assert scan.text(0) == f"{value!r}\n"


def test_one_container_serves_all_points(scan):
    prefix = ("sh", "-c", f'echo x >> {scan.folder}/starts; exec "$@"', "sh")
    scan.make(["true"], [{"a": str(i)} for i in range(20)], prefix=prefix).run()
    assert (scan.folder / "starts").read_text() == "x\n"
    assert set(scan.states.values()) == {"done"}


def test_a_point_that_fails_has_its_code_and_the_others_go_on(scan):
    scan.make(["sh", "-c", "exit {a}"], [{"a": "3"}, {"a": "0"}]).run()
    assert scan.manifest.states()[0]["code"] == 3
    assert scan.states == {0: "failed", 1: "done"}


def test_a_check_may_find_that_a_program_failed_which_said_0(scan):
    scan.make(["sh", "-c", "echo {a} > r"], [{"a": "good"}, {"a": "bad"}], check=["grep", "-q", "good", "r"]).run()
    assert scan.states == {0: "done", 1: "failed"}


def test_a_failed_point_is_tried_again_as_often_as_it_may(scan):
    scan.make(["sh", "-c", "echo x >> tries; [ $(wc -l < tries) -ge {a} ]"], [{"a": "3"}, {"a": "4"}], retries=2).run()
    assert scan.states == {0: "done", 1: "failed"}
    assert scan.manifest.states()[0]["tries"] == 3


def test_a_container_that_ends_under_a_point_fails_it_and_the_next_gets_a_new_one(scan):
    scan.make(["sh", "-c", "{a}"], [{"a": "kill -9 $PPID"}, {"a": "true"}]).run()
    assert scan.states == {0: "failed", 1: "done"}


def test_a_container_that_never_starts_ends_the_worker(scan):
    scan.make(["true"], [{"a": str(i)} for i in range(10)], prefix=("false",))
    assert scan.start().wait(60) == 1
    assert len(scan.states) == 3


def test_workers_share_the_batches_and_no_point_runs_twice(scan):
    points = [{"a": str(i)} for i in range(60)]
    scan.make(["sh", "-c", "echo x >> runs"], points, batches=manifest.batches(list(range(60)), 4))
    workers = [scan.start(number) for number in range(4)]
    assert [process.wait(60) for process in workers] == [0] * 4
    assert {scan.text(i, "runs") for i in range(60)} == {"x\n"}


def test_files_are_there_for_every_point_and_are_not_left_in_its_folder(scan):
    (scan.folder / "files").mkdir()
    (scan.folder / "files" / "table").write_text("7\n")
    scan.make(["sh", "-c", "cat table; echo new > other"], [{"a": "1"}]).run()
    assert scan.text(0) == "7\n"
    assert sorted(path.name for path in (scan.folder / "points" / "0").iterdir()) == ["err", "other", "out"]


@pytest.mark.parametrize("end", ["hang up", "terminate"])
def test_a_worker_whose_master_goes_leaves_nothing_and_its_point_is_lost(scan, end):
    scan.make(["sh", "-c", "setsid sleep 300 & touch started; sleep 300"], [{"a": "1"}])
    process = scan.start(0, "--attached")
    wait_until((scan.folder / "points/0/started").exists)
    if end == "hang up":
        process.stdin.close()
    else:
        process.send_signal(signal.SIGTERM)
    process.wait(20)
    assert ward.marked(f"{scan.name}-1-0") == set()
    assert scan.states == {0: "lost"}


def test_batches_get_smaller_and_hold_each_point_once():
    found = manifest.batches(list(range(1000)), 4)
    assert [point for batch in found for point in batch] == list(range(1000))
    sizes = [len(batch) for batch in found]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1]) == (125, 1)


def test_a_line_that_broke_off_was_never_written(scan):
    scan.make(["true"], [{"a": "1"}, {"a": "2"}]).run()
    with next(scan.folder.glob("attempts/1/results-*")).open("a") as file:
        file.write('{"point": 1, "state": "fai')
    assert scan.states == {0: "done", 1: "done"}


@pytest.fixture
def pool_only(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # no Slurm here, whatever this machine has
    monkeypatch.setattr(front.shutil, "which", lambda _: None)


def staged(scan):
    from im.jobs.sweep.client import stage

    stage(scan.folder)
    return scan


def finished(scan):
    return front.status(scan.manifest)["state"] != "running"


def test_a_pool_runs_all_points_and_ends(scan, pool_only):
    staged(scan).make(["true"], [{"a": str(i)} for i in range(30)], batches=[])
    assert front.start(scan.manifest, "") == {"started": 30, "workers": 2, "by": "pool"}
    wait_until(lambda: finished(scan))
    known = front.status(scan.manifest)
    assert (known["state"], known["done"], known["queued"]) == ("finished", 30, 0)


def test_no_more_points_run_at_a_time_than_were_asked_for(scan, pool_only):
    alone = f"mkdir {scan.folder}/busy || exit 8; sleep 0.05; rmdir {scan.folder}/busy"
    staged(scan).make(["sh", "-c", alone], [{"a": str(i)} for i in range(6)], at_most=1, batches=[])
    assert front.start(scan.manifest, "")["workers"] == 1
    wait_until(lambda: finished(scan))
    assert set(scan.states.values()) == {"done"}


@pytest.mark.parametrize(
    ("ages", "left", "seconds"),
    [
        ([40, 30, 20, 10], 100, 1000),  # four points in forty seconds
        ([], 100, None),
        ([5], 100, None),
        ([40, 30], 0, None),
    ],
)
def test_the_rest_takes_as_long_as_the_pace_so_far_says(scan, ages, left, seconds):
    attempt = scan.attempt([[0]])
    now = time.time()
    os.utime(attempt / "batches.json", (now - 40, now - 40))
    found = front.estimate([{"at": now - age} for age in ages], left, attempt)
    assert found == (None if seconds is None else pytest.approx(seconds, rel=0.1))


def test_the_rest_of_a_scan_that_stands_still_is_not_estimated(scan):
    assert front.estimate([{"at": time.time()}] * 9, 10, None) is None


def test_a_scan_that_was_cancelled_goes_on_where_it_was_and_only_failed_points_are_retried(scan, pool_only):
    staged(scan).make(
        ["sh", "-c", "echo x >> runs; [ ! -e {a} ] || sleep 300; [ {a} != bad ] || [ -e {hold} ]"],
        [
            {"a": "good", "hold": "/"},
            {"a": "/dev/null", "hold": "/"},
            {"a": "bad", "hold": f"{scan.folder}/mended"},
        ],
        batches=[],
    )
    front.start(scan.manifest, "")
    wait_until(lambda: scan.states == {0: "done", 1: "running", 2: "failed"})
    assert front.start(scan.manifest, "")["error"] == "the scan is running"
    assert front.cancel(scan.manifest) == {"cancelled": True}
    assert scan.states[1] == "lost"
    (scan.folder / "mended").touch()
    assert front.start(scan.manifest, "failed")["started"] == 1
    wait_until(lambda: finished(scan))
    assert scan.states == {0: "done", 1: "lost", 2: "done"}
    assert (scan.text(0, "runs"), scan.text(2, "runs")) == ("x\n", "x\nx\n")


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Puts a shell script in the way of one of Slurm's commands."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=":")

    def command(name, script):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)

    return command


def test_a_scan_that_slurm_refuses_leaves_nothing(command, tmp_path, capsys):
    command("sbatch", "echo 'sbatch: error: Memory specification can not be satisfied' >&2; exit 1")
    folder = tmp_path / "refused"
    folder.mkdir()
    refused = Scan(folder).make(["true"], [{}], batches=[])
    front.main([str(refused.folder), "start"])
    assert "Memory specification" in json.loads(capsys.readouterr().out)["error"]
    assert not folder.exists()


@pytest.mark.parametrize(
    ("says", "alive"),
    [
        ("echo RUNNING", True),
        (":", False),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", False),
        ("echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1", True),
    ],
)
def test_a_scan_is_over_when_slurm_says_so_and_not_when_it_is_silent(scan, command, says, alive):
    attempt = scan.make(["true"], [{"a": "1"}], batches=[]).attempt([[0]])
    (attempt / "job").write_text("7")
    command("squeue", says)
    assert scan.manifest.alive(attempt) == alive


def test_the_table_has_a_line_per_point_with_its_parameters(scan):
    scan.make(["sh", "-c", "exit {a}"], [{"a": "0"}, {"a": "5"}], batches=[[1]]).run()
    front.table(scan.manifest)
    lines = (scan.folder / "results.csv").read_text().splitlines()
    assert lines[0] == "point,a,state,code,check,seconds,node,tries"
    assert lines[1] == "0,0,queued,,,,,"
    assert lines[2].startswith("1,5,failed,5,0,")
