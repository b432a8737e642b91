"""The types that a template may use.

Those of TOSCA itself, those that it imports and its own, with what they inherit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from im.topology.document import Document, Map, as_map, as_seq
from im.topology.findings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from im.topology.findings import Findings
    from im.topology.model import Mark

T = TypeVar("T")
Kind = Literal["node", "relationship", "capability", "interface", "data", "artifact", "group", "policy"]

MAX_ANCESTORS: Final = 64
SECTIONS: Final[dict[Kind, str]] = {
    "node": "node_types",
    "relationship": "relationship_types",
    "capability": "capability_types",
    "interface": "interface_types",
    "data": "data_types",
    "artifact": "artifact_types",
    "group": "group_types",
    "policy": "policy_types",
}
_PREFIXES: Final[dict[Kind, tuple[str, ...]]] = {
    "node": ("tosca.nodes.",),
    "relationship": ("tosca.relationships.", "tosca.relationships.network."),
    "capability": ("tosca.capabilities.", "tosca.capabilities.network."),
    "interface": ("tosca.interfaces.", "tosca.interfaces.node.lifecycle.", "tosca.interfaces.relationship."),
    "data": ("tosca.datatypes.", "tosca.datatypes.network."),
    "artifact": ("tosca.artifacts.",),
    "group": ("tosca.groups.",),
    "policy": ("tosca.policies.",),
}
PRIMITIVES: Final = frozenset(
    (
        "string",
        "integer",
        "float",
        "boolean",
        "timestamp",
        "range",
        "list",
        "map",
        "version",
        "null",
        "json",
        "xml",
        "scalar-unit.size",
        "scalar-unit.time",
        "scalar-unit.frequency",
        "scalar-unit.bitrate",
    )
)


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """A type as it is written in one place; ``section`` is the section that it stands in under ``name``."""

    kind: Kind
    name: str
    section: Map
    mark: Mark
    origin: str

    @property
    def body(self) -> Map:
        """What is written.

        Read no earlier than needed, because sections from a cache decode each type when it is looked at.
        """
        return as_map(self.section.get(self.name))


class Types:
    """All types of a template by kind and name. Short names (``Compute``, ``tosca:Compute``) are understood."""

    def __init__(self, documents: Sequence[Document], findings: Findings) -> None:
        self._known: dict[Kind, dict[str, TypeDefinition]] = {kind: {} for kind in SECTIONS}
        self._merged: dict[tuple[Kind, str, str], Map] = {}
        self._chains: dict[tuple[Kind, str], tuple[TypeDefinition, ...]] = {}
        self._remembered: dict[object, Any] = {}
        for document in sorted(documents, key=lambda one: one.origin != "normative"):
            for kind, section in SECTIONS.items():
                self._collect(kind, document, document.root.get(section), findings)

    def _collect(self, kind: Kind, document: Document, section: object, findings: Findings) -> None:
        if not isinstance(section, Map):
            return
        known = self._known[kind]
        for name in section:
            mark = section.key_mark(name)
            if not isinstance(name, str):
                findings.error(mark, "form", f"the name of a type must be a text, not {name}", "put it in quotes")
                continue
            before = known.get(name)
            if before is not None and before.origin != "normative":
                findings.error(
                    mark, "duplicate-type", f"the {kind} type '{name}' is defined twice", f"first in {before.mark}"
                )
                continue
            known[name] = definition = TypeDefinition(kind, name, section, mark, document.origin)
            if document.prefix:
                known[f"{document.prefix}:{name}"] = definition

    def defined_in(self, origin: str) -> Iterator[TypeDefinition]:
        """Yield the types that documents of this origin define."""
        for known in self._known.values():
            yield from (found for name, found in known.items() if found.origin == origin and found.name == name)

    def remember(self, key: object, make: Callable[[], T]) -> T:
        """Return what ``make`` made of the types for ``key`` before; who shares it never changes it."""
        if key not in self._remembered:
            self._remembered[key] = make()
        return cast("T", self._remembered[key])

    def all(self, kind: Kind, *, normative: bool) -> Iterator[TypeDefinition]:
        """Yield the types of a kind, TOSCA's own only where they are wanted."""
        for name, found in self._known[kind].items():
            if found.name == name and (normative or found.origin != "normative"):
                yield found

    def named(self, text: str) -> Iterator[TypeDefinition]:
        """Yield the types of any kind, TOSCA's own left out, that are called exactly ``text``."""
        for known in self._known.values():
            found = known.get(text)
            if found is not None and found.origin != "normative":
                yield found

    def find(self, kind: Kind, name: object) -> TypeDefinition | None:
        """Return the type that ``name`` means, or None."""
        known = self._known[kind]
        text = str(name)
        if text in known:
            return known[text]
        short = text.removeprefix("tosca:")
        return next((known[prefix + short] for prefix in _PREFIXES[kind] if prefix + short in known), None)

    def name(self, kind: Kind, name: object) -> str:
        """Return the full name of the type that ``name`` means; ``name`` itself where there is none."""
        found = self.find(kind, name)
        return found.name if found else str(name)

    def suggestion(self, kind: Kind, name: object) -> str:
        """Return a hint for an unknown type name."""
        return did_you_mean(str(name), self._known[kind]) or "is an import missing?"

    def chain(self, kind: Kind, name: object) -> tuple[TypeDefinition, ...]:
        """Return the type and what it derives from, itself first. Ends where a parent is unknown or comes again."""
        key = (kind, str(name))
        if key not in self._chains:
            self._chains[key] = tuple(self._ancestors(kind, name))
        return self._chains[key]

    def _ancestors(self, kind: Kind, name: object) -> Iterator[TypeDefinition]:
        seen: set[str] = set()
        found = self.find(kind, name)
        while found is not None and found.name not in seen and len(seen) < MAX_ANCESTORS:
            seen.add(found.name)
            yield found
            parent = found.body.get("derived_from")
            found = self.find(kind, parent) if isinstance(parent, str) else None

    def derives(self, kind: Kind, name: object, ancestor: object) -> bool:
        """Tell whether a type is ``ancestor`` or derives from it."""
        wanted = self.name(kind, ancestor)
        return any(found.name == wanted for found in self.chain(kind, name))

    def merged(self, kind: Kind, name: object, section: str) -> Map:
        """Return the entries of ``section`` (``properties``, ``capabilities``, ...) of a type and its ancestors.

        An entry that is written again refines the inherited one, key by key. ``requirements`` may be a list
        of one-entry mappings.
        """
        key = (kind, str(name), section)
        if key not in self._merged:
            self._merged[key] = self._merge(kind, name, section)
        return self._merged[key]

    def _merge(self, kind: Kind, name: object, section: str) -> Map:
        result = Map()
        for found in reversed(self.chain(kind, name)):
            for entry, value, holder in _entries(found.body.get(section)):
                result.put(entry, refine(result.get(entry), value), holder.spot(entry))
                result.file = holder.file
        return result


def _entries(section: object) -> Iterator[tuple[str, Any, Map]]:
    if isinstance(section, Map):
        for name, value in section.items():
            yield name, value, section
    else:
        for item in as_seq(section):
            if isinstance(item, Map):
                for name, value in item.items():
                    yield name, value, item


def refine(inherited: object, own: object) -> object:
    """Return the inherited definition with the keys of ``own`` over it, at the place of ``own``."""
    if not (isinstance(inherited, Map) and isinstance(own, Map)):
        return inherited if own is None else own
    result = Map(own.file, own.place)
    for source in (inherited, own):
        for key, value in source.items():
            result.put(key, value, source.spot(key))
    return result
