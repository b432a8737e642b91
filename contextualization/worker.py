"""Runs ``ansible-runner worker`` on the front-end, and ends it when the client that asked for it goes away.

Usage: ``worker.py BUNDLE DATA``. Standard input is the stream of ``ansible-runner transmit``, and stays open as long as
the client lives. Only one runs at a time: an earlier one, whose client was lost, is ended first.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

RUNTIME = Path("/run/im")


def start_time(pid: int) -> str:
    """Return what tells a process from a later one with the same id; "" if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def descendants(pid: int) -> "list[int]":
    """Return the processes below ``pid``, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = list(children.get(pid, []))
    for child in found:
        found.extend(children.get(child, []))
    return found


def end(pids: "list[int]") -> None:
    """Kill these processes."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def end_earlier(record: Path) -> None:
    """End the run that ``record`` tells of, if it still goes on, with everything below it."""
    try:
        pid, started = record.read_text().split()
    except (OSError, ValueError):
        return
    if start_time(int(pid)) == started:
        end([int(pid), *descendants(int(pid))])
        while start_time(int(pid)) == started and Path(f"/proc/{pid}/cmdline").read_bytes():
            time.sleep(0.02)


def relay(worker: "subprocess.Popen[bytes]") -> None:
    """Hand standard input on; when it ends before the worker does, the client is gone: end everything."""
    with contextlib.suppress(OSError):
        while worker.stdin and (chunk := os.read(0, 1 << 16)):
            worker.stdin.write(chunk)
            worker.stdin.flush()
    end(descendants(os.getpid()))


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
