"""Reading templates, against tosca-parser alone in the same run: with 100 KB of imported types, and ever larger ones.

The types are INDIGO's ``custom_types.yaml`` where a corpus lies beside this checkout (or in ``$IM_CORPUS``),
else generated ones of the same size. Figures are milliseconds of CPU time, the least of several runs; all
imports are done before. Each of the larger templates is read in processes of their own: one for the seconds of CPU
time, one for the most memory that Python's objects took.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import yaml
from toscaparser.tosca_template import ToscaTemplate

from im.sources.load import load

ROOT = Path(__file__).resolve().parents[1]
CORPUS = Path(os.environ.get("IM_CORPUS") or ROOT.parent / "shared" / "corpus") / "indigo-types"
PREFIX = "https://raw.githubusercontent.com/indigo-dc/tosca-types/master"
COLD, CACHED = 60.0, 10.0
"""What we promised ourselves, in milliseconds."""
SIZES = (100, 1_000, 10_000)
LINEAR = 1.5
"""Ten times the node templates may cost this much more than ten times the time and memory."""


def generated(folder: Path) -> Path:
    """Write 100 KB of node types and a template that uses two of them; return the template."""
    kinds = {
        f"bench.nodes.Kind{number}": {
            "derived_from": "tosca.nodes.SoftwareComponent",
            "properties": {
                f"property_{index}": {
                    "type": "string",
                    "description": "One of many properties.",
                    "default": f"value {index}",
                }
                for index in range(8)
            },
            "interfaces": {"Standard": {"configure": {"implementation": "none.yml"}}},
        }
        for number in range(120)
    }
    (folder / "none.yml").write_text("- hosts: all\n")
    header = {"tosca_definitions_version": "tosca_simple_yaml_1_0"}
    (folder / "types.yaml").write_text(yaml.safe_dump({**header, "node_types": kinds}, sort_keys=False))
    nodes = {"server": {"type": "tosca.nodes.Compute"}} | {
        f"n{number}": {"type": f"bench.nodes.Kind{number}", "requirements": [{"host": "server"}]} for number in range(6)
    }
    template = {**header, "imports": [{"types": "types.yaml"}], "topology_template": {"node_templates": nodes}}
    (folder / "template.yaml").write_text(yaml.safe_dump(template, sort_keys=False))
    return folder / "template.yaml"


def copied(folder: Path) -> Path:
    """Copy INDIGO's types and one template for IM that uses them, with the import as a file; return the template."""
    shutil.copytree(CORPUS, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    text = (CORPUS / "examples" / "galaxy_elastic_cluster.yaml").read_text()
    template = folder / "template.yaml"
    template.write_text(text.replace(f"{PREFIX}/custom_types.yaml", "custom_types.yaml"))
    return template


def least(work: Callable[[], object], runs: int) -> float:
    """Return the least CPU time of ``work`` in milliseconds."""
    times = []
    for _ in range(runs):
        started = time.process_time()
        work()
        times.append((time.process_time() - started) * 1000)
    return min(times)


def tosca_parser(template: Path) -> None:
    """Read a template with tosca-parser alone.

    That it may reject it (requirement occurrences) is not the point here.
    """
    with contextlib.suppress(Exception):
        ToscaTemplate(path=str(template))


def large(count: int) -> str:
    """Return a template of so many nodes, half of them machines, each with a component that the next one requires."""
    lines = ["tosca_definitions_version: tosca_simple_yaml_1_3", "topology_template:", "  node_templates:"]
    host = "capabilities: { host: { properties: { num_cpus: 2, mem_size: 1 GB } } }"
    for number in range(count // 2):
        before = f", {{ dependency: s{number - 1} }}" if number % 10 else ""
        lines.append(f"    m{number}: {{ type: tosca.nodes.Compute, {host} }}")
        lines.append(
            f"    s{number}: {{ type: tosca.nodes.SoftwareComponent, requirements: [ {{ host: m{number} }}{before} ] }}"
        )
    return "\n".join(lines) + "\n"


def measured(reader: str, template: Path) -> float:
    """Return the seconds (or, for ``memory``, the megabytes) of one reading, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, reader, str(template)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def measure(reader: str, template: Path) -> None:
    """Read one template; a small one is read before, so that imports and TOSCA's own types do not count."""
    read = tosca_parser if reader == "tosca-parser" else lambda path: load(path, {})
    small = template.with_name("small.yaml")
    small.write_text(large(2))
    read(small)
    if reader == "memory":
        tracemalloc.start()
        read(template)
        print(tracemalloc.get_traced_memory()[1] / 2**20)
        return
    started = time.process_time()
    read(template)
    print(time.process_time() - started)


def growth() -> bool:
    """Print the table of large templates; tell whether ours is linear."""
    print("node templates   im: s     MiB   ms each   tosca-parser alone: s")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for count in SIZES:
            template = Path(name) / "large.yaml"
            template.write_text(large(count))
            seconds, mebibytes = measured("im", template), measured("memory", template)
            theirs = measured("tosca-parser", template)
            rows.append((seconds, mebibytes))
            each = seconds / count * 1000
            print(f"{count:14}{seconds:9.2f}{mebibytes:8.0f}{each:10.2f}{theirs:24.2f}", flush=True)
    _, thousand, most = rows
    return all(large <= LINEAR * 10 * small for small, large in zip(thousand, most, strict=True))


def main() -> int:
    """Print the figures; return 1 where ours are over what we promised ourselves."""
    if len(sys.argv) == 3:
        measure(sys.argv[1], Path(sys.argv[2]))
        return 0
    return int(not types()) | int(not growth())


def types() -> bool:
    """Print the figures of a template with large types; tell whether we kept what we promised ourselves."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = copied(folder / "t") if CORPUS.is_dir() else generated(folder)
        import_map = {PREFIX: template.parent}

        def ours(cache: Path | None) -> None:
            load(template, {}, import_map=import_map, cache=cache)

        def with_types_known() -> None:
            template.write_text(template.read_text() + "\n")
            ours(folder / "cache")

        ours(folder / "cache")
        figures = {
            "tosca-parser alone": least(lambda: tosca_parser(template), 10),
            "im, nothing known": least(lambda: ours(None), 10),
            "im, template changed, types known": least(with_types_known, 10),
            "im, nothing changed": least(lambda: ours(folder / "cache"), 20),
        }
    baseline = figures["tosca-parser alone"]
    size = sum(path.stat().st_size for path in (CORPUS.glob("custom_types.yaml") if CORPUS.is_dir() else ()))
    print(f"reading a template with {size // 1000 or 100} KB of imported types, ms of CPU (least of several)")
    for what, figure in figures.items():
        print(f"  {what:36}{figure:8.1f}   x {figure / baseline:.2f}")
    return figures["im, nothing known"] <= COLD and figures["im, nothing changed"] <= CACHED


if __name__ == "__main__":
    sys.exit(main())
