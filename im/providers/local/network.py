"""The network of one infrastructure: a bridge in a network namespace of its own, one veth to this machine, rules.

The bridge lives in a namespace that ``/run/im-local/netns/<id>`` holds, so the machine itself gets one link
(``iml<id>``, with the router's address and the route that comes with it) and nothing else. ``ip -batch`` does the work:
the spawner needs it anyway (see there), and a few batches are faster than importing pyroute2 once.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

from im.errors import ProviderError
from im.providers.local import firewall, linux, machine, subnets
from im.providers.local.cgroups import hierarchies
from im.providers.local.commands import ip, ip_json

NAMESPACES = machine.RUNTIME / "netns"
"""Not where ``ip netns`` keeps its own: the first that it makes there covers all mounts with a second one of each,
and what is covered cannot be removed."""

ANY_LINK = "iml+"


def link_name(infrastructure: str) -> str:
    """Return the name of the machine's link to an infrastructure."""
    return f"iml{infrastructure}"


def namespace_of(infrastructure: str) -> Path:
    """Return the file that holds the network namespace of an infrastructure's bridge."""
    return NAMESPACES / infrastructure


def busy_networks(own: str = "") -> set[IPv4Network]:
    """Return the networks that this machine uses, apart from those of one infrastructure's link."""
    routes = ip_json("-4", "route", "show", "table", "all")
    return subnets.occupied(routes, ip_json("-4", "address", "show"), link_name(own))


def pick(infrastructure: str, pool: str, wanted: str, others: Collection[IPv4Network]) -> IPv4Network:
    """Return a subnet for an infrastructure: the one its template wants, or a free one of the pool."""
    taken = {*busy_networks(infrastructure), *others}
    if wanted:
        return subnets.demand(subnets.network(wanted, "the template's network"), taken)
    return subnets.choose(pool, taken)


def up(infrastructure: str, subnet: IPv4Network) -> None:
    """Make the network, or what is missing of it. Needs the machine lock. Raises :class:`im.errors.ProviderError`."""
    link, namespace = link_name(infrastructure), namespace_of(infrastructure)
    if not _link_exists(link):
        subnets.demand(subnet, busy_networks(infrastructure))
    machine.enter(infrastructure, _uplinks(), hierarchies())
    _make_namespace(namespace)
    complaints = _make_links(link, namespace, subnet)
    if not _is_complete(link, namespace, subnet):
        raise ProviderError(f"the bridge of {infrastructure} could not be made: {complaints}", where="local")
    (machine.SYSCTL / "conf" / link / "forwarding").write_text("1")
    firewall.ensure(infrastructure, link, ANY_LINK, subnet)


def is_up(infrastructure: str) -> bool:
    """Whether the network was made since the machine started; cheap, and does not look at the rules."""
    return _link_exists(link_name(infrastructure)) and namespace_of(infrastructure).exists()


def down(infrastructure: str) -> tuple[str, ...]:
    """Remove the network by its names alone, and return what is left. Needs the machine lock."""
    link, namespace = link_name(infrastructure), namespace_of(infrastructure)
    firewall.remove(infrastructure)
    if _link_exists(link):
        ip(f"link del {link}", force=True)
    _remove_namespace(namespace)
    machine.leave(infrastructure)
    left = [f"link {link}"] if _link_exists(link) else []
    return (*left, *([f"network namespace {namespace}"] if namespace.exists() else []))


def _link_exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def _uplinks() -> tuple[str, ...]:
    return tuple(sorted({route["dev"] for route in ip_json("-4", "route", "show", "default") if "dev" in route}))


def _make_links(link: str, namespace: Path, subnet: IPv4Network) -> str:
    """Repeat all steps; those that were done complain, and are left as they are."""
    in_namespace = ip(
        "link set lo up",
        "link add br0 type bridge forward_delay 0 mcast_snooping 0",
        "link set br0 up",
        namespace=namespace,
        force=True,
    )
    on_machine = ip(
        f"link add {link} type veth peer name up0 netns {namespace}",
        f"address replace {subnets.router(subnet)}/{subnet.prefixlen} broadcast + dev {link}",
        f"link set {link} up",
        force=True,
    )
    attached = ip("link set up0 master br0 up", namespace=namespace, force=True)
    return "; ".join(filter(None, (in_namespace, on_machine, attached)))


def _is_complete(link: str, namespace: Path, subnet: IPv4Network) -> bool:
    addresses = {one["local"] for found in ip_json("address", "show", "dev", link) for one in found["addr_info"]}
    bridged = {one["ifname"] for one in ip_json("link", "show", "master", "br0", namespace=namespace)}
    return subnets.router(subnet) in addresses and "up0" in bridged


def _make_namespace(path: Path) -> None:
    """Make a network namespace that a file holds, as ``ip netns`` would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_dev != path.parent.stat().st_dev:
        return
    path.touch()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_hold_new_namespace, str(path)).result()


def _hold_new_namespace(path: str) -> None:
    """Leave for a new network namespace with this thread only, and name it; the thread does nothing else."""
    linux.unshare(linux.CLONE_NEWNET)
    linux.mount("/proc/thread-self/ns/net", path, flags=linux.MS_BIND)


def _remove_namespace(path: Path) -> None:
    with suppress(OSError):
        linux.unmount(str(path))
    path.unlink(missing_ok=True)
