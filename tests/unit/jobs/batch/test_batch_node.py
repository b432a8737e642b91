"""What runs on nodes for a batch job: usage from control groups, the job's report, exit codes, the program's words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest
from im_batch import cli, hooks, processes, slurm, udocker, usage
from im_batch.faults import BatchError


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_usage_is_read_from_version_1_whatever_slurm_calls_its_part(tmp_path):
    for controller in ("memory", "cpuacct"):
        (tmp_path / controller / "slurm_worker-1").mkdir(parents=True)
    places = usage.groups(7, 1201, tmp_path)
    usage.pin(places)
    job = "slurm_worker-1/uid_1201/job_7"
    write(tmp_path / "cpuacct" / job / "cpuacct.usage", "1500000000\n")
    write(tmp_path / "memory" / job / "memory.max_usage_in_bytes", "1048576\n")
    assert (tmp_path / "memory" / job / "im").is_dir()
    assert usage.read(places) == usage.Usage(1.5, 1048576, None)


def test_usage_is_read_from_version_2(tmp_path):
    job = tmp_path / "system.slice/slurmstepd.scope/job_7"
    write(job / "cpu.stat", "usage_usec 2500000\nuser_usec 1\n")
    write(job / "memory.peak", "4096\n")
    write(job / "memory.events", "low 0\noom 3\noom_kill 2\n")
    write(job / "io.stat", "8:0 rbytes=0 wbytes=5 rios=1\n8:16 rbytes=0 wbytes=0\n")
    assert usage.read(usage.groups(7, 1201, tmp_path)) == usage.Usage(2.5, 4096, 2, 0, 5)


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("4:memory:/job_7/task_0\n0::/\n", "memory/job_7/task_0/memory.oom_control"),
        ("0::/job_7/user/task_0\n", "job_7/user/task_0/memory.events"),
    ],
)
def test_a_job_knows_how_often_memory_ran_out_in_either_version(tmp_path, groups, file):
    write(tmp_path / "cgroup", groups)
    write(tmp_path / file, "oom 3\noom_kill 2\n")
    assert usage.own_oom_kills(tmp_path, str(tmp_path / "cgroup")) == 2


def test_disks_are_counted_in_version_2_where_slurm_would_not(tmp_path):
    scope = tmp_path / "system.slice/slurmstepd.scope"
    write(scope / "cgroup.subtree_control", "cpu memory")
    usage.pin(usage.groups(7, 1201, tmp_path))
    assert (scope / "cgroup.subtree_control").read_text() == "+io"


def test_what_nobody_counts_is_unknown_and_not_zero(tmp_path):
    assert usage.read(usage.groups(7, 1201, tmp_path)) == usage.Usage()


def test_an_unpinned_job_leaves_no_group_behind(tmp_path):
    (tmp_path / "memory" / "slurm").mkdir(parents=True)
    places = usage.groups(7, 1201, tmp_path)
    usage.pin(places)
    usage.unpin(places)
    assert list((tmp_path / "memory" / "slurm" / "uid_1201").iterdir()) == []


def test_the_numbers_of_a_report_are_taken(tmp_path):
    (tmp_path / "report").write_text(json.dumps({"code": 3, "read_bytes": 5, "started": 1.5, "image": "x"}))
    assert hooks.claims(tmp_path / "report") == {"code": 3, "read_bytes": 5, "started": 1.5}


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch {marker}']",
        '{"code": {"__reduce__": "os.system"}}',
        '["code"]',
        "[" * 100_000,
        '{"code": true, "read_bytes": "12"}',
        "",
    ],
)
def test_anything_else_in_a_report_is_passed_over(tmp_path, text):
    (tmp_path / "report").write_text(text.replace("{marker}", str(tmp_path / "marker")))
    assert hooks.claims(tmp_path / "report") == {}
    assert not (tmp_path / "marker").exists()


def test_a_report_that_is_a_link_or_a_pipe_is_not_read(tmp_path):
    (tmp_path / "secret").write_text('{"code": 3}')
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    assert hooks.claims(tmp_path / "link") == {}
    assert hooks.claims(tmp_path / "pipe") == {}


@pytest.mark.parametrize("name", ["prolog", "epilog", "collect"])
def test_a_hook_that_cannot_do_its_work_says_so_and_does_not_fail(name, capsys, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert hooks.hook(name) == 0
    assert f"im-batch {name}: KeyError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("state", "status", "expected"),
    [
        ("COMPLETED", 0, 0),
        ("FAILED", 42 << 8, 42),
        ("FAILED", 9, 137),
        ("OUT_OF_MEMORY", 253, 137),
        ("CANCELLED", 0, 137),
        ("TIMEOUT", 15, 143),
    ],
)
def test_exit_codes_are_as_in_a_shell(state, status, expected):
    assert slurm.exit_code(slurm.Job(7, 1201, state, status)) == expected


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Puts a shell script in the way of one of Slurm's commands."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def command(name, script):
        write(tmp_path / name, f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return command


def test_a_task_of_an_array_has_its_own_texts_although_slurm_answers_for_the_whole_array(command):
    command("squeue", 'for task in 7 9 8; do echo "$task|said $task by ${5#*|}|twice"; done')
    assert slurm.texts(8) == ("said 8 by %j|twice", "said 8 by %k|twice")
    assert slurm.texts(6) == ("", "")


SILENT = "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1"


def test_a_job_that_slurm_has_forgotten_is_none(command):
    command("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert slurm.show(7) is None


def test_slurm_that_does_not_answer_is_asked_again(command, tmp_path):
    answer = "echo '7|1201|RUNNING|0|N/A|N/A|1|worker-1|'"
    command("squeue", f"cd {tmp_path}; [ -e asked ] || {{ touch asked; {SILENT}; }}; {answer}")
    assert slurm.show(7) == slurm.Job(7, 1201, "RUNNING", 0, "N/A", "N/A", 1, "worker-1")


def test_slurm_that_never_answers_does_not_mean_that_the_job_is_over(command, monkeypatch):
    monkeypatch.setattr(slurm, "_PATIENCE", 0.0)
    command("squeue", SILENT)
    with pytest.raises(slurm.Silent, match="Unable to contact slurm controller"):
        slurm.show(7)


@pytest.mark.parametrize(
    ("environment", "called"), [({}, "9"), ({"SLURM_ARRAY_JOB_ID": "9", "SLURM_ARRAY_TASK_ID": "3"}, "9_3")]
)
def test_what_a_task_of_an_array_used_is_noted_beside_this_task_alone(command, tmp_path, environment, called):
    command("sacctmgr", f'echo "$3 $4 $5 $6" >> {tmp_path}/calls')
    record = hooks.summary(slurm.Job(9, os.getuid(), "COMPLETED"), "", "", [])
    hooks.note(record, hooks.in_database(9, environment))
    assert (tmp_path / "calls").read_text().splitlines()[-1] == f"modify job jobid={called} set"


def test_a_record_is_slurms_word_and_the_sum_of_the_nodes():
    told = [{"cpu_seconds": 1.5, "peak_memory": 10, "oom_kills": 0}, {"cpu_seconds": 2.0, "peak_memory": 30}]
    record = hooks.summary(slurm.Job(7, 0, "COMPLETED", cpus=2), "fit", "im-batch 3f9c01 lab/tools:1", told)
    assert (record["user"], record["uid"], record["name"]) == ("root", 0, "fit")
    assert (record["container"], record["image"]) == ("3f9c01", "lab/tools:1")
    assert (record["cpu_seconds"], record["peak_memory"], record["read_bytes"]) == (3.5, 30, None)


def test_a_job_that_ran_out_of_memory_says_so_even_where_no_group_counted_it():
    assert hooks.summary(slurm.Job(7, 1201, "OUT_OF_MEMORY"), "", "", [])["oom_kills"] == 1


@pytest.mark.parametrize(
    ("config", "command", "entrypoint", "words"),
    [
        ({"Cmd": ["sh"]}, [], None, ["sh"]),
        ({"Cmd": ["sh"]}, ["ls", "-l"], None, ["ls", "-l"]),
        ({"Cmd": ["-x"], "Entrypoint": ["tool"]}, [], None, ["tool", "-x"]),
        ({"Cmd": ["-x"], "Entrypoint": ["tool"]}, ["-y"], None, ["tool", "-y"]),
        ({"Cmd": ["-x"], "Entrypoint": ["tool"]}, ["-y"], "other", ["other", "-y"]),
        ({"Cmd": ["-x"], "Entrypoint": ["tool"]}, ["-y"], "", ["-y"]),
    ],
)
def test_entry_point_and_command_are_put_together_as_docker_does(config, command, entrypoint, words):
    assert udocker.program(config, command, entrypoint) == words


def test_an_image_without_a_program_wants_one():
    with pytest.raises(BatchError, match="names no program"):
        udocker.program({}, [], None)


@pytest.mark.parametrize(("text", "size"), [("512m", "512M"), ("2g", "2G"), ("1GB", "1G"), ("4096", "4K"), ("", "")])
def test_sizes_are_dockers(text, size):
    assert cli.memory(text) == size


@pytest.mark.parametrize("size", ["much", "0m"])
def test_a_wrong_word_is_a_message_and_an_exit_code(capsys, size):
    assert cli.main(["submit", f"--memory={size}", "image"]) == 125
    assert f"{size!r} is no size" in capsys.readouterr().err


def test_only_the_program_below_a_starter_is_found(tmp_path):
    process = subprocess.Popen(["sh", "-c", "sleep 60 & sh -c 'sleep 60; :' & wait"])
    try:
        limit = time.monotonic() + 10
        while len(processes.descendants(process.pid)) < 3:
            assert time.monotonic() < limit
            time.sleep(0.02)
        assert set(processes.program(process.pid, wrapped=True)) == set(processes.descendants(process.pid))
    finally:
        processes.signal_all([*processes.descendants(process.pid), process.pid], signal.SIGKILL)
        process.wait()


def test_below_proot_the_program_is_what_the_waiting_shell_started(tmp_path):
    def process(number, name, children):
        write(tmp_path / str(number) / "comm", name)
        write(tmp_path / str(number) / "task" / str(number) / "children", " ".join(map(str, children)))

    process(1, "python3", [2])
    process(2, "proot-x86_64", [3])
    process(3, "sh", [4])
    process(4, "simulate", [5])
    process(5, "helper", [])
    assert processes.program(1, wrapped=True, root=tmp_path) == [4]
    assert processes.program(1, wrapped=False, root=tmp_path) == [3]
