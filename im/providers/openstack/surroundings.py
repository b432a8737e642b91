"""Makes what the servers of an infrastructure stand on: networks, a way out, security groups, server groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial

from im.errors import ImError, ProviderError
from im.providers.base import Environment
from im.providers.openstack import wishes
from im.providers.openstack.api import Api, Json, Together
from im.providers.openstack.marks import Mark, described, mark_of, moment, name_of
from im.providers.openstack.offers import Offers
from im.providers.openstack.tags import lacks_tags, put_tags

SOFT_POLICIES = "2.15"
_FIELDS = ("id", "name", "description", "tags")
_GROUP_FIELDS = (*_FIELDS, "security_group_rules")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What create needs to know.

    ``networks``: ids by the template's names; ``outside``: names of external networks that servers are on directly,
    by id; ``floating``: where public addresses come from. ``way_out`` is done when the router is there, ``tagged`` when
    all has its tags: servers can be asked for before.
    """

    label: str
    networks: Mapping[str, str] = field(default_factory=dict)
    default: str = ""
    outside: Mapping[str, str] = field(default_factory=dict)
    floating: str = ""
    inside: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    placements: Mapping[str, str] = field(default_factory=dict)
    way_out: Future[None] = field(default_factory=Future, compare=False)
    tagged: Future[None] = field(default_factory=Future, compare=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What is there already and carries the mark of one infrastructure."""

    networks: Mapping[str, Json]
    router: Json | None
    security_groups: Mapping[tuple[str, str], Json]
    placements: Mapping[str, Json]


def floating_network(api: Api, infrastructure: str) -> str:
    """Return the network that an infrastructure's public addresses come from, as its security group tells."""
    shown = api.get("network", "/security-groups", {"fields": ("id", "description")})["security_groups"]
    marks = [mark for one in shown if (mark := mark_of(one["description"]))]
    return next((mark.key for mark in marks if mark[:2] == (infrastructure, "inside")), "")


class Builder:
    """Makes what is missing around one infrastructure; everything carries its mark from the call that makes it."""

    def __init__(self, api: Api, offers: Offers, environment: Environment) -> None:
        self._api = api
        self._offers = offers
        self._environment = environment
        self._infrastructure = environment.infrastructure
        self._untagged: list[tuple[str, str]] = []

    def build(self) -> Surroundings:
        """Make it; what is there stays. Raises :class:`im.errors.InputError` before anything is made."""
        wanted = wishes.scheme(self._environment, self._offers.networks())
        self._check_key_pairs()
        found = self._find()
        behind = ThreadPoolExecutor(1, thread_name_prefix="im-way-out")
        try:
            router = behind.submit(self._router, found, wanted)
            with Together() as at_once:
                made = at_once.ask(lambda: self._networks(found, wanted.new))
                groups = at_once.ask(lambda: self._security_groups(found, wanted))
                placements = at_once.ask(lambda: self._placements(found))
            own = made.result()
            way_out = behind.submit(lambda: self._connect(found.router, router.result(), own.values()))
            around = self._around(wanted, own, groups.result())
            around = replace(around, placements=placements.result(), way_out=way_out)
            return replace(around, tagged=behind.submit(put_tags, self._api, self._infrastructure, self._untagged))
        except ImError:
            wait([router])  # who tries again must see it
            raise
        finally:
            behind.shutdown(wait=False)

    def _around(
        self, wanted: wishes.Scheme, own: Mapping[str, Json], groups: Mapping[tuple[str, str], str]
    ) -> Surroundings:
        networks = {**own, **wanted.inner, **wanted.direct}
        return Surroundings(
            label=self._environment.name,
            networks={name: one["id"] for name, one in networks.items()},
            default=next(one["id"] for one in networks.values()),
            outside={one["id"]: one["name"] for one in wanted.direct.values()},
            floating=wanted.external["id"] if wanted.external else "",
            inside=groups["inside", ""],
            groups={key: id_ for (role, key), id_ in groups.items() if role == "group"},
        )

    # looking

    def _check_key_pairs(self) -> None:
        if wanted := {group.key_pair for group in self._environment.groups if group.key_pair}:
            shown = self._api.get("compute", "/os-keypairs")["keypairs"]
            wishes.check_key_pairs(wanted, [one["keypair"]["name"] for one in shown])

    def _find(self) -> Found:
        wanted = {group.name for group in self._environment.groups if group.placement}
        with Together() as at_once:
            routers = at_once.ask(lambda: self._marked("routers"))
            security_groups = at_once.ask(lambda: self._marked("security-groups", _GROUP_FIELDS))
            placements = at_once.ask(lambda: self._listed_placements() if wanted else {})
            networks = [one for one in self._offers.networks() if self._is_ours(one)]
        return Found(
            {_mark(one).key: one for one in networks},
            next(iter(routers.result()), None),
            {_key(_mark(one)): one for one in security_groups.result()},
            placements.result(),
        )

    def _is_ours(self, shown: Json) -> bool:
        mark = mark_of(shown.get("description"))
        return mark is not None and mark.infrastructure == self._infrastructure

    def _marked(self, kind: str, fields: Iterable[str] = _FIELDS) -> list[Json]:
        shown = self._api.get("network", f"/{kind}", {"fields": tuple(fields)})[kind.replace("-", "_")]
        return [one for one in shown if self._is_ours(one)]

    def _again(self, kind: str, mark: Mark) -> Json | None:
        """Look whether a call that nobody answered has made something."""
        found = [one for one in self._marked(kind, (*_FIELDS, "subnets")) if _mark(one) == mark]
        return {kind.replace("-", "_").removesuffix("s"): found[0]} if found else None

    # making

    def _mark(self, role: str, key: str) -> Mark:
        until = moment(self._environment.expires) if role == "inside" else ""
        return Mark(self._infrastructure, role, key, until)

    def _make(self, kind: str, role: str, key: str, *words: str, **more: object) -> Json:
        mark = self._mark(role, key)
        one = kind.replace("-", "_").removesuffix("s")
        name = name_of(self._infrastructure, self._environment.name, *words)
        body = {one: {"name": name, "description": described(mark), **more}}
        made: Json = self._api.post("network", f"/{kind}", body, partial(self._again, kind, mark))[one]
        return made

    def _networks(self, found: Found, cidrs: Mapping[str, str]) -> dict[str, Json]:
        self._offers.forget_networks()
        calls = [partial(self._network, found.networks.get(name), name, cidr) for name, cidr in cidrs.items()]
        return dict(zip(cidrs, Together.all(calls), strict=True))

    def _network(self, there: Json | None, name: str, cidr: str) -> Json:
        network = there or self._make("networks", "network", name, name)
        if not network["subnets"]:
            subnet = self._make("subnets", "subnet", name, name, network_id=network["id"], ip_version=4, cidr=cidr)
            network = {**network, "subnets": [subnet["id"]]}
        if lacks_tags(network):  # a network that has them has subnets that have them
            self._untagged += [("subnets", id_) for id_ in network["subnets"]]
            self._untagged.append(("networks", network["id"]))
        return network

    def _router(self, found: Found, wanted: wishes.Scheme) -> Json | None:
        router = found.router
        if router is None and wanted.external and wanted.new:
            router = self._make("routers", "router", "", external_gateway_info={"network_id": wanted.external["id"]})
        if router and lacks_tags(router):
            self._untagged.append(("routers", router["id"]))
        return router

    def _connect(self, before: Json | None, router: Json | None, networks: Iterable[Json]) -> None:
        if router is None:
            return
        subnets = {subnet for network in networks for subnet in network["subnets"]}
        if before:
            subnets -= self._plugged(router)
        Together.all([partial(self._plug, router, subnet) for subnet in sorted(subnets)])

    def _plugged(self, router: Json) -> set[str]:
        query = {"device_id": router["id"], "fields": ("fixed_ips",)}
        ports = self._api.get("network", "/ports", query)["ports"]
        return {address["subnet_id"] for port in ports for address in port["fixed_ips"]}

    def _plug(self, router: Json, subnet: str) -> None:
        path = f"/routers/{router['id']}/add_router_interface"
        try:
            self._api.act("network", "PUT", path, {"subnet_id": subnet})
        except ProviderError:
            if subnet not in self._plugged(router):  # else an answer was lost, and it was done all the same
                raise

    def _security_groups(self, found: Found, wanted: wishes.Scheme) -> dict[tuple[str, str], str]:
        """Make one for all servers, whose mark tells where addresses come from, and one for each group of nodes."""
        floating = wanted.external["id"] if wanted.external else ""
        open_groups = {group.name: rules for group in self._environment.groups if (rules := wishes.rules_of(group))}
        keys = [("inside", ""), *(("group", name) for name in open_groups)]
        missing = [key for key in keys if key not in found.security_groups]
        calls = [partial(self._make, "security-groups", role, key or floating, key) for role, key in missing]
        shown = {**found.security_groups, **dict(zip(missing, Together.all(calls), strict=True))}
        self._untagged += [("security-groups", one["id"]) for one in shown.values() if lacks_tags(one)]
        self._open(shown, open_groups)
        self._prolong(shown["inside", ""])
        return {key: one["id"] for key, one in shown.items()}

    def _prolong(self, inside: Json) -> None:
        """Have the mark tell the lifetime that the infrastructure has now."""
        there = _mark(inside)
        wanted = self._mark("inside", there.key)
        if there != wanted:
            body = {"security_group": {"description": described(wanted)}}
            self._api.act("network", "PUT", f"/security-groups/{inside['id']}", body)

    def _open(self, shown: Mapping[tuple[str, str], Json], open_groups: Mapping[str, frozenset[wishes.Rule]]) -> None:
        """Bring the rules to what the template says: all that a group lacks in one call."""
        inside = shown["inside", ""]
        bodies = [] if _trusts_itself(inside) else [[_trust(inside["id"], family) for family in ("IPv4", "IPv6")]]
        over: list[str] = []
        for name, wanted in open_groups.items():
            group = shown["group", name]
            there = {rule: one["id"] for one in _rules(group) if (rule := wishes.rule_of(one))}
            bodies.append([rule.body(group["id"]) for rule in sorted(wanted - there.keys(), key=str)])
            over += [id_ for rule, id_ in there.items() if rule not in wanted]
        additions = [partial(self._add_rules, rules) for rules in bodies if rules]
        removals = [partial(self._api.delete, "network", f"/security-group-rules/{id_}") for id_ in over]
        Together.all([*additions, *removals])

    def _add_rules(self, bodies: Sequence[Json]) -> None:
        def there() -> Json | None:
            shown = [rule for one in self._marked("security-groups", _GROUP_FIELDS) for rule in _rules(one)]
            return {} if all(any(body.items() <= rule.items() for rule in shown) for body in bodies) else None

        self._api.post("network", "/security-group-rules", {"security_group_rules": [*bodies]}, there)

    def _listed_placements(self) -> dict[str, Json]:
        head = name_of(self._infrastructure, "")
        shown = self._api.get("compute", "/os-server-groups")["server_groups"]
        return {one["name"]: one for one in shown if one["name"].startswith(head)}

    def _placements(self, found: Found) -> dict[str, str]:
        wanted = {group.name: group.placement for group in self._environment.groups if group.placement}
        calls = [partial(self._placement, found, name, policy) for name, policy in wanted.items()]
        return dict(zip(wanted, Together.all(calls), strict=True))

    def _placement(self, found: Found, group: str, policy: str) -> str:
        name = name_of(self._infrastructure, self._environment.name, group)
        if name in found.placements:
            return str(found.placements[name]["id"])
        body: Json = {"server_group": {"name": name, "policies": [policy]}}

        def there() -> Json | None:
            one = self._listed_placements().get(name)
            return {"server_group": one} if one else None

        return str(self._api.post("compute", "/os-server-groups", body, there, SOFT_POLICIES)["server_group"]["id"])


def _mark(shown: Json) -> Mark:
    return mark_of(shown.get("description")) or Mark("", "")


def _key(mark: Mark) -> tuple[str, str]:
    return mark.role, "" if mark.role == "inside" else mark.key


def _rules(group: Json) -> list[Json]:
    return list(group.get("security_group_rules") or ())


def _trusts_itself(group: Json) -> bool:
    return any(rule["remote_group_id"] == group["id"] for rule in _rules(group))


def _trust(group: str, family: str) -> Json:
    return {"security_group_id": group, "direction": "ingress", "ethertype": family, "remote_group_id": group}
