"""Runs Ansible on the front-end: ``ansible-runner transmit | ssh … worker | process``, with events as they happen."""

from __future__ import annotations

import queue
import subprocess
import tempfile
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import ansible_runner

from im.contextualize.events import all_is_done
from im.contextualize.front_end import REMOTE_BUNDLE, REMOTE_WORKER, as_root
from im.errors import ContextualizationError
from im.ssh.connection import command, ssh_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from im.plan.model import Cluster

    RawEvent = Mapping[str, Any]

REMOTE_DATA = "/run/im/run"
PLAYBOOK = "site.yml"
_TIDY = 30.0


@dataclass(frozen=True, slots=True)
class _End:
    """The stream is over; ``status`` is ansible-runner's word for how."""

    status: str
    explanation: str


def play(
    cluster: Cluster, private_data: Path, *, forks: int, silence: float, handle: Callable[[RawEvent], None]
) -> str:
    """Run the project in ``private_data`` on the front-end and hand over each event; returns ansible-runner's status.

    Raises :class:`im.errors.ContextualizationError` after ``silence`` seconds without an event, and when the
    connection or the worker breaks. The worker on the front-end does not outlive this call, but to tidy up after a
    success.
    """
    with ExitStack() as at_the_end:
        errors = at_the_end.enter_context(tempfile.TemporaryFile())
        worker = at_the_end.enter_context(_worker(cluster, errors))
        at_the_end.callback(_stop, worker)
        events: queue.SimpleQueue[RawEvent | _End] = queue.SimpleQueue()
        _transmit(private_data, worker, forks)
        threading.Thread(target=_process, args=(worker, events), daemon=True).start()
        for event in _until_end(events, cluster, silence):
            if isinstance(event, _End):
                return _checked(event, cluster, worker, errors)
            handle(event)
            if all_is_done(event):
                threading.Thread(target=_see_off, args=(events, at_the_end.pop_all()), daemon=True).start()
                return "successful"
    raise AssertionError("the stream of events has an end")


def _see_off(events: queue.SimpleQueue[RawEvent | _End], at_the_end: ExitStack) -> None:
    """Give Ansible the time to tidy up, a third of a second that nobody needs to wait for."""
    with at_the_end, suppress(queue.Empty):
        while not isinstance(events.get(timeout=_TIDY), _End):
            pass


def _worker(cluster: Cluster, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    remote = as_root(cluster, ["python3", REMOTE_WORKER, REMOTE_BUNDLE, REMOTE_DATA])
    line = [*command(cluster, cluster.front_end), "--", " ".join(remote)]
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)


def _transmit(private_data: Path, worker: subprocess.Popen[bytes], forks: int) -> None:
    """Send the project; standard input then stays open, to tell the worker that we live."""
    with suppress(BrokenPipeError):  # the worker ended first: its message says why
        ansible_runner.interface.run(
            streamer="transmit",
            _output=worker.stdin,
            private_data_dir=str(private_data),
            playbook=PLAYBOOK,
            forks=forks,
        )


def _process(worker: subprocess.Popen[bytes], events: queue.SimpleQueue[RawEvent | _End]) -> None:
    """Decode the worker's stream into the queue; whatever happens, the last entry is an end."""
    explanation = ""

    def on_event(event: RawEvent) -> bool:
        events.put(event)
        return False  # not kept as a file

    def on_status(status: Mapping[str, Any], runner_config: object) -> None:  # noqa: ARG001
        nonlocal explanation
        explanation = str(status.get("job_explanation") or status.get("result_traceback") or explanation)

    status = "error"
    try:
        with tempfile.TemporaryDirectory() as scratch:
            result = ansible_runner.interface.run(
                streamer="process",
                _input=worker.stdout,
                private_data_dir=scratch,
                event_handler=on_event,
                status_handler=on_status,
                quiet=True,
            )
        status = str(result[0] if isinstance(result, tuple) else result.status)
    except Exception as error:  # noqa: BLE001 - a stranger's code reads a stranger's stream; the end must still be told
        explanation = str(error)
    events.put(_End(status, explanation))


def _until_end(
    events: queue.SimpleQueue[RawEvent | _End], cluster: Cluster, silence: float
) -> Iterator[RawEvent | _End]:
    while True:
        try:
            event = events.get(timeout=silence)
        except queue.Empty:
            raise ContextualizationError(
                f"no sign of progress for {silence:g} s",
                where=f"node {cluster.front_end.name}",
                hint="run the same command again; IM_TASK_TIMEOUT allows for longer tasks",
            ) from None
        yield event


def _checked(end: _End, cluster: Cluster, worker: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    """Return the status of a stream that ended properly; raise for one that broke off."""
    if end.status in ("successful", "failed"):
        return end.status
    with suppress(subprocess.TimeoutExpired):
        worker.wait(timeout=5)
    errors.seek(0)
    said = errors.read()
    if worker.returncode == 255:
        raise ssh_error(cluster.front_end, said)
    lines = said.decode(errors="replace").strip().splitlines()
    raise ContextualizationError(
        f"Ansible broke off on the front-end: {lines[-1] if lines else end.explanation or end.status}",
        where=f"node {cluster.front_end.name}",
        hint="run the same command again; it continues",
    )


def _stop(worker: subprocess.Popen[bytes]) -> None:
    """Close the worker's standard input, by which it ends, and do not leave our ssh behind."""
    if worker.stdin is not None:
        with suppress(BrokenPipeError):
            worker.stdin.close()
    try:
        worker.wait(timeout=5)
    except subprocess.TimeoutExpired:
        worker.kill()
