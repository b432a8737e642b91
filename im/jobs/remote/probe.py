"""Looks at the cluster from one node: names, clock, shared folders, SSH to the next node.

``probe.py REQUEST`` with a JSON object: ``names`` to resolve, ``next`` (the node after this one, "" = none), ``shared``
(file that shall be seen here: its text), ``timeout`` of the SSH connection. Prints one JSON object.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path


def address_of(name: str) -> str:
    """Return the IPv4 address that a name has here; "" if it has none."""
    try:
        return socket.gethostbyname(name)
    except OSError:
        return ""


def text_of(path: str) -> str:
    """Return what a file holds; "" if it cannot be read."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def reach(node: str, timeout: int) -> str:
    """Log in to a node without any question; return why that failed, or ""."""
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", f"ConnectTimeout={timeout}"]
    try:
        done = subprocess.run(
            ["ssh", *options, node, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout * 2,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {timeout * 2} s"
    told = done.stderr.decode(errors="replace").strip().splitlines()
    return (told[-1] if told else f"exit code {done.returncode}") if done.returncode else ""


def main(text: str) -> int:
    """Look, and tell."""
    request = json.loads(text)
    report = {
        "time": time.time(),
        "hostname": socket.gethostname(),
        "names": {name: address_of(name) for name in request["names"]},
        "shared": {path: text_of(path) == text for path, text in request["shared"].items()},
        "next": reach(request["next"], request["timeout"]) if request["next"] else "",
    }
    print(json.dumps(report))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
