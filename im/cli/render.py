"""Events for people: a live tree on a terminal, plain lines elsewhere. Always on stderr; results own stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TextIO

from im.events import Emit, Event

if TYPE_CHECKING:
    from rich.progress_bar import ProgressBar
    from rich.text import Text
    from rich.tree import Tree

SIGNS = {"started": "·", "progress": "·", "finished": "✓", "failed": "✗", "retry": "↻", "note": "i"}
STYLES = {"finished": "green", "failed": "bold red", "retry": "yellow", "note": "dim"}


def line(event: Event) -> str:
    """One event as one line: time, sign, subject, phase, message, percentage."""
    text = event.message or event.code or event.kind
    return f"{event.at:%H:%M:%S} {SIGNS[event.kind]} {event.subject:<16} {event.phase:<10} {text}{percentage(event)}"


def percentage(event: Event) -> str:
    """`` 42%`` where the event knows how much there is to do, else nothing."""
    share = fraction(event)
    return "" if share is None else f" {share:.0%}"


def fraction(event: Event) -> float | None:
    """How much of the work is done (0 to 1), where the event says it."""
    done, total = event.data.get("done"), event.data.get("total")
    if isinstance(done, int | float) and isinstance(total, int | float) and total > 0:
        return min(1.0, done / total)
    return None


@contextmanager
def shown_events(stream: TextIO | None = None) -> Iterator[Emit]:
    """Show events on ``stream`` (stderr) as long as the context lasts: live on a terminal, as lines elsewhere."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield Lines(stream)
        return
    from rich.console import Console
    from rich.live import Live

    tree = LiveTree()
    with Live(get_renderable=tree.render, console=Console(file=stream), refresh_per_second=8, transient=False):
        yield tree


class Lines:
    """Plain lines: each task once and not once per node, progress at most every two seconds."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.tasks: set[tuple[str, str, str]] = set()
        self.last_progress = float("-inf")

    def __call__(self, event: Event) -> None:
        """Print the event if it says something new."""
        if self.is_news(event):
            self.stream.write(line(event) + "\n")
            self.stream.flush()

    def is_news(self, event: Event) -> bool:
        """Whether a reader of plain lines wants this one."""
        if event.kind == "progress":
            due = time.monotonic() - self.last_progress >= 2
            if due:
                self.last_progress = time.monotonic()
            return due
        if event.scope == "task" and event.kind != "failed":
            key = (event.phase, event.code, event.message)
            known = key in self.tasks
            self.tasks.add(key)
            return event.kind == "started" and not known
        return True


@dataclass
class LiveTree:
    """The latest word of every phase and every node, redrawn as events come."""

    started: float = field(default_factory=time.monotonic)
    name: str = ""
    phases: dict[str, Event] = field(default_factory=dict)
    nodes: dict[str, Event] = field(default_factory=dict)
    failures: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Remember what the event says; the screen follows by itself."""
        if event.scope in {"infrastructure", "job"}:
            self.name = self.name or event.subject
            self.end_phases_before(event)
            self.phases[event.phase] = event
        else:
            self.nodes[event.subject] = event
        if event.kind == "failed":
            self.failures.append(event)

    def end_phases_before(self, event: Event) -> None:
        """A phase that did not fail is over when another one speaks."""
        for phase, last in self.phases.items():
            if phase != event.phase and last.kind in {"started", "progress"}:
                self.phases[phase] = replace(last, kind="finished")

    def render(self) -> Tree:
        """Draw the tree as it is now."""
        from rich.text import Text
        from rich.tree import Tree

        tree = Tree(Text(f"{self.name or 'im'}  {time.monotonic() - self.started:.0f} s", style="bold"))
        for event in self.phases.values():
            branch = tree.add(self.label(event, event.phase))
            if (bar := self.bar(event)) is not None:
                branch.add(bar)
        for name, event in sorted(self.nodes.items()):
            tree.add(self.label(event, name))
        return tree

    @staticmethod
    def label(event: Event, title: str) -> Text:
        """One line of the tree."""
        from rich.text import Text

        words = (
            f"{event.code}: {event.message}" if event.scope == "task" and event.code else event.message or event.kind
        )
        text = Text(f"{SIGNS[event.kind]} ", style=STYLES.get(event.kind, "cyan"))
        return text.append(f"{title:<14} ", style="bold").append(words, style=STYLES.get(event.kind, ""))

    @staticmethod
    def bar(event: Event) -> ProgressBar | None:
        """A progress bar for work whose size is known and that is not over."""
        from rich.progress_bar import ProgressBar

        share = fraction(event)
        return (
            ProgressBar(total=1.0, completed=share, width=40)
            if event.kind == "progress" and share is not None
            else None
        )
