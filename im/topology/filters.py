"""Node filters: conditions on the node that may fulfil a requirement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from im.topology.document import Map, as_map, as_seq
from im.topology.schema import OPERATORS, Constraint, Property
from im.topology.syntax import call, descend, is_function
from im.topology.values import satisfies

if TYPE_CHECKING:
    from im.topology.findings import Findings
    from im.topology.nodes import NodeTemplate


class Filter:
    """The conditions of one ``node_filter``. ``inputs`` answer ``get_input`` in the nodes' values."""

    def __init__(self, body: object, inputs: Mapping[str, object], findings: Findings) -> None:
        self._body = as_map(body)
        self._inputs = inputs
        self._findings = findings
        self._check_form()

    def _check_form(self) -> None:
        for key in self._body:
            if key not in {"properties", "capabilities"}:
                mark = self._body.key_mark(key)
                self._findings.error(
                    mark, "unknown-key", f"a node_filter has no key '{key}'", "properties, capabilities"
                )
        for where, constraint in self._conditions():
            if constraint.operator not in OPERATORS:
                message = f"there is no constraint '{constraint.operator}' (node_filter, '{where[-1]}')"
                self._findings.error(self._body.mark, "unknown-key", message, f"known: {', '.join(sorted(OPERATORS))}")

    def lets_pass(self, node: NodeTemplate) -> bool:
        """Tell whether a node keeps all conditions that can be known before there are machines."""
        return all(self._keeps(node, where, constraint) for where, constraint in self._conditions())

    def _conditions(self) -> Iterator[tuple[tuple[str, ...], Constraint]]:
        for name, condition in _named(self._body.get("properties")):
            yield from (((name,), one) for one in _constraints(condition))
        for capability, body in _named(self._body.get("capabilities")):
            for name, condition in _named(as_map(body).get("properties")):
                yield from (((capability, name), one) for one in _constraints(condition))

    def _keeps(self, node: NodeTemplate, where: tuple[str, ...], constraint: Constraint) -> bool:
        holder: tuple[Map, Mapping[str, Property]] = (node.properties, node.definitions)
        if len(where) == 2:
            capability = node.capabilities.get(where[0])
            if capability is None:
                return False
            holder = (capability.values, capability.definitions)
        values, definitions = holder
        value = self._answer(values.get(where[-1]))
        if is_function(value) or constraint.operator not in OPERATORS:
            return True
        if value is None or where[-1] not in definitions:
            return False
        try:
            return satisfies(value, constraint, definitions[where[-1]].schema.type)
        except (TypeError, ValueError, re.error, OverflowError):
            return False

    def _answer(self, value: Any) -> Any:  # noqa: ANN401 - whatever a template holds
        if is_function(value) and "get_input" in value:
            name, *path = call(value)[1]
            return descend(self._inputs.get(str(name)), path)
        return value


def _named(section: object) -> Iterator[tuple[str, object]]:
    """Yield the entries of a list of one-entry mappings; a plain mapping is meant so, too."""
    for item in as_seq(section) or [section]:
        for name, body in as_map(item).items():
            yield str(name), body


def _constraints(condition: object) -> Iterator[Constraint]:
    """Yield conditions: one, a list of them, or a plain value that must be met."""
    for item in condition if isinstance(condition, list) else [condition]:
        if isinstance(item, dict):
            for operator, argument in item.items():
                yield Constraint(str(operator), argument)
        else:
            yield Constraint("equal", item)
