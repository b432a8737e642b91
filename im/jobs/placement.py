"""Which rank goes where: nodes are filled in their order, up to their slots. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from im.errors import InputError
from im.jobs.facts import Member


@dataclass(frozen=True, slots=True)
class Share:
    """The ranks that one node gets."""

    node: str
    ranks: int


def place(ranks: int, members: Sequence[Member]) -> tuple[Share, ...]:
    """Spread ``ranks`` over the slots. Raises :class:`im.errors.InputError` if they do not suffice."""
    total = sum(member.slots for member in members)
    if ranks > total:
        raise InputError(
            f"{ranks} ranks do not fit: the sub-cluster has {total} {'slot' if total == 1 else 'slots'}",
            where="-n",
            hint=f"slots: {', '.join(f'{member.name} {member.slots}' for member in members)}",
        )
    shares = []
    left = ranks
    for member in members:
        taken = min(left, member.slots)
        if taken > 0:
            shares.append(Share(member.name, taken))
        left -= taken
    return tuple(shares)


def spread(ranks: int, members: Sequence[Member]) -> tuple[Share, ...]:
    """Put one rank on each of the first nodes that take any; the last of them gets what is left over."""
    workers = [member for member in members if member.slots > 0][:ranks]
    if not workers:
        return ()
    shares = [Share(member.name, 1) for member in workers[:-1]]
    return (*shares, Share(workers[-1].name, ranks - len(shares)))
