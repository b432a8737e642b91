"""tosca-parser as the second judge of a template that our own checks let through.

Its import costs a quarter of a second and its collector of errors is global: both stay in here.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from im.topology.document import Map
from im.topology.model import Finding, Mark
from im.topology.question import TOPOLOGY, Question

_LOCK: Final = threading.Lock()


def judge(asked: Question) -> tuple[Finding, ...]:
    """Return what tosca-parser has against the template.

    What it says is wrong is an error. Where it breaks on the template instead of judging it, that is a
    warning: our own checks have passed the template, and it does not know all that TOSCA allows.
    """
    if TOPOLOGY not in asked.template:
        return ()
    with _LOCK:
        try:
            messages = _ask(_parser(), asked)
        except Exception as error:  # noqa: BLE001 - a library that meets what it does not know may raise anything
            message = f"tosca-parser could not judge the template ({type(error).__name__}: {error})"
            return (Finding(asked.root.key_mark(TOPOLOGY), "tosca-parser", message, severity="warning"),)
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
        with _without_graph(module):
            Template(yaml_dict_tpl=dict(asked.template), parsed_params=dict(asked.inputs))
    except ValidationError:
        return tuple(dict.fromkeys(" ".join(str(error).split()) for error in ExceptionCollector.getExceptions()))
    except TOSCAException as error:
        return (" ".join(str(error).split()),)
    finally:
        ExceptionCollector.stop()
        ExceptionCollector.clear()
    return ()


class _NoGraph:
    """Stands in for tosca-parser's graph of nodes, whose making takes the square of their number; we need none."""

    def __init__(self, nodetemplates: object) -> None:
        pass


@contextmanager
def _without_graph(module: Any) -> Iterator[None]:  # noqa: ANN401 - tosca-parser has no types
    import toscaparser.topology_template

    holders = (module, toscaparser.topology_template)
    graphs = [holder.ToscaGraph for holder in holders]
    for holder in holders:
        holder.ToscaGraph = _NoGraph
    try:
        yield
    finally:
        for holder, graph in zip(holders, graphs, strict=True):
            holder.ToscaGraph = graph


def _place(message: str, root: Map) -> Mark:
    """Return where the first name that the message quotes stands in the template; the topology where none does."""
    topology = root.get(TOPOLOGY)
    if not isinstance(topology, Map):
        return root.mark
    for name in re.findall(r'"([^"]+)"', message):
        for section in topology.values():
            if isinstance(section, Map) and name in section:
                return section.key_mark(name)
    return root.key_mark(TOPOLOGY)
