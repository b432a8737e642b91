"""Draws docs/pictures/deploy.svg: what a terminal shows at one moment of a real deployment.

``im_client events NAME --json | python scripts/draw_deploy.py [SHARE]`` replays the recorded events through the
same tree that ``im_client deploy`` draws, up to SHARE (0 to 1) of the time they took.
"""

from __future__ import annotations

import io
import json
import sys
from datetime import datetime
from pathlib import Path

from rich.console import Console

from im.cli.render import LiveTree
from im.events import Event

TARGET = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "deploy.svg"


def read(line: str) -> Event:
    """One recorded event."""
    words = json.loads(line)
    return Event(**{**words, "at": datetime.fromisoformat(words["at"])})


def main(share: float) -> None:
    """Replay and draw."""
    events = [read(line) for line in sys.stdin]
    first, last = events[0].at, events[-1].at
    now = first + (last - first) * share
    tree = LiveTree()
    for event in events:
        if event.at <= now:
            tree(event)
    tree.started -= (now - first).total_seconds()
    console = Console(record=True, width=96, file=io.StringIO(), force_terminal=True)
    console.print(f"$ im_client deploy tosca_templates/mpi_cluster.yaml --name {tree.name}")
    console.print(tree.render())
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(console.export_svg(title="im_client deploy"))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.6)
