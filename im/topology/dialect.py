"""IM's dialect of TOSCA: how it is recognised, what it may leave undone, and what it describes that is no machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from im.topology.model import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from im.topology.nodes import NodeTemplate
    from im.topology.relations import Nodes
    from im.topology.types import Types

Dialect = Literal["auto", "tosca", "im"]
_PREFIXES: Final = ("tosca.nodes.indigo.", "tosca.nodes.ec3.", "tosca.nodes.im.", "tosca.capabilities.indigo.")
TOLERATED: Final = {
    "duplicate-key": "the last one counts, as for IM",
    "unknown-property": "it is left out, as IM does",
}
"""What templates for IM in use have wrong, and IM does not mind: a warning for them, an error for all others."""
_NO_MACHINES: Final = {
    "tosca.nodes.indigo.Container.Application.Docker.Marathon": "applications for Marathon",
    "tosca.nodes.indigo.Container.Application.Docker.Chronos": "jobs for Chronos",
    "tosca.nodes.indigo.Container.Application.Docker": "containers for a container platform",
    "tosca.nodes.indigo.Grid.Job": "jobs for a grid",
    "tosca.nodes.indigo.Qcg.Job": "jobs for QosCosGrid",
    "tosca.nodes.indigo.Batch.Job": "batch jobs",
    "tosca.nodes.indigo.Kubernetes.HelmChart": "an application for a Kubernetes cluster that exists",
    "tosca.nodes.indigo.KubernetesObject": "an application for a Kubernetes cluster that exists",
    "tosca.nodes.aisprint.FaaS.Function": "functions for a function service",
}


def is_for_im(nodes: Nodes, asked: Dialect = "auto") -> bool:
    """Tell whether a template is written for IM: whoever calls it says so, or one of its nodes is of IM's types."""
    return asked == "im" or (asked == "auto" and any(node.type.startswith(_PREFIXES) for node in nodes.values()))


def tolerated(finding: Finding) -> Finding:
    """Return a finding as IM's dialect has it: a warning, where IM itself takes no offence."""
    hint = TOLERATED.get(finding.code)
    if hint is None or finding.severity != "error":
        return finding
    return Finding(finding.mark, finding.code, finding.message, finding.hint or hint, severity="warning")


def elsewhere(nodes: Iterable[NodeTemplate], types: Types) -> tuple[str, str]:
    """Return the name of a node that is run by something else than machines, and what it is; empty for none."""
    for node in nodes:
        for kind, words in _NO_MACHINES.items():
            if types.derives("node", node.type, kind):
                return node.name, words
    return "", ""
