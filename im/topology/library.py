"""tosca-parser as the second judge of a template: what our own checks let through is handed to it, already read and merged.

Its import costs a quarter of a second and its collector of errors is global: both stay in here.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from im.topology.document import Document, Float, Map
from im.topology.model import Finding, Mark
from im.topology.types import SECTIONS, TypeDefinition, Types

if TYPE_CHECKING:
    from types import ModuleType

_LOCK: Final = threading.Lock()
_TOPOLOGY: Final = "topology_template"


@dataclass(frozen=True, slots=True)
class Question:
    """A template as plain data with only the types that it uses, and the values of its inputs. ``root`` gives findings their place."""

    template: Mapping[str, Any]
    inputs: Mapping[str, object]
    root: Map


def question(template: Document, types: Types, inputs: Mapping[str, object]) -> Question:
    """Return what tosca-parser has to judge: one merged template, so that it reads no file and meets no unused type."""
    merged: dict[str, Any] = {"tosca_definitions_version": "tosca_simple_yaml_1_3"}
    if isinstance(template.root.get(_TOPOLOGY), Map):
        merged[_TOPOLOGY] = _plain(template.root[_TOPOLOGY], types)
    for found in _used_types(template.root.get(_TOPOLOGY), types):
        merged.setdefault(SECTIONS[found.kind], {})[found.name] = _plain(found.body, types) or {}
    return Question(merged, {name: _plain(value, types) for name, value in inputs.items() if value is not None}, template.root)


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


def _plain(value: object, types: Types) -> Any:  # noqa: ANN401 - whatever a template holds
    if isinstance(value, dict):
        return {key: _plain(item, types) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, types) for item in value]
    if isinstance(value, str):
        return next((found.name for found in types.named(value)), value) if ":" in value else value
    return float(value) if isinstance(value, Float) else value


def judge(asked: Question) -> tuple[Finding, ...]:
    """Return what tosca-parser has against the template. Whatever goes wrong inside it is a finding too."""
    if _TOPOLOGY not in asked.template:
        return ()
    with _LOCK:
        try:
            messages = _ask(_parser(), asked)
        except Exception as error:  # noqa: BLE001 - a library that meets strange input may raise anything; the template is what is wrong
            messages = (f"{type(error).__name__}: {error}",)
    return tuple(Finding(_place(message, asked.root), "tosca-parser", message) for message in messages)


def _parser() -> ModuleType:
    logging.getLogger("tosca").setLevel(logging.CRITICAL)
    import toscaparser.tosca_template as module

    return module


def _ask(module: Any, asked: Question) -> tuple[str, ...]:  # noqa: ANN401 - tosca-parser has no types
    from toscaparser.common.exception import ExceptionCollector, ValidationError

    class Template(module.ToscaTemplate):  # type: ignore[misc]
        def _validate_relationship_occurences(self) -> None:
            """Leave out a check of 2.13 and later that rejects templates which deploy well; ours is in im.topology.relations."""

    try:
        Template(yaml_dict_tpl=dict(asked.template), parsed_params=dict(asked.inputs))
    except ValidationError:
        return tuple(dict.fromkeys(" ".join(str(error).split()) for error in ExceptionCollector.getExceptions()))
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
