"""The one transition table. What is not in it cannot happen; asking for it is a bug of ours and raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from im.plan.model import InfrastructureState as I
from im.plan.model import NodeState as N

NODE: Mapping[N, frozenset[N]] = {
    N.REQUESTED: frozenset({N.BUILDING, N.BOOTING, N.STOPPED, N.FAILED, N.DELETING}),
    N.BUILDING: frozenset({N.BOOTING, N.STOPPED, N.FAILED, N.LOST, N.DELETING}),
    N.BOOTING: frozenset({N.REACHABLE, N.STOPPED, N.FAILED, N.LOST, N.DELETING}),
    N.REACHABLE: frozenset({N.CONFIGURING, N.STOPPED, N.FAILED, N.LOST, N.DELETING}),
    N.CONFIGURING: frozenset({N.READY, N.REACHABLE, N.STOPPED, N.FAILED, N.LOST, N.DELETING}),
    N.READY: frozenset({N.CONFIGURING, N.STOPPED, N.FAILED, N.LOST, N.DELETING}),
    N.STOPPED: frozenset({N.BOOTING, N.FAILED, N.LOST, N.DELETING}),
    N.FAILED: frozenset({N.BUILDING, N.BOOTING, N.REACHABLE, N.STOPPED, N.LOST, N.DELETING, N.GONE}),
    N.LOST: frozenset({N.BUILDING, N.BOOTING, N.STOPPED, N.FAILED, N.DELETING, N.GONE}),
    N.DELETING: frozenset({N.GONE}),
    N.GONE: frozenset(),
}
"""What may follow a node's state. A node that is gone has no row any more; its successor begins anew."""

INFRASTRUCTURE: Mapping[I, frozenset[I]] = {
    I.PLANNED: frozenset({I.PROVISIONING, I.FAILED, I.DELETING}),
    I.PROVISIONING: frozenset({I.PROVISIONED, I.RESIZING, I.STOPPED, I.FAILED, I.DELETING}),
    I.PROVISIONED: frozenset({I.PROVISIONING, I.CONFIGURING, I.READY, I.DEGRADED, I.STOPPED, I.FAILED, I.DELETING}),
    I.CONFIGURING: frozenset({I.PROVISIONING, I.READY, I.DEGRADED, I.STOPPED, I.FAILED, I.DELETING}),
    I.READY: frozenset(
        {I.PROVISIONING, I.RESIZING, I.PROVISIONED, I.CONFIGURING, I.DEGRADED, I.STOPPED, I.FAILED, I.DELETING}
    ),
    I.DEGRADED: frozenset(
        {I.PROVISIONING, I.RESIZING, I.PROVISIONED, I.CONFIGURING, I.READY, I.STOPPED, I.FAILED, I.DELETING}
    ),
    I.RESIZING: frozenset({I.PROVISIONED, I.PROVISIONING, I.STOPPED, I.FAILED, I.DELETING}),
    I.STOPPED: frozenset({I.PROVISIONING, I.FAILED, I.DELETING}),
    I.FAILED: frozenset({I.PROVISIONING, I.CONFIGURING, I.STOPPED, I.DELETING}),
    I.DELETING: frozenset({I.DELETED}),
    I.DELETED: frozenset(),
}
"""What may follow an infrastructure's state."""

_State = TypeVar("_State", N, I)


class IllegalTransition(AssertionError):
    """A transition that the table does not have: a bug in ``im``, never the user's fault."""


def check(table: Mapping[_State, frozenset[_State]], subject: str, before: _State, after: _State) -> None:
    """Raise :class:`IllegalTransition` unless ``after`` may follow ``before``; staying is always allowed."""
    if after is not before and after not in table[before]:
        raise IllegalTransition(f"{subject} cannot go from {before} to {after}")
