"""Keeps what a failed node said before anything is done to it."""

from __future__ import annotations

from pathlib import Path

from im.config import Settings
from im.engine.calls import once
from im.engine.journal import Journal
from im.engine.world import World
from im.errors import ImError
from im.plan.model import Node
from im.providers.base import Capability


def console_log(settings: Settings, infrastructure: str, node: str) -> Path:
    """Return where the console log of a failed node is kept."""
    return settings.infrastructure_folder(infrastructure) / "logs" / f"{node}-console.log"


def keep_console(world: World, journal: Journal, node: Node) -> None:
    """Save the console of a failed node; that it cannot be had is no second failure."""
    if not node.id or Capability.CONSOLE not in world.provider.capabilities:
        return
    try:
        text = once(world, "reading the console", lambda: world.provider.console(node.id))
    except ImError:
        return
    if text:
        path = console_log(world.settings, journal.record.id, node.name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(text, encoding="utf-8")
        message = f"its console log is in {path}"
        journal.note("boot", "note", "console", message, scope="node", subject=node.name, log=str(path))
