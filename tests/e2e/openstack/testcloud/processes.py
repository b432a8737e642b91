"""Daemons that outlive the command that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testcloud.settings import Cloud
from testcloud.steps import StackError

KEPT = ("PATH", "HOME", "LANG", "TZ", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Process:
    """A daemon known by its file below ``run``: its process id, and when it began, so that no other is taken for it."""

    cloud: Cloud
    name: str

    @property
    def pid(self) -> int:
        """Its process id; 0 when it was not started."""
        return self._recorded()[0]

    def start(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start it in a session of its own, with its output in its log."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        with (self.cloud.log / f"{self.name}.log").open("ab") as log:
            started = subprocess.Popen(
                command,
                env={**kept, "LC_ALL": "C.UTF-8", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.cloud.run / f"{self.name}.pid").write_text(f"{started.pid} {_began(started.pid)}")

    def alive(self) -> bool:
        """Say whether it runs."""
        pid, began = self._recorded()
        return bool(pid) and _began(pid) == began != ""

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
            while self.alive():
                time.sleep(0.02)
        (self.cloud.run / f"{self.name}.pid").unlink(missing_ok=True)

    def last_words(self) -> str:
        """Return the last line of its log."""
        lines = (self.cloud.log / f"{self.name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def check(self) -> None:
        """Raise :class:`StackError` if it does not run."""
        if not self.alive():
            raise StackError(f"{self.name} ended: {self.last_words()} (all of it: {self.cloud.log}/{self.name}.log)")

    def _recorded(self) -> tuple[int, str]:
        try:
            pid, _, began = (self.cloud.run / f"{self.name}.pid").read_text().partition(" ")
            return int(pid), began
        except (FileNotFoundError, ValueError):
            return 0, ""


def _began(pid: int) -> str:
    """Return when a process began, in the kernel's clock; "" when there is none, or nothing but its entry."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except FileNotFoundError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
