"""What stands before udocker's proot: it takes away the node's own kernel and clone3, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from errno import ENOSYS

import pytest

from im.data_files import data_folder

KERNEL = os.uname().release
ROOT = ("-r", "/containers/one/ROOT")


@pytest.fixture
def proot(tmp_path):
    """Runs it before a proot that tells its arguments; returns them."""
    front = shutil.copy(data_folder("recipes") / "udocker" / "files" / "proot.py", tmp_path / "proot-x86_64")
    real = tmp_path / "proot-x86_64.real"
    real.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 7\n")
    for file in (front, real):
        file.chmod(0o755)

    def proot(*words):
        done = subprocess.run([front, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 7
        return tuple(done.stdout.splitlines())

    return proot


def test_the_nodes_own_kernel_is_not_said(proot):
    assert proot("-b", "/a b:/in", "-k", KERNEL, *ROOT, "true") == ("-b", "/a b:/in", *ROOT, "true")


def test_another_kernel_is(proot):
    assert proot("-k", "3.10.0", *ROOT, "true") == ("-k", "3.10.0", *ROOT, "true")


def test_the_programs_own_words_stay_as_they_are(proot):
    program = ("sh", "-c", 'echo "$@"', "sh", "-k", KERNEL, "", "*")
    assert proot("-k", KERNEL, *ROOT, *program) == (*ROOT, *program)


def test_what_proot_is_asked_about_itself_goes_on(proot):
    assert proot("--help") == ("--help",)


def test_there_is_no_clone3_for_proot_and_its_programs(proot, tmp_path):
    ask = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); libc.syscall(435, 0, 0); print(ctypes.get_errno())"
    real = tmp_path / "proot-x86_64.real"
    real.write_text(f'#!/bin/sh\n{sys.executable} -c "{ask}"\nexit 7\n')
    assert proot() == (str(ENOSYS),)
