"""What a template says about machines and networks, and im does not do: always a warning, never silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from im.topology.document import Map, as_map
from im.topology.networks import NETWORK, PORT
from im.topology.nodes import requirement_items, short_name
from im.topology.software import KNOWN, RUN
from im.topology.values import boolean
from im.topology.world import COMPUTE

if TYPE_CHECKING:
    from im.topology.nodes import NodeTemplate
    from im.topology.world import World

_INTERFACES: Final = frozenset(("Standard", "Configure"))
_NO_OPERATIONS: Final = frozenset(("type", "inputs", "description", "operations", "notifications", "metadata"))
_GPU: Final = "ask for a flavor by name where the kind of GPU matters"
_NAMES: Final = "nodes are called after their template; no name service is asked"
_KEYS: Final = "im makes keys of its own for every infrastructure; a key pair of the cloud is not needed"
_CAPABILITIES: Final[dict[str, dict[str, str]]] = {
    "host": {
        "cpu_frequency": "",
        "disk_type": "",
        "preemtible_instance": "",
        "gpu_vendor": _GPU,
        "gpu_model": _GPU,
        "infiniband_support": "ask for a flavor that has it by name",
        "sgx": "ask for a flavor that has it by name",
        "sgx_epc_size": "",
    },
    "os": {
        "credential": _KEYS,
        "gpu_driver": "take an image that has it",
        "cuda_support": "take an image that has it",
        "cuda_min_version": "take an image that has it",
        "cuDNN_version": "take an image that has it",
    },
    "endpoint": {
        "additional_dns_names": _NAMES,
        "additional_ip": "",
        "tls": "",
    },
}
_NODES: Final[dict[str, dict[str, str]]] = {
    COMPUTE: {"tags": "im marks what it makes in its own way", "instance_name": _NAMES, "zone": "", "nets": ""},
    NETWORK: {
        "start_ip": "",
        "end_ip": "",
        "gateway_ip": "",
        "segmentation_id": "",
        "physical_network": "",
        "proxy_host": "",
        "proxy_credential": "",
    },
    PORT: {
        "ip_address": "the network gives addresses",
        "ip_range_start": "the network gives addresses",
        "ip_range_end": "the network gives addresses",
        "dns_name": _NAMES,
        "additional_dns_names": _NAMES,
        "additional_ip": "",
    },
}


def check_unheeded(world: World, topology: Map) -> None:
    """Report what is written and changes nothing: properties, operations that never run, files that are not copied."""
    if topology.get("workflows"):
        mark = topology.key_mark("workflows")
        world.findings.warning(mark, "ignored", "workflows are not followed", "the order is that of the requirements")
    for node in world.nodes.values():
        _check_operations(world, node)
        for name, body in as_map(node.body.get("artifacts")).items():
            if as_map(body).get("deploy_path"):
                message = f"the artifact '{name}' of '{node.name}' is not copied to its 'deploy_path'"
                mark = as_map(body).key_mark("deploy_path")
                world.findings.warning(mark, "ignored", message, "copy it in a playbook, from files/")
    for kind, known in _NODES.items():
        for node in world.of_type(kind):
            _check_properties(world, node, known)
            if kind == COMPUTE:
                _check_capabilities(world, node)
            if kind == NETWORK and world.property(node, "ip_version") == 6:
                mark = node.properties.value_mark("ip_version")
                world.findings.warning(mark, "ignored", f"'{node.name}' has addresses of IP version 4", "not 6")


def _check_operations(world: World, node: NodeTemplate) -> None:
    """Report operations that the template itself writes and that never run; types have them for others, too."""
    holders = [("'" + node.name + "'", as_map(node.body.get("interfaces")))]
    for name, assignment, _ in requirement_items(node.body):
        relationship = as_map(as_map(assignment).get("relationship"))
        holders.append((f"the requirement '{name}' of '{node.name}'", as_map(relationship.get("interfaces"))))
    for what, interfaces in holders:
        for interface, body in interfaces.items():
            for operations in (as_map(body), as_map(as_map(body).get("operations"))):
                for name, operation in operations.items():
                    _check_operation(world, f"{short_name(interface)}.{name}", operation, operations, what)


def _check_operation(world: World, name: str, operation: object, holder: Map, what: str) -> None:
    interface, _, short = name.partition(".")
    implementation = as_map(operation).get("implementation") if isinstance(operation, Map) else operation
    mark = holder.key_mark(short)
    if not implementation or short in _NO_OPERATIONS:
        return
    if short not in RUN or interface not in _INTERFACES:
        if short in KNOWN or interface not in _INTERFACES:
            world.findings.warning(mark, "ignored", f"the operation '{name}' of {what} never runs")
        return
    for key in ("dependencies", "timeout", "operation_host"):
        if as_map(implementation).get(key) is not None:
            message = f"'{key}' of the operation '{name}' of {what} is not followed"
            world.findings.warning(as_map(implementation).key_mark(key), "ignored", message)


def _check_properties(world: World, node: NodeTemplate, known: dict[str, str]) -> None:
    for name, hint in known.items():
        if name in node.properties and _says_something(world.property(node, name)):
            mark = node.properties.key_mark(name)
            world.findings.warning(mark, "ignored", f"'{name}' of '{node.name}' changes nothing", hint)


def _check_capabilities(world: World, node: NodeTemplate) -> None:
    for capability, known in _CAPABILITIES.items():
        values = node.capabilities[capability].values if capability in node.capabilities else {}
        for name in [*known, "private_ip"]:
            if name not in values or not world.assigned(node, capability, name):
                continue
            value = world.capability(node, capability, name)
            unwanted = name == "private_ip"
            if (boolean(value) is False) if unwanted else _says_something(value):
                mark = node.capabilities[capability].values.key_mark(name)
                hint = "machines of one infrastructure always share a private network" if unwanted else known[name]
                message = f"'{name}' of '{node.name}', capability '{capability}', changes nothing"
                world.findings.warning(mark, "ignored", message, hint)


def _says_something(value: object) -> bool:
    return value not in (None, "", 0, [], {}) and boolean(value) is not False
