"""tosca-parser as the second judge of a template.

What our own checks let through is handed to it, already read and merged.

Its import costs a quarter of a second and its collector of errors is global: both stay in here.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from im.topology.document import Document, Float, Map
from im.topology.functions import descend
from im.topology.machines import lower_bound
from im.topology.model import Finding, Mark
from im.topology.syntax import call, is_function
from im.topology.types import SECTIONS, TypeDefinition, Types

_LOCK: Final = threading.Lock()
_TOPOLOGY: Final = "topology_template"


@dataclass(frozen=True, slots=True)
class Question:
    """A template as plain data with only the types that it uses, and the values of its inputs.

    ``root`` gives findings their place.
    """

    template: Mapping[str, Any]
    inputs: Mapping[str, object]
    root: Map


def question(template: Document, types: Types, inputs: Mapping[str, object]) -> Question:
    """Return what tosca-parser has to judge: one merged template, so that it reads no file and meets no unused type."""
    plain = _Plain(types, inputs)
    merged: dict[str, Any] = {"tosca_definitions_version": "tosca_simple_yaml_1_3"}
    if isinstance(template.root.get(_TOPOLOGY), Map):
        merged[_TOPOLOGY] = plain.topology(template.root[_TOPOLOGY])
    for found in _used_types(template.root.get(_TOPOLOGY), types):
        merged.setdefault(SECTIONS[found.kind], {})[found.name] = plain.type(found)
    return Question(
        merged, {name: plain.value(value) for name, value in inputs.items() if value is not None}, template.root
    )


def _used_types(value: object, types: Types) -> Iterator[TypeDefinition]:
    """Yield the types (none of TOSCA's own) that texts in ``value`` name, and those that these name in turn."""
    seen: set[int] = set()
    waiting = [*types.defined_in("template"), *_named(value, types)]
    while waiting:
        found = waiting.pop()
        if id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting.extend(_named(found.body, types))


def _named(value: object, types: Types) -> Iterator[TypeDefinition]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield from types.named(item)
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


class _Plain:
    """Makes plain data of a template, in the words of TOSCA 1.0.

    What later versions write in another way, and templates for IM too, tosca-parser does not know.
    """

    def __init__(self, types: Types, inputs: Mapping[str, object]) -> None:
        self._types = types
        self._inputs = inputs

    def topology(self, topology: Map) -> dict[str, Any]:
        """Return the topology with its inputs filled in.

        Conditions on machines are their numbers, operations stand directly in their interface.
        """
        result: dict[str, Any] = self.value(
            {key: item for key, item in topology.items() if key not in {"inputs", "policies"}}
        )
        for node in (result.get("node_templates") or {}).values():
            for capability in (node.get("capabilities") or {}).values():
                properties = (capability or {}).get("properties") or {}
                properties.update({name: lower_bound(value) for name, value in properties.items()})
            _flatten(node)
            for item in node.get("requirements") or []:
                for link in item.values():
                    _flatten(link.get("relationship") if isinstance(link, dict) else None)
        return result

    def type(self, found: TypeDefinition) -> dict[str, Any]:
        """Return the body of a type."""
        body: dict[str, Any] = self.value(found.body) or {}
        _flatten(body)
        return body

    def value(self, value: object) -> Any:  # noqa: ANN401 - whatever a template holds
        """Return plain data, with prefixed names of types in full."""
        if isinstance(value, dict):
            if is_function(value) and "get_input" in value:
                name, *path = call(value)[1]
                return self.value(descend(self._inputs.get(str(name)), path))
            return {
                key: {"type": item} if key == "entry_schema" and isinstance(item, str) else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, str):
            return next((found.name for found in self._types.named(value)), value) if ":" in value else value
        return float(value) if isinstance(value, Float) else value


def _flatten(entity: object) -> None:
    if not isinstance(entity, dict) or not isinstance(entity.get("interfaces"), dict):
        return
    for name, interface in entity["interfaces"].items():
        if isinstance(interface, dict):
            flat = {key: item for key, item in interface.items() if key not in {"operations", "notifications"}}
            entity["interfaces"][name] = flat | (interface.get("operations") or {})


def judge(asked: Question) -> tuple[Finding, ...]:
    """Return what tosca-parser has against the template.

    What it says is wrong is an error. Where it breaks on the template instead of judging it, that is a
    warning: our own checks have passed the template, and it does not know all that TOSCA allows.
    """
    if _TOPOLOGY not in asked.template:
        return ()
    with _LOCK:
        try:
            messages = _ask(_parser(), asked)
        except Exception as error:  # noqa: BLE001 - a library that meets what it does not know may raise anything
            message = f"tosca-parser could not judge the template ({type(error).__name__}: {error})"
            return (Finding(asked.root.key_mark(_TOPOLOGY), "tosca-parser", message, severity="warning"),)
    return tuple(Finding(_place(message, asked.root), "tosca-parser", message) for message in messages)


def _parser() -> Any:  # noqa: ANN401 - tosca-parser has no types
    logging.getLogger("tosca").setLevel(logging.CRITICAL)
    import toscaparser.tosca_template as module

    return module


def _ask(module: Any, asked: Question) -> tuple[str, ...]:  # noqa: ANN401 - tosca-parser has no types
    from toscaparser.common.exception import ExceptionCollector, TOSCAException, ValidationError

    class Template(module.ToscaTemplate):  # type: ignore[misc]
        def _validate_relationship_occurences(self) -> None:
            """Leave out a check of 2.13 and later that rejects templates which deploy well.

            Ours is in im.topology.relations.
            """

    try:
        Template(yaml_dict_tpl=dict(asked.template), parsed_params=dict(asked.inputs))
    except ValidationError:
        return tuple(dict.fromkeys(" ".join(str(error).split()) for error in ExceptionCollector.getExceptions()))
    except TOSCAException as error:
        return (" ".join(str(error).split()),)
    finally:
        ExceptionCollector.stop()
        ExceptionCollector.clear()
    return ()


def _place(message: str, root: Map) -> Mark:
    """Return where the first name that the message quotes stands in the template; the topology where none does."""
    topology = root.get(_TOPOLOGY)
    if not isinstance(topology, Map):
        return root.mark
    for name in re.findall(r'"([^"]+)"', message):
        for section in topology.values():
            if isinstance(section, Map) and name in section:
                return section.key_mark(name)
    return root.key_mark(_TOPOLOGY)
