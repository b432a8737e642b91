from __future__ import annotations

from im.jobs.engines import ENGINES, Inside
from im.jobs.shell import remote_line

INSIDE = Inside("im-1", "/home/hpc", "/home/hpc", attached=True)


def test_an_engine_that_holds_containers_removes_this_one_whatever_ends_the_shell():
    line = remote_line(ENGINES["docker"], INSIDE, (), "shell-1")
    assert line.startswith("trap ")
    assert "label=im.job=shell-1" in line.partition(" EXIT HUP TERM; ")[0]


def test_udocker_has_nothing_to_remove():
    assert remote_line(ENGINES["udocker"], INSIDE, ("true",), "shell-1").startswith("env IM_JOB=shell-1 ")


def test_without_a_command_it_is_the_images_best_shell():
    assert "exec bash" in remote_line(ENGINES["udocker"], INSIDE, (), "shell-1")
    assert "exec bash" not in remote_line(ENGINES["udocker"], INSIDE, ("true",), "shell-1")
