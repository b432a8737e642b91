"""A template as far as it is read: what the last steps, which make values of it, work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from im.topology.document import as_map
from im.topology.functions import Scope
from im.topology.values import version_text

if TYPE_CHECKING:
    from im.topology.findings import Findings
    from im.topology.functions import Resolver
    from im.topology.nodes import NodeTemplate
    from im.topology.relations import Nodes
    from im.topology.types import Types

COMPUTE: Final = "tosca.nodes.Compute"


@dataclass(frozen=True, slots=True)
class World:
    """The template as far as it is read: what the last steps work on. ``for_im``: it is in IM's dialect."""

    nodes: Nodes
    types: Types
    resolver: Resolver
    findings: Findings
    for_im: bool = False

    def is_a(self, node: NodeTemplate, kind: str) -> bool:
        """Tell whether a node's type is ``kind`` or derives from it."""
        return self.types.derives("node", node.type, kind)

    def of_type(self, kind: str) -> list[NodeTemplate]:
        """Return the nodes whose type is ``kind`` or derives from it."""
        return [node for node in self.nodes.values() if self.is_a(node, kind)]

    def property(self, node: NodeTemplate, name: str) -> object:
        """Return a property's value with its functions answered."""
        return self.resolver.resolve(node.properties.get(name), Scope(node.name), node.properties.value_mark(name))

    def capability(self, node: NodeTemplate, capability: str, name: str) -> object:
        """Return a capability property's value with its functions answered, see :func:`lower_bound`."""
        if capability not in node.capabilities:
            return None
        values = node.capabilities[capability].values
        value = self.resolver.resolve(values.get(name), Scope(node.name), values.value_mark(name))
        return lower_bound(value)

    def assigned(self, node: NodeTemplate, capability: str, name: str) -> bool:
        """Tell whether the template itself (not a default of the type) sets a capability's property."""
        body = as_map(as_map(as_map(node.body.get("capabilities")).get(capability)).get("properties"))
        return body.get(name) is not None


def lower_bound(value: object) -> object:
    """Return the number in a condition that stands for one (``{greater_or_equal: 4}``), else the value itself."""
    if isinstance(value, dict) and len(value) == 1:
        operator, argument = next(iter(value.items()))
        if operator in {"equal", "greater_or_equal"}:
            return cast("object", argument)
        if operator == "in_range" and isinstance(argument, list) and argument:
            return cast("object", argument[0])
    return value


def first(*values: object) -> object:
    """Return the first value that says something."""
    return next((value for value in values if value not in (None, "")), None)


def text_of(value: object) -> str:
    """Return a plain value as it was written; "" for anything else."""
    return version_text(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def texts_of(value: object) -> tuple[str, ...]:
    """Return the items of a list as texts."""
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
