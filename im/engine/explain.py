"""Why an infrastructure is not ready, in plain words with the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from im.config import Settings
from im.engine import locks
from im.engine.evidence import console_log
from im.events import Event
from im.plan.model import InfrastructureState, Node, NodeState
from im.plan.observe import UP
from im.store.repository import InfrastructureRecord, Store

CONSOLE_LINES = 5
LAST_EVENTS = 3

_RESTING = {
    InfrastructureState.READY,
    InfrastructureState.DEGRADED,
    InfrastructureState.STOPPED,
    InfrastructureState.FAILED,
}


def explain(store: Store, settings: Settings, record: InfrastructureRecord) -> tuple[str, ...]:
    """Return lines that say what is not ready and what is known about it."""
    events = store.events(record.id)
    lines = [_headline(record, settings)]
    lines += _failures("infrastructure", record.name, events)
    for node in record.nodes:
        if node.state not in _wanted(record):
            lines += _node(node, record, settings, events)
    return tuple(lines)


def _headline(record: InfrastructureRecord, settings: Settings) -> str:
    since = record.updated.astimezone().strftime("%Y-%m-%d %H:%M")
    text = f"{record.name} is {record.state} since {since}"
    text += f": {record.message}" if record.message else ""
    if record.state in _RESTING or record.state is record.until:
        return text
    who = locks.holder(settings.home / "locks", record.name)
    nobody = "no process works on it any more; run the same command again and it continues"
    return f"{text}; it is {who}" if who else f"{text}; {nobody}"


def _wanted(record: InfrastructureRecord) -> frozenset[NodeState]:
    """The states of a node about which nothing needs to be said."""
    return UP if record.until is InfrastructureState.PROVISIONED else frozenset({NodeState.READY})


def _node(node: Node, record: InfrastructureRecord, settings: Settings, events: Iterable[Event]) -> Iterator[str]:
    yield f"{node.name} is {node.state}" + (f": {node.message}" if node.message else "")
    yield from _failures("node", node.name, events)
    log = console_log(settings, record.id, node.name)
    if log.exists():
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-CONSOLE_LINES:]
        yield f"  the end of its console log, {log}:"
        yield from (f"    {line}" for line in tail)


def _failures(scope: str, subject: str, events: Iterable[Event]) -> list[str]:
    """The last things that failed for a subject since it was ready, each once, with the log file where one is named."""
    failed: list[Event] = []
    for event in events:
        if not _is_about(event, scope, subject):
            continue
        if event.data.get("state") == NodeState.READY:
            failed.clear()
        elif event.kind == "failed" and event.message:
            failed.append(event)
    lines = [f"  {event.at.astimezone():%H:%M:%S} {event.phase}: {event.message}{_log(event)}" for event in failed]
    return list(dict.fromkeys(lines))[-LAST_EVENTS:]


def _is_about(event: Event, scope: str, subject: str) -> bool:
    """Whether an event is about a subject; the subject of a task is the node that it ran on."""
    return event.subject == subject and (event.scope == scope or (event.scope == "task" and scope == "node"))


def _log(event: Event) -> str:
    return f" (log: {event.data['log']})" if event.data.get("log") else ""
