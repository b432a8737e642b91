"""A process is what it was when it was written down, or it is gone."""

import os
import subprocess

from im.providers.local.processes import Process, boot_id, identify, kill


def test_a_running_process_is_known_by_its_program():
    child = subprocess.Popen(["sleep", "60"])
    process = identify(child.pid)
    assert (process.alive(), process.program()) == (True, "sleep")
    assert kill([process], 10.0)
    child.wait()


def test_a_zombie_is_gone():
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    zombie = identify(child.pid)
    assert (zombie.alive(), zombie.program()) == (False, "")
    child.wait()
    assert not zombie.alive()


def test_who_has_the_same_number_later_is_somebody_else():
    now = identify(os.getpid())
    assert not Process(now.pid, now.start + 1, now.boot).alive()
    assert not Process(now.pid, now.start, "another boot").alive()
    assert now.boot == boot_id()
