"""Policies and groups: where machines are placed, how many there may be; what means nothing to us is said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from im.topology.document import Map, as_map, as_seq
from im.topology.functions import Scope
from im.topology.nodes import with_defaults
from im.topology.relations import machine_of
from im.topology.schema import properties_of
from im.topology.values import integer
from im.topology.world import text_of

if TYPE_CHECKING:
    from im.topology.model import Mark, NodeGroup, Placement
    from im.topology.world import World

PLACEMENT: Final = "tosca.policies.Placement"
SCALING: Final = "tosca.policies.Scaling"
_PLACEMENTS: Final[dict[str, Placement]] = {
    "affinity": "affinity",
    "anti-affinity": "anti-affinity",
    "soft-affinity": "soft-affinity",
    "soft-anti-affinity": "soft-anti-affinity",
}
_ONE_CLOUD: Final = "an infrastructure is on one cloud: choose it with --cloud"
ELSEWHERE: Final = {
    "cloud_id": _ONE_CLOUD,
    "sla_id": _ONE_CLOUD,
    "username": "credentials are given to im, not written into templates",
    "password": "credentials are given to im, not written into templates",
    "subscription_id": "credentials are given to im, not written into templates",
}
"""What policies for IM say that a user of im says elsewhere; never evaluated, it may be a secret."""


def placement_of(text: str) -> Placement:
    """Return the placement that a word means, in any of its spellings; "" for none."""
    word = re.sub(r"[ _]", "-", text.strip().lower()).replace("antiaffinity", "anti-affinity")
    return _PLACEMENTS.get(word, "")


def with_policies(world: World, topology: Map, groups: tuple[NodeGroup, ...]) -> tuple[NodeGroup, ...]:
    """Return the machines as the template's policies want them, each policy in the order that it is written."""
    applied = _Policies(world, as_map(topology.get("groups")), groups)
    for name, body, mark in policies_in(topology):
        applied.follow(name, body, mark)
    applied.check_groups()
    return applied.groups


def policies_in(topology: Map) -> Iterator[tuple[str, Map, Mark]]:
    """Yield name, body and place of each policy: a list of one-entry mappings, or one mapping of all."""
    section = topology.get("policies")
    for item in section if isinstance(section, list) else [section]:
        for name, body in as_map(item).items():
            yield str(name), as_map(body), as_map(item).key_mark(name)


class _Policies:
    def __init__(self, world: World, sets: Map, groups: tuple[NodeGroup, ...]) -> None:
        self._world = world
        self._sets = sets
        self._groups = {group.name: group for group in groups}
        self._targeted: set[str] = set()

    @property
    def groups(self) -> tuple[NodeGroup, ...]:
        return tuple(self._groups.values())

    def follow(self, name: str, body: Map, mark: Mark) -> None:
        kind = body.get("type")
        if self._world.types.find("policy", kind) is None:
            return
        machines = self._machines(body, mark, name)
        if body.get("triggers"):
            self._ignored(body.key_mark("triggers"), f"the triggers of the policy '{name}' are not watched")
        if self._world.types.derives("policy", kind, PLACEMENT) or _named_placement(str(kind)):
            self._place(name, body, machines, mark)
        elif self._world.types.derives("policy", kind, SCALING):
            self._scale(name, body, machines)
        else:
            self._ignored(mark, f"the policy '{name}' (a {kind}) means nothing to im")

    def check_groups(self) -> None:
        """Report groups that no policy names: nothing follows from them."""
        for name, body in self._sets.items():
            known = self._world.types.find("group", as_map(body).get("type")) is not None
            if known and str(name) not in self._targeted:
                message = f"the group '{name}' means nothing to im without a policy that names it"
                self._ignored(self._sets.key_mark(name), message)

    def _machines(self, body: Map, mark: Mark, name: str) -> list[str]:
        """Return the machines that a policy is about: its targets, the members of target groups, what they are on."""
        wanted = [str(target) for target in as_seq(body.get("targets"))]
        found: dict[str, None] = {}
        for target in wanted:
            self._targeted.add(target)
            inner = as_seq(as_map(self._sets.get(target)).get("members")) if target in self._sets else [target]
            for member in inner:
                machine = machine_of(str(member), self._world.nodes, self._world.types)
                if machine in self._groups:
                    found[machine] = None
        if not wanted:
            self._ignored(mark, f"the policy '{name}' has no targets")
        return list(found)

    def _values(self, body: Map) -> Map:
        """Return the properties of a policy, functions answered, with the defaults of its type."""
        types = self._world.types
        known = properties_of(types.merged("policy", body["type"], "properties"), types)
        raw = with_defaults(as_map(body.get("properties")), known, body.mark)
        values = Map(raw.file, raw.place)
        for key, value in raw.items():
            known_here = key not in ELSEWHERE
            answer = self._world.resolver.resolve(value, Scope(), raw.value_mark(key)) if known_here else "…"
            values.put(key, answer, raw.spot(key))
        return values

    def _place(self, name: str, body: Map, machines: list[str], mark: Mark) -> None:
        values = self._values(body)
        placement: Placement = _named_placement(str(body["type"]))
        for key, value in values.items():
            text = text_of(value)
            if key == "availability_zone":
                self._set_zone(machines, text, values.value_mark(key))
            elif placement_of(text):
                placement = placement_of(text)
            elif text:
                self._ignored(values.key_mark(key), f"'{key}' of the policy '{name}' is not followed", _hint(str(key)))
        if placement and len(machines) > 1:
            message = (
                f"the policy '{name}' places the machines of each of {', '.join(machines)}, not all of them together"
            )
            self._world.findings.warning(mark, "policy", message)
        for machine in machines if placement else ():
            self._set_placement(machine, placement, mark)
        if not placement and not values:
            self._ignored(
                mark, f"the policy '{name}' says nothing about where", "set 'placement' of im.policies.Placement"
            )

    def _set_zone(self, machines: list[str], zone: str, mark: Mark) -> None:
        for machine in machines if zone else ():
            group = self._groups[machine]
            if group.availability_zone not in {"", zone}:
                message = f"'{machine}' cannot be in the zones {group.availability_zone} and {zone} at once"
                self._world.findings.error(mark, "policy", message)
            self._groups[machine] = replace(group, availability_zone=zone)

    def _set_placement(self, machine: str, placement: Placement, mark: Mark) -> None:
        group = self._groups[machine]
        if group.placement not in {"", placement}:
            message = f"'{machine}' cannot have {group.placement} and {placement} at once"
            self._world.findings.error(mark, "policy", message, "remove one of the two")
        self._groups[machine] = replace(group, placement=placement)

    def _scale(self, name: str, body: Map, machines: list[str]) -> None:
        """Take the limits; im itself adds and removes nothing: ``im_client scale`` does."""
        values = self._values(body)
        for key in values:
            if key not in {"min_instances", "max_instances", "default_instances"} and values[key] is not None:
                hint = "im_client scale changes the number of machines"
                self._ignored(values.key_mark(key), f"'{key}' of the policy '{name}' is not followed", hint)
        low, high, count = (integer(values.get(key)) for key in ("min_instances", "max_instances", "default_instances"))
        for machine in machines:
            group = self._groups[machine]
            low_own = max(group.min_count, low or 0)
            high_own = group.max_count if high is None else min(group.max_count, high)
            own = group.count if count is None else count
            if not low_own <= own <= high_own:
                message = f"'{machine}' has {own} nodes, but the policy '{name}' wants {low_own} to {high_own}"
                self._world.findings.error(group.mark, "policy", message)
            self._groups[machine] = replace(group, min_count=low_own, max_count=high_own, count=own)

    def _ignored(self, mark: Mark, message: str, hint: str = "") -> None:
        self._world.findings.warning(mark, "ignored", message, hint)


def _hint(key: str) -> str:
    return ELSEWHERE.get(key) or f"known: availability_zone, placement ({', '.join(_PLACEMENTS)})"


def _named_placement(kind: str) -> Placement:
    """Return the placement that a type's own name means: profiles have ``…AntiAffinity`` and ``…AffinityRule``."""
    name = kind.rpartition(".")[2].removesuffix("Rule")
    return "anti-affinity" if name.endswith("AntiAffinity") else "affinity" if name.endswith("Affinity") else ""
