"""Runs ``ansible-runner worker`` on the front-end, and ends it when the client that asked for it goes away.

Usage: ``worker.py BUNDLE DATA``. Standard input is the stream of ``ansible-runner transmit``, and stays open as long as
the client lives. Only one runs at a time: an earlier one, whose client was lost, is ended first.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

RUNTIME = Path("/run/im")


def status(pid: int) -> list[str]:
    """Return what the kernel tells of a process after its name, from its state on; nothing if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def start_time(pid: int) -> str:
    """Return what tells a process from a later one with the same id; "" if there is none or it is dead."""
    fields = status(pid)
    return fields[19] if fields and fields[0] != "Z" else ""


def descendants(pid: int) -> list[int]:
    """Return the processes below ``pid``, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            for parent in status(int(entry.name))[1:2]:
                children.setdefault(int(parent), []).append(int(entry.name))
    found = list(children.get(pid, []))
    for child in found:
        found.extend(children.get(child, []))
    return found


def tell(pids: Iterable[int], what: signal.Signals) -> None:
    """Send these processes a signal; one that is gone is as good."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


def end_below(pid: int) -> None:
    """Kill everything below ``pid``: stopped before, so that nothing forks meanwhile, and parents last."""
    found: list[int] = []
    while fresh := [one for one in descendants(pid) if one not in found]:
        tell(fresh, signal.SIGSTOP)
        found += fresh
    tell(reversed(found), signal.SIGKILL)


def end_earlier(record: Path) -> None:
    """End the run that ``record`` tells of, if it still goes on, with everything below it."""
    try:
        pid, started = record.read_text().split()
    except (OSError, ValueError):
        return
    if start_time(int(pid)) == started:
        tell([int(pid)], signal.SIGSTOP)
        end_below(int(pid))
        tell([int(pid)], signal.SIGKILL)
        while start_time(int(pid)) == started:
            time.sleep(0.02)


def relay(worker: subprocess.Popen[bytes]) -> None:
    """Hand standard input on; when it ends before the worker does, the client is gone: end everything."""
    with contextlib.suppress(OSError):
        while worker.stdin and (chunk := os.read(0, 1 << 16)):
            worker.stdin.write(chunk)
            worker.stdin.flush()
    end_below(os.getpid())


def main() -> int:
    """Run the worker and return its exit status."""
    bundle, data = sys.argv[1:]
    RUNTIME.mkdir(mode=0o755, exist_ok=True)
    record = RUNTIME / "worker"
    end_earlier(record)
    record.write_text(f"{os.getpid()} {start_time(os.getpid())}")
    environment = {**os.environ, "PATH": f"{bundle}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    environment.setdefault("HOME", "/root")
    arguments = [f"{bundle}/bin/ansible-runner", "worker", "--private-data-dir", data, "--delete"]
    worker = subprocess.Popen(arguments, stdin=subprocess.PIPE, env=environment)
    threading.Thread(target=relay, args=(worker,), daemon=True).start()
    return worker.wait()


if __name__ == "__main__":
    sys.exit(main())
