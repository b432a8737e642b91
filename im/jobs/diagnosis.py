"""What the preflight's answers mean, in words. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CLOCK_TOLERANCE = 2.0
"""Seconds that two nodes' clocks may differ."""
EVIDENCE = 8192
"""Characters that are kept of what a run that failed wrote."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not work: on which node, which check, what was seen, and what to do about it.

    ``evidence``: what the programs wrote, where the message is only a line of it.
    """

    node: str
    check: str
    message: str
    hint: str = ""
    evidence: str = ""

    def __str__(self) -> str:
        return f"node {self.node}, {self.check}: {self.message}"


def mesh_problems(addresses: Mapping[str, str], answer: Mapping[str, Mapping[str, Any]]) -> tuple[Problem, ...]:
    """Judge what the nodes saw; ``addresses``: node -> the address that all of them shall know it by."""
    nodes = list(addresses)
    found: list[Problem] = []
    for index, node in enumerate(nodes):
        report = answer.get(node, {"error": "no report"})
        after = nodes[(index + 1) % len(nodes)]
        found += _problems_of(node, after, report, addresses)
    return tuple(found)


def _problems_of(node: str, after: str, report: Mapping[str, Any], addresses: Mapping[str, str]) -> Iterator[Problem]:
    if error := report.get("error"):
        yield Problem(node, "ssh", f"the front-end cannot log in: {error}", "is sshd up, and port 22 open inside?")
        return
    if report["hostname"].split(".")[0] != node:
        yield Problem(node, "host name", f"calls itself {report['hostname']}")
    for name, address in addresses.items():
        seen = report["names"].get(name, "")
        if seen != address:
            told = f"resolves {name} to {seen}, not {address}" if seen else f"cannot resolve {name}"
            yield Problem(node, "names", told, "look at /etc/hosts there")
    yield from (
        Problem(node, "shared directory", f"does not see {path}", "is the folder mounted there?")
        for path, seen in report["shared"].items()
        if not seen
    )
    early, late = report["time"] - report["asked"], report["time"] - report["answered"]
    if early < -CLOCK_TOLERANCE or late > CLOCK_TOLERANCE:
        wrong = late if late > 0 else early
        yield Problem(node, "clock", f"differs by {wrong:+.1f} s from the front-end's", "let it follow a time server")
    if report["next"]:
        yield Problem(node, "ssh", f"cannot log in to {after}: {report['next']}", "is port 22 open between the nodes?")


def mpi_problem(ranks: int, nodes: Sequence[str], code: int, output: str, errors: str) -> Problem | None:
    """Judge a run of :mod:`im.jobs.remote.mpi_check`; ``code`` -1 means that it did not end in time."""
    reports = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    for report in reports:
        if "error" in report:
            told = f"the MPI library does not load in a container: {report['error']}"
            return Problem(report["host"], "mpi", told, "image and node need the same family and version of MPI")
        if not report["marker"]:
            told = "a rank ran on the node's own files, not in its container"
            return Problem(report["host"], "mpi", told, "another execution mode of the container engine may work")
    told, hint = _togetherness(ranks, code, reports, errors)
    return Problem(", ".join(nodes), "mpi", told, hint, f"{output}{errors}"[-EVIDENCE:]) if told else None


def _togetherness(ranks: int, code: int, reports: Sequence[Mapping[str, Any]], errors: str) -> tuple[str, str]:
    """Say what is wrong with the ranks as a whole, and what to do; "" if nothing is."""
    if len(reports) == ranks > 1 and all(report["size"] == 1 for report in reports):
        hint = "the launcher's environment does not reach the containers, or the families of MPI differ"
        return "every rank believes that it is alone", hint
    if code == -1:
        hint = "nodes must reach each other on all TCP ports of the cluster's network"
        return f"{ranks} ranks did not find each other in time", hint
    if code or len(reports) != ranks:
        return _telling_line(errors) or f"exit code {code}, {len(reports)} of {ranks} ranks reported", ""
    sums = [report["sum"] for report in reports]
    return ("", "") if set(sums) == {ranks * (ranks + 1) // 2} else (f"the sum over all ranks is wrong: {sums}", "")


_RULER = re.compile(r"\*\*\* .* \*\*\*\s*$")
_TELLING = r"error|unable|cannot|not found|denied|refused|signal:"


def _telling_line(errors: str) -> str:
    """Return what a rank or mpirun gave as the error, without mpirun's rulers and summary."""
    lines = [line.strip() for line in errors.splitlines() if line.strip(" -=\r") and not _RULER.search(line)]
    telling = [line for line in lines if re.search(_TELLING, line, re.IGNORECASE)]
    return (telling or lines or [""])[0]
