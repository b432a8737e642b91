"""What ``get_attribute`` of a template can ask for, from the nodes as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from im.plan.model import Cluster
    from im.topology.model import Topology


def attributes(cluster: Cluster, topology: Topology) -> dict[str, dict[str, object]]:
    """Return the attributes of every group: lists with one entry per node, in the order of the nodes' indices.

    Where a cloud needs no public addresses, the public address of a public group is the one that reaches it.
    """
    result: dict[str, dict[str, object]] = {}
    for group in topology.groups:
        nodes = sorted((node for node in cluster.nodes if node.group == group.name), key=lambda node: node.index)
        result[group.name] = {
            "name": [node.name for node in nodes],
            "tosca_name": group.name,
            "tosca_id": [node.id for node in nodes],
            "private_address": [node.private_address for node in nodes],
            "public_address": [node.address if group.public else node.public_address for node in nodes],
            "login": f"im_client ssh {cluster.name}",
            "user": cluster.user,
        }
    return result
