"""The page on templates tells the truth."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "writing-templates.md").read_text()


def codes_in(path):
    """Yield the codes that a module gives to findings: the second argument, after the mark."""
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call) and len(call.args) >= 3 and isinstance(call.args[1], ast.Constant):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name in {"error", "warning", "_stop", "Finding"}:
                yield call.args[1].value


def test_every_code_of_a_finding_is_explained():
    codes = {
        code
        for name in ("topology", "sources")
        for path in (ROOT / "im" / name).glob("*.py")
        for code in codes_in(path)
    }
    assert {"yaml", "unknown-type", "cycle", "import", "too-deep", "tosca-parser"} <= codes
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


def test_the_smallest_cluster_of_the_page_has_no_finding(deploy):
    example = dedent(PAGE.split("## The smallest cluster")[1].split("`im/types.yaml` is the name")[0])
    topology = deploy(example, header="")
    assert [(group.name, group.count) for group in topology.groups] == [("frontend", 1), ("worker", 4)]
    assert topology.warnings == ()


def test_every_property_of_our_machines_is_explained():
    types = (ROOT / "tosca_templates" / "types" / "machines.yaml").read_text()
    for kind in ("im.nodes.Machine:", "im.nodes.FrontEnd:", "im.nodes.WorkingNode:"):
        section = types.split(f"  {kind}\n")[1].split("    properties:\n")[1]
        section = re.split(r"\n    [a-z]|\n\n", section)[0]
        for name in re.findall(r"^      ([a-z_]+):$", section, re.MULTILINE):
            assert f"`{name}`" in PAGE, f"{kind} {name}"
