"""Runs points of a scan on one slot of a node, in one container for all of them.

``worker [--attached] FOLDER ATTEMPT NUMBER``. A shell in the container gets a line per point on its standard input, and
says the exit codes; so a point costs a fork in the container, and neither a container nor a program of ours. With
``--attached``, an end of our standard input means that whoever started us is gone: everything ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from im.jobs.remote.ward import sweep as end_marked
from im.jobs.sweep.remote.manifest import DONE, FAILED, RUNNING, Manifest, claim

_LOOP = "NL='\n'\nwhile IFS= read -r line; do eval \"$line\"; done"
_BROKEN_CONTAINERS = 3
_SECOND_LOOK = 0.5


class Broken(Exception):
    """The container ended under a point."""


class Container:
    """A shell in the container of the scan's image, which runs one point after the other."""

    def __init__(self, prefix: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*prefix, "/bin/sh", "-c", _LOOP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
            start_new_session=True,
        )

    def run(self, line: str) -> tuple[int, int]:
        """Run a line and return the exit codes of the command and of the check."""
        assert self.process.stdin is not None  # noqa: S101
        assert self.process.stdout is not None  # noqa: S101
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline().split()
        except OSError:
            answer = []
        if len(answer) != 2:
            raise Broken
        return int(answer[0]), int(answer[1])

    def end(self) -> None:
        """Let the shell end."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()


def quoted(word: str) -> str:
    """Return a word as the shell reads it, on one line.

    >>> quoted("a b")
    "'a b'"
    """
    return '"$NL"'.join(shlex.quote(part) if part else "" for part in word.split("\n")) or "''"


def filled(word: str, values: dict[str, str]) -> str:
    """Put the point's values in.

    >>> filled("--m0={m0} {x}", {"m0": "5"})
    '--m0=5 {x}'
    """
    for name, value in values.items():
        word = word.replace("{" + name + "}", value)
    return word


def line_of(words: list[str], check: list[str], folder: Path, values: dict[str, str]) -> str:
    """Return the shell line that runs a point in its folder, and its check if it ended well."""
    command = " ".join(quoted(filled(word, values)) for word in words)
    place = shlex.quote(str(folder))
    line = f"( cd {place} && exec {command} ) </dev/null >{place}/out 2>{place}/err; c=$?; k=0; "
    if check:
        test = " ".join(quoted(filled(word, values)) for word in check)
        line += f"[ $c != 0 ] || {{ ( cd {place} && exec {test} ) </dev/null >{place}/check 2>&1; k=$?; }}; "
    return line + 'echo "$c $k"'


class Worker:
    """One slot at work."""

    def __init__(self, folder: Path, attempt: str, number: str) -> None:
        self.manifest = Manifest(folder)
        self.wanted = self.manifest.wanted
        self.attempt = folder / "attempts" / attempt
        self.who = f"{self.wanted['id']}-{attempt}-{number}"
        self.points = self.manifest.points()
        self.files = sorted(path.name for path in (folder / "files").glob("*"))
        self.results = os.open(self.attempt / f"results-{number}.jsonl", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        self.container: Container | None = None
        self.broken = 0
        self.leaving = threading.Event()
        """Set when everything ends: no more is to be written."""

    def work(self) -> int:
        """Take batches until there are none; return an exit code."""
        for number, batch in enumerate(json.loads((self.attempt / "batches.json").read_text())):
            if claim(self.attempt, number, self.who):
                for point in batch:
                    self.point(point)
                    if self.broken >= _BROKEN_CONTAINERS:
                        print("the container does not start", file=sys.stderr)  # noqa: T201
                        return 1
        if self.container:
            self.container.end()
        return 0

    def point(self, point: int) -> None:
        """Run one point, again if it fails and may."""
        for _ in range(1 + int(self.wanted["retries"])):
            if self.once(point) == DONE:
                return

    def once(self, point: int) -> str:
        """Run one point and write down how it went."""
        folder = self.manifest.place(point)
        folder.mkdir(parents=True, exist_ok=True)
        self.tell(point, RUNNING)
        for name in self.files:
            with contextlib.suppress(FileExistsError):
                (folder / name).symlink_to(f"../../files/{name}")
        values = {**self.points[point], "point": str(point)}
        started = time.time()
        try:
            code, check = self.shell().run(line_of(self.wanted["words"], self.wanted["check"], folder, values))
            self.broken = 0
        except Broken:
            code, check = 137, 0
            self.broken += 1
            self.container = None
        if code > 128:  # what ended the program may be meant for all of us, and about to come
            self.leaving.wait(_SECOND_LOOK)
        if self.leaving.is_set():
            signal.pause()
        state = DONE if code == check == 0 else FAILED
        for name in self.files:
            if (folder / name).is_symlink():
                (folder / name).unlink()
        self.tell(point, state, code=code, check=check, seconds=round(time.time() - started, 3))
        return state

    def shell(self) -> Container:
        """Return the container, which is started at first use."""
        if self.container is None:
            self.container = Container(self.wanted["prefix"], {**self.wanted["env"], "IM_JOB": self.who})
        return self.container

    def tell(self, point: int, state: str, **more: Any) -> None:  # noqa: ANN401 - JSON
        """Write one line, at once and whole."""
        record = {"point": point, "state": state, "node": socket.gethostname(), "at": round(time.time(), 3), **more}
        os.write(self.results, f"{json.dumps(record)}\n".encode())


def main(words: list[str]) -> int:
    """Work, and leave nothing behind, however the end comes."""
    attached = words[0] == "--attached"
    worker = Worker(Path(words[-3]), words[-2], words[-1])

    def leave(*_: object) -> None:
        worker.leaving.set()
        end_marked(worker.who, 2.0)
        os._exit(143)

    signal.signal(signal.SIGTERM, leave)
    if attached:
        threading.Thread(target=_until_gone, args=(leave,), daemon=True).start()
    code = worker.work()
    end_marked(worker.who, 2.0)
    return code


def _until_gone(leave: Any) -> None:  # noqa: ANN401 - a signal handler's shape
    while os.read(0, 4096):
        pass
    leave()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
