"""Runs :mod:`im.jobs.remote.probe` on all nodes at once, from the front-end, as the cluster's user.

``mesh.py REQUEST`` with a JSON object: ``nodes`` (names, the order of the ring), ``here`` (the one that we run on),
``probe`` (the program's text), ``shared`` (folders), ``timeout``. Prints a JSON object: node -> its report, with
``asked`` and ``answered`` (our clock) or ``error``.
"""

from __future__ import annotations

import json
import secrets
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


def place_tokens(folders: list[str]) -> dict[str, str]:
    """Write a file into every shared folder that we may write to; return the files and what they hold."""
    tokens = {}
    home = Path.home()
    for folder in folders:
        inside = home if folder in map(str, [home, *home.parents]) else Path(folder)
        path = inside / f".im-preflight-{secrets.token_hex(4)}"
        token = secrets.token_hex(8)
        try:
            path.write_text(token)
        except OSError:
            continue  # not the user's to write: nothing to prove here
        tokens[str(path)] = token
    return tokens


def look(node: str, request: dict[str, Any]) -> dict[str, Any]:
    """Run the probe on one node."""
    nodes = request["nodes"]
    # From here all nodes are logged in to anyway.
    after = "" if node == request["here"] else nodes[(nodes.index(node) + 1) % len(nodes)]
    asked = {"names": nodes, "next": after, "shared": request["shared"], "timeout": request["timeout"]}
    line = ["python3", "-c", request["probe"], json.dumps(asked)]
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", f"ConnectTimeout={request['timeout']}"]
    if node != request["here"]:
        line = ["ssh", *options, node, "--", shlex.join(line)]
    start = time.time()
    try:
        done = subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=request["timeout"] * 5,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {request['timeout'] * 5} s"}
    try:
        return {**json.loads(done.stdout), "asked": start, "answered": time.time()}
    except ValueError:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        return {"error": told[-1] if told else f"exit code {done.returncode}"}


def main(text: str) -> int:
    """Look from all nodes, and tell."""
    request = json.loads(text)
    tokens = place_tokens(request["shared"])
    request["shared"] = tokens
    try:
        with ThreadPoolExecutor(max_workers=32) as pool:
            reports = pool.map(lambda node: look(node, request), request["nodes"])
            print(json.dumps(dict(zip(request["nodes"], reports))))  # noqa: B905, T201
    finally:
        for path in tokens:
            Path(path).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
