"""Finds what operations run: our recipes, and the playbooks and scripts that come with a template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from im.data_files import data_folder
from im.sources.files import Refused, Source, Sources
from im.topology.findings import did_you_mean
from im.topology.software import Located, kind_of

_ROLE_PREFIX: Final = "recipes/"


class Locator:
    """Finds the files that operations run."""

    def __init__(self, sources: Sources, by_name: Mapping[str, Source]) -> None:
        self._sources = sources
        self._by_name = by_name
        self.found: dict[tuple[str, str], tuple[str, ...]] = {}

    def __call__(self, reference: str, file: str) -> Located:
        """Return where the implementation is that ``reference`` in ``file`` names."""
        located = self._locate(reference, file)
        self.found[reference, file] = (located.kind, located.path, located.problem, located.hint)
        return located

    def _locate(self, reference: str, file: str) -> Located:
        if reference.startswith(_ROLE_PREFIX) and "." not in reference:
            return _role(reference.removeprefix(_ROLE_PREFIX))
        found = self._sources.find(reference, self._by_name.get(file, self._sources.template))
        kind = kind_of(reference)
        if isinstance(found, Refused):
            return Located(kind, problem=found.problem, hint=found.hint)
        return Located(kind, str(found.path))


def _role(name: str) -> Located:
    recipes = data_folder("recipes")
    known = sorted(path.name for path in recipes.iterdir() if path.is_dir()) if recipes.is_dir() else []
    if name in known:
        return Located("role", name)
    hint = did_you_mean(name, known) or f"there are: {', '.join(known)}"
    return Located("role", problem=f"there is no recipe '{name}'", hint=hint)
