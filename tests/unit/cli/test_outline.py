"""What im understood of a template, as lines."""

from __future__ import annotations

import pytest

from im.cli.outline import outline
from im.topology.model import Hardware, NodeGroup, Topology


def first_rows(**group: object) -> list[str]:
    return outline(Topology(groups=(NodeGroup("a", front_end=True, **group),)))[:2]


def test_one_of_something_is_singular():
    assert first_rows() == ["a: front-end, 1 machine, works (tosca.nodes.Compute)", "  size      1 CPU"]
    assert first_rows(hardware=Hardware(2, gpus=1))[1] == "  size      2 CPUs, 1 GPU"


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"count": 3}, "3 machines,"),
        ({"count": 3, "min_count": 1, "max_count": 5}, "3 machines (1 to 5),"),
        ({"count": 0, "max_count": 5}, "0 machines (0 to 5),"),
        ({"count": 1, "min_count": 1, "max_count": 1}, "1 machine,"),
    ],
)
def test_limits_are_shown_where_the_template_gives_some(limits, words):
    assert words in first_rows(**limits)[0]


def test_roles_of_galaxy_are_named_and_so_is_what_is_missing():
    assert outline(Topology(roles={"a.b": "/there", "c.d": "", "e.f": ""})) == [
        "roles: a.b, c.d (missing), e.f (missing)"
    ]
