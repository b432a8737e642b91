"""Ansible's events as ours (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from im.events import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from im.events import Kind

_KINDS: Mapping[str, Kind] = {
    "runner_on_start": "started",
    "runner_on_ok": "finished",
    "runner_on_skipped": "finished",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "failed",
}
_LINES = 4


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that failed on a node, in words."""

    node: str
    role: str
    task: str
    message: str

    @property
    def where(self) -> str:
        """The place, for people."""
        return f"node {self.node}, role {self.role}, task {self.task}"


def translate(infrastructure: str, raw: Mapping[str, Any]) -> Event | None:
    """Return our event for one of ansible-runner's; None for those that say nothing about a task on a node."""
    data = raw.get("event_data") or {}
    kind = _KINDS.get(raw.get("event", ""))
    if kind is None or not data.get("host"):
        return None
    if kind == "failed" and data.get("ignore_errors"):
        kind = "finished"
    result = data.get("res") or {}
    details: dict[str, object] = {"changed": bool(result.get("changed"))} if kind == "finished" else {}
    if raw["event"] == "runner_on_skipped":
        details["skipped"] = True
    if kind == "failed":
        details["error"] = failure_message(raw["event"], result)
    return Event(
        infrastructure=infrastructure,
        scope="task",
        subject=str(data["host"]),
        phase="configure",
        kind=kind,
        code=str(data.get("role") or data.get("play") or ""),
        message=str(data.get("task") or ""),
        data=details,
    )


def all_is_done(raw: Mapping[str, Any]) -> bool:
    """Tell whether this is Ansible's last word, its statistics, and no node has failed or was lost."""
    data = raw.get("event_data") or {}
    return raw.get("event") == "playbook_on_stats" and not data.get("failures") and not data.get("dark")


def failure(event: Event) -> Failure:
    """Return what a failed event tells."""
    return Failure(event.subject, event.code, event.message, str(event.data.get("error", "")))


def failure_message(event: str, result: Mapping[str, Any]) -> str:
    """Return why a task failed: what it said itself before Ansible's own words; nothing that was marked secret."""
    if "censored" in result:
        return "the task failed; its output is hidden because the task says no_log"
    if failed := [item for item in result.get("results") or () if item.get("failed")]:
        return failure_message(event, failed[0])
    said = (
        str(result.get("stderr") or result.get("module_stderr") or "").strip()
        or str(result.get("stdout") or "").strip()
    )
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("changed:")][-_LINES:]
    message = str(result.get("msg") or "").strip()
    if event == "runner_on_unreachable":
        return f"the front-end cannot reach this node: {message.splitlines()[-1] if message else 'no answer'}"
    if message in ("", "non-zero return code", "MODULE FAILURE") or message.startswith("non-zero return code"):
        return " / ".join(lines) or message or "failed"
    return " / ".join([message, *lines]) if lines and lines[-1] not in message else message
