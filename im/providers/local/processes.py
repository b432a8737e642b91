"""Processes by identity: a process id alone may have been given to somebody else. Standard library only."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken: its id, its start time in clock ticks, and the boot of the machine."""

    pid: int
    start: int
    boot: str

    def alive(self) -> bool:
        """Whether exactly this process still runs (a zombie does not)."""
        return bool(self.program())

    def program(self) -> str:
        """Return the name of the program that it runs now; "" when it does not run any more."""
        name, start = _look(self.pid)
        return name if start == self.start and self.boot == boot_id() else ""

    def epitaph(self) -> str:
        """Say why it does not run any more."""
        return "its init ended" if self.boot == boot_id() else "the machine was restarted"


def boot_id() -> str:
    """Return what the kernel calls this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _look(pid: int) -> tuple[str, int]:
    """Return a process's program and when it started, in clock ticks since boot; nothing of one that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "", 0
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return ("", 0) if fields[0] in "ZX" else (name, int(fields[19]))


def identify(pid: int) -> Process:
    """Return the identity of a running process."""
    return Process(pid, _look(pid)[1], boot_id())


def kill(processes: Sequence[Process], patience: float) -> bool:
    """Kill processes and wait until they are gone; False when one is still there after ``patience`` seconds."""
    handles = [handle for process in processes if (handle := _kill(process)) is not None]
    try:
        return _wait(handles, time.monotonic() + patience)
    finally:
        for handle in handles:
            os.close(handle)


def _kill(process: Process) -> int | None:
    """Send SIGKILL; return a descriptor that becomes readable at its end, None if it is gone already."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        if process.alive():
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            return handle
        os.close(handle)
    return None


def _wait(handles: Sequence[int], end: float) -> bool:
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    left = len(handles)
    while left:
        ready = poll.poll(max(0, int((end - time.monotonic()) * 1000)))
        if not ready:
            return False
        for handle, _ in ready:
            poll.unregister(handle)
        left -= len(ready)
    return True
