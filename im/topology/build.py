"""A template's documents and the user's inputs to a :class:`~im.topology.model.Topology`.

Pure: all that it needs is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from im.topology import checks, library
from im.topology.definitions import check_types
from im.topology.dialect import Dialect, elsewhere, is_for_im, tolerated
from im.topology.document import Document, Map, as_map
from im.topology.findings import Findings
from im.topology.functions import FindFile, Resolver, Scope
from im.topology.galaxy import FindRole, no_role, read_roles
from im.topology.inputs import Chance, no_chance, read_inputs
from im.topology.machines import FRONT_END, read_groups
from im.topology.model import Finding, Mark, NodeGroup, Output, Topology
from im.topology.nodes import read_nodes
from im.topology.order import order
from im.topology.question import Question, question
from im.topology.relations import relate
from im.topology.software import Locate, anywhere, plain, read_software
from im.topology.substitution import is_substitute, substituted
from im.topology.types import Types
from im.topology.world import World

if TYPE_CHECKING:
    from im.topology.relations import Nodes

Judge = Callable[[Question], Sequence[Finding]]
"""A second opinion on a template that has no error of its own."""


def build(
    documents: Sequence[Document],
    inputs: Mapping[str, object],
    *,
    locate: Locate = anywhere,
    find_role: FindRole = no_role,
    judge: Judge = library.judge,
    found: Sequence[Finding] = (),
    dialect: Dialect = "auto",
    chance: Chance = no_chance,
) -> Topology:
    """Return what the template says.

    The first document is the template, the others are what it imports and TOSCA's own types.

    ``locate`` finds implementations, ``find_role`` roles of Ansible Galaxy; ``found`` are findings made while reading;
    ``dialect``: how strict to be; ``chance`` makes the words of ``random()``. Raises
    :class:`im.errors.TemplateError` with all findings at once.
    """
    findings = Findings()
    findings.extend(found)
    types = _read_types(documents, findings)
    documents = substituted(documents, types, findings)
    checks.check_form(documents[0], findings)
    template = as_map(documents[0].root.get("topology_template"))
    values, definitions = read_inputs(template, inputs, types, findings, chance)
    nodes, ordered = _read_nodes(template, types, findings, values)
    declared = tuple(map(str, as_map(template.get("node_templates"))))
    resolver = Resolver(values, nodes, types, findings, declared=declared, find_file=_file_finder(locate, findings))
    world = World(nodes, types, resolver, findings, for_im=is_for_im(nodes, dialect))
    for node in nodes.values():
        checks.check_node(world, node)
    checks.check_rest(world, template)
    groups, networks = read_groups(world, template)
    software = read_software(world, ordered, locate)
    topology = Topology(
        description=_description(documents[0].root, template),
        user=_user(world, groups),
        groups=groups,
        networks=networks,
        software=software,
        roles=read_roles(world, software, find_role),
        outputs=_outputs(world, template),
        inputs=plain(values),
        input_definitions=definitions,
    )
    _finish(documents[0], world, values, groups, judge)
    return replace(topology, warnings=findings.warnings)


def _read_types(documents: Sequence[Document], findings: Findings) -> Types:
    for document in documents:
        if document.origin != "normative":
            checks.check_version(document, findings)
    for document in documents[1:]:
        if is_substitute(document):
            checks.check_form(document, findings)
    types = Types(documents, findings)
    check_types(types, findings)
    return types


def _read_nodes(
    template: Map, types: Types, findings: Findings, inputs: Mapping[str, object]
) -> tuple[Nodes, tuple[str, ...]]:
    """Return the nodes and their order.

    Ends here where they require each other in a circle: nothing below could be followed.
    """
    nodes = read_nodes(template, types, findings)
    relate(nodes, template, types, findings, inputs)
    ordered = order(nodes, findings)
    if any(finding.code == "cycle" for finding in findings.errors):
        findings.stop()
    return nodes, ordered


def _file_finder(locate: Locate, findings: Findings) -> FindFile:
    def find(file: str, mark: Mark) -> object:
        located = locate(file, mark.file)
        if located.problem:
            findings.error(mark, "artifact", located.problem, located.hint)
            return None
        hint = "put it beside the playbook, in files/, and name it there"
        findings.warning(mark, "ignored", f"the file '{file}' of get_artifact is not copied to the nodes", hint)
        return located.path

    return find


def _finish(
    template: Document, world: World, values: Mapping[str, object], groups: Sequence[NodeGroup], judge: Judge
) -> None:
    findings = world.findings
    if world.for_im:
        findings.revise(tolerated)
    _say_no_machines(template, world, groups)
    if not findings.errors:
        findings.extend(judge(question(template, world, values)))
    findings.stop()


def _say_no_machines(template: Document, world: World, groups: Sequence[NodeGroup]) -> None:
    """A template of types is of use to others; one for another service will never be of use here."""
    findings = world.findings
    name, what = elsewhere(world.nodes.values(), world.types)
    if name and groups:
        message = f"'{name}' describes {what}, which another service runs"
        findings.warning(world.nodes[name].body.value_mark("type"), "ignored", message)
    elif name:
        message = f"the template describes {what} ('{name}'), and no machine that im could make"
        mark = world.nodes[name].body.value_mark("type")
        findings.error(mark, "no-machines", message, "another service runs these; or add machines for them")
    elif not groups and not findings.errors:
        message = "the template describes no machine"
        findings.warning(template.root.mark, "no-machines", message, "add a node of type im.nodes.FrontEnd")


def _description(root: Map, template: Map) -> str:
    for holder in (root, template):
        if isinstance(holder.get("description"), str):
            return " ".join(str(holder["description"]).split())
    return ""


def _user(world: World, groups: Sequence[NodeGroup]) -> str:
    default = Topology().user
    for group in groups:
        if group.front_end and world.types.derives("node", group.type, FRONT_END):
            return str(world.property(world.nodes[group.name], "user") or default)
    return default


def _outputs(world: World, template: Map) -> tuple[Output, ...]:
    section = as_map(template.get("outputs"))
    outputs = []
    for name, body in section.items():
        content = as_map(body)
        value = plain(world.resolver.resolve(content.get("value"), Scope(), content.value_mark("value")))
        description = content.get("description")
        outputs.append(Output(str(name), value, " ".join(description.split()) if isinstance(description, str) else ""))
    return tuple(outputs)
