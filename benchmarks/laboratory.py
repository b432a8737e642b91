"""The sub-cluster on provider local that a benchmark works on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from im.api import LocalManager

ENGINES_TEMPLATE = Path(__file__).resolve().parent.parent / "tests" / "e2e" / "templates" / "engines.yaml"


@contextmanager
def laboratory(
    im: LocalManager,
    there: str,
    new: str,
    *,
    template: Path = ENGINES_TEMPLATE,
    inputs: Sequence[str] = (),
    counts: Mapping[str, int] | None = None,
) -> Iterator[str]:
    """The sub-cluster that is ``there``, else a ``new`` one of a template, scaled to ``counts``, for as long."""
    if there:
        yield there
        return
    im.deploy(new, "local", im.validate(template, inputs))
    try:
        if counts:
            im.scale(new, counts)
        yield new
    finally:
        im.delete(new)
