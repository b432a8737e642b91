"""The client's end of a running job: one ssh process, signs of life to the supervisor, Ctrl-C passed on."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

Output = int | IO[bytes] | None

HEARTBEAT = 5.0
LOOK = 0.1
TIME_OVER = -1


def attend(
    argv: Sequence[str],
    *,
    first: bytes = b"",
    stdout: Output = None,
    stderr: Output = None,
    limit: float | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Run ``argv`` (an ssh command line whose remote end is the supervisor) to its end; return its exit code.

    ``first``: what the remote end reads before the orders. After ``limit`` seconds, or once somebody sets ``stop``, the
    job is stopped, and :data:`TIME_OVER` returned.

    The process has a session of its own, so a Ctrl-C of the terminal comes to us alone and goes on as an order: the
    first one interrupts the program, the next stops the job. If we are killed, the pipe ends, and so does the job.
    """
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, start_new_session=True) as process:
        assert process.stdin is not None  # noqa: S101
        line = Line(process.stdin)
        line.order(first)
        try:
            return _wait(process, line, time.monotonic() + limit if limit else None, stop)
        finally:
            line.hang_up()


def _wait(process: subprocess.Popen[bytes], line: Line, until: float | None, stop: threading.Event | None) -> int:
    interrupts = 0
    over = False
    while True:
        try:
            code = process.wait(None if over else _patience(until, stop))
        except KeyboardInterrupt:
            interrupts += 1
            line.order(b"I" if interrupts == 1 else b"K")
        except subprocess.TimeoutExpired:
            if over := (until is not None and time.monotonic() >= until) or (stop is not None and stop.is_set()):
                line.order(b"K")
        else:
            return TIME_OVER if over else code


def _patience(until: float | None, stop: threading.Event | None) -> float | None:
    """Return the seconds until somebody must look again."""
    left = None if until is None else max(0.0, until - time.monotonic())
    if stop is None:
        return left
    return LOOK if left is None else min(left, LOOK)


class Line:
    """The orders to the supervisor, with a sign of life every few seconds."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._ended = threading.Event()
        threading.Thread(target=self._live, name="job-heartbeat", daemon=True).start()

    def order(self, letter: bytes) -> None:
        """Send one order; quietly, if nobody listens any more."""
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(letter)
            self._stream.flush()

    def hang_up(self) -> None:
        """Send the end of file."""
        self._ended.set()
        with self._lock, suppress(OSError):
            self._stream.close()

    def _live(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            self.order(b".")
