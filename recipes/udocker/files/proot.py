#!/usr/bin/python3 -IS
"""Stands before each of udocker's proots, and keeps two things from it.

``-k KERNEL`` where that is the node's own kernel: udocker always says it, and proot then hides the vDSO from programs.
Every look at the clock would be a system call, and MPI looks at it whenever it waits.

The system call clone3: proot does not know it, and takes a thread that it starts for a process with a heap of its own.
Where such a thread gives memory back, the others lose theirs: they crash, or hang. Without it the C library starts
threads by clone, as it does on older kernels.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

SET_SECCOMP, FILTER = 22, 2
SET_NO_NEW_PRIVILEGES = 38
CLONE3 = 435
"""On every architecture."""
NO_CLONE3 = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x20, 0, 0, 0),  # load the number of the system call
        (0x15, 0, 1, CLONE3),  # another one: go on with the last line
        (0x06, 0, 0, 0x00050000 | 38),  # there is no such call (ENOSYS)
        (0x06, 0, 0, 0x7FFF0000),  # allow
    )
)
"""A filter of seccomp(2), in the format of linux/filter.h."""


def forbid_clone3() -> None:
    """Install the filter, for this process and what it becomes."""
    libc = ctypes.CDLL(None)
    instructions = ctypes.create_string_buffer(NO_CLONE3, len(NO_CLONE3))
    program = struct.pack("HP", len(NO_CLONE3) // 8, ctypes.addressof(instructions))
    libc.prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.prctl(SET_SECCOMP, FILTER, program, 0, 0)


def without_kernel(words: list[str], kernel: str) -> list[str]:
    """Return proot's words without its option that pretends this kernel; what follows the root is the program's."""
    end = words.index("-r") if "-r" in words else len(words)
    for at in range(end - 1):
        if words[at : at + 2] == ["-k", kernel]:
            return words[:at] + words[at + 2 :]
    return words


if __name__ == "__main__":
    forbid_clone3()
    real = sys.argv[0] + ".real"
    os.execv(real, [real, *without_kernel(sys.argv[1:], os.uname().release)])  # noqa: S606
