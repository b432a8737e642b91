"""Events about one subject, said briefly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from im.events import Emit, Event, Kind, Scope


@dataclass(frozen=True, slots=True)
class Teller:
    """Emits events of one phase about one subject of an infrastructure."""

    emit: Emit
    infrastructure: str
    scope: Scope
    subject: str
    phase: str

    def __call__(self, kind: Kind, code: str, message: str, data: Mapping[str, object] | None = None) -> None:
        """Emit one event."""
        subject = (self.infrastructure, self.scope, self.subject, self.phase)
        self.emit(Event(*subject, kind, code, message, data or {}))
