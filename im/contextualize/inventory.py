"""Ansible's view of the cluster, as seen from the front-end (pure)."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from im.contextualize.recipes import NFS, packages, roles
from im.data_files import data_folder
from im.ssh.keys import KeyRing, known_hosts_text

if TYPE_CHECKING:
    from im.plan.model import Cluster, Node
    from im.topology.model import Topology

REMOTE_KEYS = "/etc/im/ssh"
"""Where the front-end has the key and the host keys with which it reaches the other nodes."""

KEY_EXCHANGE = "KexAlgorithms ^curve25519-sha256"
"""The post-quantum exchange that OpenSSH prefers costs 0.05 s of CPU per connection, more than all else of it."""

SSH_CONFIG = f"""\
# How the front-end reaches the other nodes. A broken one is noticed within 15 seconds.
{KEY_EXCHANGE}
IdentityFile {REMOTE_KEYS}/cluster
IdentitiesOnly yes
UserKnownHostsFile {REMOTE_KEYS}/known_hosts
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
BatchMode yes
ConnectTimeout 10
ServerAliveInterval 5
ServerAliveCountMax 3
ControlMaster auto
ControlPersist 60
ControlPath /run/im/cp/%C
"""

USER_ID = 2000

_TOOLS = {"xfs": "xfsprogs", "btrfs": "btrfs-progs"}
"""The packages that make file systems, where no image can be expected to have them."""

OTHERS = "im_others"
"""The inventory group of all nodes but the front-end."""


def group_name(group: str) -> str:
    """Return the inventory group of a node group (a host may have the node group's own name)."""
    return "group_" + re.sub(r"\W", "_", group)


def inventory(cluster: Cluster, topology: Topology) -> dict[str, object]:
    """Return the inventory, ready for JSON: hosts and their variables, a group per node group, common variables."""
    members: dict[str, object] = {
        group_name(group.name): {"hosts": {node.name: {} for node in cluster.nodes if node.group == group.name}}
        for group in topology.groups
    }
    members[OTHERS] = {"hosts": {node.name: {} for node in cluster.nodes if not node.front_end}}
    wanted = node_packages(cluster, topology)
    hosts = {node.name: _host(node, wanted[node.name]) | _disks(cluster, topology, node) for node in cluster.nodes}
    return {"all": {"hosts": hosts, "vars": _common(cluster), "children": members}}


def client_inventory(cluster: Cluster, ssh_config: Path) -> dict[str, object]:
    """Return an inventory for the client's own machine: every node by name, reached as ``ssh_config`` says."""
    groups = sorted({node.group for node in cluster.nodes})
    children: dict[str, object] = {
        group_name(group): {"hosts": {node.name: {} for node in cluster.nodes if node.group == group}}
        for group in groups
    }
    common = {
        "ansible_ssh_common_args": f"-F {shlex.quote(str(ssh_config))}",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    return {"all": {"children": children, "vars": common}}


def known_hosts(cluster: Cluster) -> str:
    """Return the known_hosts of the inside: all nodes by name and address."""
    return known_hosts_text(cluster.nodes)


def shell_functions() -> str:
    """Return the functions that the scripts of recipes begin with."""
    return (data_folder("contextualization") / "shell.sh").read_text(encoding="utf-8")


def node_packages(cluster: Cluster, topology: Topology) -> dict[str, list[str]]:
    """Return the packages of each node, over all of its roles."""
    return {
        node.name: packages(
            used_roles(cluster, topology, node.group),
            once=node.front_end or not home_is_shared(cluster),
            front_end=node.front_end,
        )
        for node in cluster.nodes
    }


def used_roles(cluster: Cluster, topology: Topology, group: str | None = None) -> tuple[str, ...]:
    """Return the roles that run on a group (None: on all): ours, then those of its software."""
    first, *others = roles(topology, group)
    return (first, *((NFS,) if by_nfs(cluster) else ()), *others)


def _host(node: Node, wanted: list[str]) -> dict[str, object]:
    connection: dict[str, object] = {"ansible_connection": "local"}
    if not node.front_end:
        connection = {"ansible_host": node.private_address, "ansible_user": node.user}
        if node.user != "root":
            connection["ansible_become"] = True
    return {
        **connection,
        "im_address": node.private_address,
        "im_cpus": node.cpus,
        "im_group": node.group,
        "im_packages": wanted,
    }


def _disks(cluster: Cluster, topology: Topology, node: Node) -> dict[str, object]:
    """What the node mounts, its volumes and what it has from the front-end."""
    group = topology.group(node.group)
    devices = {volume.name: volume.device for volume in node.volumes}
    volumes = [
        {
            "name": volume.name,
            "device": devices.get(volume.name, ""),
            "mount": volume.mount,
            "file_system": volume.file_system,
            "existing": bool(volume.existing),
        }
        for volume in group.volumes
    ]
    home = ("/home",) if home_is_shared(cluster) else ()
    folders = sorted({*home, *group.shared}) if by_nfs(cluster) else []
    tools = {_TOOLS[volume.file_system] for volume in group.volumes if volume.file_system in _TOOLS}
    return {
        "im_volumes": volumes,
        "im_volume_packages": sorted(tools) if devices else [],
        "im_shared": [] if node.front_end else folders,
    }


def _common(cluster: Cluster) -> dict[str, object]:
    keys = KeyRing(Path(cluster.keys))
    return {
        "im_shared_cores": False,
        **cluster.variables,
        "ansible_python_interpreter": "/usr/bin/python3",
        "im_shell": shell_functions(),
        "im_key_exchange": KEY_EXCHANGE,
        "im_user": cluster.user,
        "im_uid": USER_ID,
        "im_front_end": cluster.front_end.name,
        "im_nodes": [
            {"name": n.name, "address": n.private_address, "slots": n.slots, "memory": n.memory} for n in cluster.nodes
        ],
        "im_engines": list(cluster.engines),
        "im_home_shared": home_is_shared(cluster),
        "im_exported": list(by_nfs(cluster)),
        "im_known_hosts": known_hosts(cluster).strip(),
        "im_authorized_keys": [f"{keys.client_public} im-client", f"{keys.cluster_public} im-cluster"],
    }


def home_is_shared(cluster: Cluster) -> bool:
    """Tell whether all nodes see one /home."""
    return "/home" in cluster.shared


def by_nfs(cluster: Cluster) -> tuple[str, ...]:
    """Return the folders that the front-end shares with the other nodes; none where the cloud does that."""
    return cluster.shared if cluster.variables.get("im_nfs") and len(cluster.nodes) > 1 else ()
