"""Collects what is wrong with a template, so that the user sees all of it at once."""

from __future__ import annotations

from collections.abc import Collection
from difflib import SequenceMatcher, get_close_matches
from heapq import nsmallest
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from im.errors import TemplateError
from im.topology.model import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from im.topology.model import Mark

_FOLLOWS_FROM_IMPORT: Final = frozenset(("unknown-type", "unknown-requirement", "unknown-capability", "no-machines"))
LIMIT: Final = 200
"""More findings of a kind than this help nobody."""
MANY: Final = 300
"""Among more words than this, only those that differ from a word near its end or its beginning are compared with it."""


class Findings:
    """The findings so far, each one once, in the order of their discovery."""

    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}
        self._count = {"error": 0, "warning": 0}

    def error(self, mark: Mark, code: str, message: str, hint: str = "") -> None:
        """Add something that keeps the template from being used."""
        self.add(Finding(mark, code, message, hint))

    def warning(self, mark: Mark, code: str, message: str, hint: str = "") -> None:
        """Add something doubtful that keeps nothing from working."""
        self.add(Finding(mark, code, message, hint, severity="warning"))

    def add(self, finding: Finding) -> None:
        """Add ``finding`` unless it is known; end here where there are too many errors, leave out too many warnings."""
        if finding in self._found:
            return
        if self._count[finding.severity] < LIMIT:
            self._count[finding.severity] += 1
            self._found[finding] = None
        elif finding.severity == "error":
            self.stop()

    def extend(self, findings: Iterable[Finding]) -> None:
        """Add all of ``findings``."""
        for finding in findings:
            self.add(finding)

    def revise(self, change: Callable[[Finding], Finding]) -> None:
        """Put what ``change`` makes of each finding in its place."""
        self._found = dict.fromkeys(map(change, self._found))
        self._count = {kind: sum(one.severity == kind for one in self._found) for kind in self._count}

    @property
    def all(self) -> tuple[Finding, ...]:
        """Everything, sorted by place."""
        return tuple(sorted(self._found, key=lambda found: (found.mark.file, found.mark.line, found.mark.column)))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What keeps the template from being used."""
        return tuple(found for found in self.all if found.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is only doubtful."""
        return tuple(found for found in self.all if found.severity == "warning")

    def stop(self) -> None:
        """Raise :class:`im.errors.TemplateError` with all findings where there is an error among them.

        Where an import could not be read, types are unknown because of it: only the import is reported then.
        """
        if any(found.code == "import" for found in self._found):
            self._found = {found: None for found in self._found if found.code not in _FOLLOWS_FROM_IMPORT}
        if self.errors:
            raise TemplateError(self.all)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the known word that looks most like ``word``, or nothing."""
    words = known if isinstance(known, Collection) else list(known)
    if len(words) > MANY:
        start, end = word[: max(len(word) - 2, 1)], word[-max(len(word) - 2, 1) :]
        words = nsmallest(MANY, (other for other in words if other.startswith(start) or other.endswith(end)))
    close = get_close_matches(word, sorted(set(words)), n=5, cutoff=0.6)
    best = max(close, key=lambda other: _likeness(word, other), default="")
    return f"did you mean '{best}'?" if best else ""


def _likeness(word: str, other: str) -> float:
    """Whoever mistypes or guesses a name gets its beginning right more often than its end."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(word, other, strict=False)))
    return SequenceMatcher(None, word, other).ratio() + same / max(len(word), 1)
