"""Progress: one line per piece of news where there is no terminal, one tree where there is."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from im.cli.render import Lines, LiveTree, line, shown_events
from im.events import Event

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def event(subject="n1", scope="node", kind="started", **words):
    return Event("i", scope, subject, words.pop("phase", "boot"), kind, at=AT, **words)


def test_a_line_says_when_who_what_and_how_far():
    shown = line(event(kind="progress", message="unpacking", data={"done": 1, "total": 4}))
    assert shown == "03:04:05 · n1               boot       unpacking 25%"


def test_a_task_on_many_nodes_is_told_once():
    stream = io.StringIO()
    lines = Lines(stream)
    for node in ("n1", "n2", "n3"):
        lines(event(node, "task", phase="configure", code="base", message="packages"))
    assert stream.getvalue().count("packages") == 1


def test_a_failure_is_always_told():
    stream = io.StringIO()
    lines = Lines(stream)
    for node in ("n1", "n2"):
        lines(event(node, "task", kind="failed", phase="configure", message="no disk"))
    assert stream.getvalue().count("no disk") == 2


def test_progress_does_not_flood():
    stream = io.StringIO()
    lines = Lines(stream)
    for done in range(100):
        lines(event(kind="progress", data={"done": done, "total": 100}))
    assert len(stream.getvalue().splitlines()) == 1


def test_without_a_terminal_events_are_lines():
    stream = io.StringIO()
    with shown_events(stream) as emit:
        emit(event(message="hello"))
    assert "hello" in stream.getvalue()


def test_the_tree_shows_the_latest_word_of_each_phase_and_node():
    tree = LiveTree()
    tree(
        event(
            "lab", "infrastructure", phase="image", kind="progress", message="base image", data={"done": 3, "total": 4}
        )
    )
    tree(event("n1", message="booting"))
    tree(event("n1", kind="finished", message="answers"))
    console = Console(file=io.StringIO(), width=100)
    console.print(tree.render())
    text = console.file.getvalue()
    assert "base image" in text
    assert "answers" in text
    assert "booting" not in text


def test_work_whose_size_is_known_has_a_bar_until_it_is_done():
    tree = LiveTree()
    for kind in ("progress", "finished"):
        tree(
            event("lab", "infrastructure", phase="image", kind=kind, message="base image", data={"done": 3, "total": 4})
        )
        console = Console(file=io.StringIO(), width=100)
        console.print(tree.render())
        assert ("\u2501" * 10 in console.file.getvalue()) is (kind == "progress")


def test_a_phase_is_over_when_the_next_one_speaks():
    tree = LiveTree()
    tree(event("lab", "infrastructure", phase="create"))
    tree(event("lab", "infrastructure", phase="boot"))
    assert [(phase, last.kind) for phase, last in tree.phases.items()] == [("create", "finished"), ("boot", "started")]
