"""The order that requirements put nodes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from im.topology.findings import Findings
    from im.topology.nodes import Relation
    from im.topology.relations import Nodes


def order(nodes: Nodes, findings: Findings) -> tuple[str, ...]:
    """Return the nodes, required ones first.

    Every circle of requirements is reported once, at the requirement that closes it.
    """
    walk = _Walk(nodes, findings)
    for start in nodes:
        walk.visit(start)
    return tuple(walk.done)


class _Walk:
    """Goes down the requirements with a stack of its own: a long chain must not meet Python's limit of recursion."""

    def __init__(self, nodes: Nodes, findings: Findings) -> None:
        self.done: dict[str, None] = {}
        self._nodes = nodes
        self._findings = findings
        self._path: dict[str, None] = {}
        self._stack: list[tuple[str, int]] = []

    def visit(self, start: str) -> None:
        """Add ``start``, after everything that it requires, to ``done``."""
        self._enter(start)
        while self._stack:
            name, position = self._stack.pop()
            links = self._nodes[name].relations
            if position < len(links):
                self._stack.append((name, position + 1))
                self._follow(links[position])
            else:
                self._path.pop(name)
                self.done[name] = None

    def _enter(self, name: str) -> None:
        if name not in self.done:
            self._path[name] = None
            self._stack.append((name, 0))

    def _follow(self, link: Relation) -> None:
        if link.target in self._path:
            names = [*self._path]
            circle = " -> ".join([*names[names.index(link.target) :], link.target])
            message = f"the requirements run in a circle: {circle}"
            self._findings.error(link.mark, "cycle", message, "one of them must go")
        elif link.target in self._nodes:
            self._enter(link.target)
