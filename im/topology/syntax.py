"""How TOSCA's functions are written: a mapping of one function name to its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

FUNCTIONS: Final = frozenset(
    ("get_input", "get_property", "get_attribute", "get_artifact", "concat", "join", "token", "get_nodes_of_type")
)
UNSUPPORTED: Final = frozenset(("get_operation_output",))
_NAMES: Final = FUNCTIONS | UNSUPPORTED


def is_function(value: object) -> bool:
    """Tell whether ``value`` calls a TOSCA function. ``{token: secret}`` is a credential: ``token`` takes a list."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    name, arguments = next(iter(value.items()))
    return name in _NAMES and (isinstance(arguments, list) or name in {"get_input", "get_nodes_of_type"})


def call(value: dict[str, object]) -> tuple[str, list[object]]:
    """Return the name and the arguments of a function call; one plain argument counts as a list of one."""
    name, arguments = next(iter(value.items()))
    return name, list(arguments) if isinstance(arguments, list) else [arguments]


def holds_function(value: object) -> bool:
    """Tell whether a function call stands anywhere in ``value``."""
    if is_function(value):
        return True
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(holds_function(child) for child in children)


def descend(value: object, path: Sequence[object]) -> object:
    """Return what stands at ``path`` (names and indexes) in ``value``; None where there is nothing."""
    for step in path:
        if isinstance(value, Mapping) and isinstance(step, (str, int)):
            value = value.get(step, value.get(str(step)))
        elif isinstance(value, (list, tuple)) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value
