"""What happens when a node fails: keep going without it, create it again, or give up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from im.engine.evidence import keep_console
from im.engine.journal import Journal, Move
from im.engine.world import World
from im.errors import ImError, NoCapacity, ProviderError, SshError
from im.plan.model import Node, NodeState
from im.plan.observe import UP
from im.topology.model import Topology

REPLACEMENTS = 2
"""How often one command creates, or starts, a node again."""


class Policy:
    """``given_up``: names of the nodes without which the work goes on."""

    def __init__(self, world: World, journal: Journal, topology: Topology) -> None:
        self._world = world
        self._journal = journal
        self._topology = topology
        self._tries: Counter[str] = Counter()
        self.given_up: set[str] = set()

    def judge(self, moves: Iterable[Move], wanted: Collection[str]) -> None:
        """Look at changes of state for failures. Raises if the work cannot go on."""
        for move in moves:
            if move.to in {NodeState.FAILED, NodeState.LOST} and move.node.name in wanted:
                self._judge(self._journal.nodes[move.node.name])

    def try_again(self, name: str) -> bool:
        """Tell whether a node may be tried once more; if not, it is given up."""
        self._tries[name] += 1
        if self._tries[name] > REPLACEMENTS:
            self.given_up.add(name)
        return name not in self.given_up

    def front_end_lives(self) -> None:
        """Raise if a front-end that has been configured is broken: it is not replaced, for the data on it."""
        for row in self._journal.nodes.values():
            if row.front_end and row.configured and row.state is NodeState.FAILED:
                hint = "its disk may hold your data: have the cloud repair the server, or delete the infrastructure"
                raise error_of(row, hint)

    def enough(self) -> None:
        """Raise unless every group from which nodes failed still has as many as it needs."""
        for group in self._topology.groups:
            rows = [row for row in self._journal.nodes.values() if row.group == group.name]
            failed = [row for row in rows if row.name in self.given_up]
            working = [row for row in rows if row.state in UP and row.name not in self.given_up]
            if failed and len(working) < max(group.min_count, 1):
                raise error_of(failed[0], others=failed[1:])

    def _judge(self, node: Node) -> None:
        keep_console(self._world, self._journal, node)
        policy = self._topology.group(node.group).on_failure
        again = policy == "replace" or node.state is NodeState.LOST
        if again and node.reason != NoCapacity.code and self.try_again(node.name):
            message = f"creating it again: {node.message}"
            self._journal.note("create", "retry", "replace", message, scope="node", subject=node.name)
            return
        self.given_up.add(node.name)
        if policy == "abort" or node.front_end:
            raise error_of(node)


def error_of(node: Node, hint: str = "the same command tries again", others: Sequence[Node] = ()) -> ImError:
    """Return the error that a failed node stands for; ``others`` have failed as well."""
    kinds: dict[str, type[ImError]] = {
        "ssh-timeout": SshError,
        SshError.code: SshError,
        NoCapacity.code: NoCapacity,
    }
    kind = kinds.get(node.reason, ProviderError)
    more = f"; {', '.join(other.name for other in others)} failed as well" if others else ""
    return kind(f"{node.message or 'it failed'}{more}", where=f"node {node.name}", hint=hint)
