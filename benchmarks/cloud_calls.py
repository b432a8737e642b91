"""What the benchmarks on clouds share: one template, and processes whose HTTP requests are counted and timed."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SERVICES = {5000: "keystone", 8774: "nova", 8787: "occi", 9696: "neutron", 9292: "glance", 8776: "cinder"}
TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [im/types.yaml]
topology_template:
  inputs:
    workers: {{type: integer}}
  node_templates:
    frontend:
      type: im.nodes.FrontEnd
      properties: {{cpus: 1, {machine}}}
      requirements: [{{network: private}}, {{network: public}}]
    worker:
      type: im.nodes.WorkingNode
      properties: {{count: {{get_input: workers}}, {machine}}}
      requirements: [{{network: private}}]
    private: {{type: im.nodes.Network, properties: {{{private}}}}}
    public: {{type: im.nodes.Network, properties: {{public: true}}}}
"""

Calls = dict[str, list[float]]
"""Seconds of each request, by service, method and path."""


def template(*, private: str = "", **machine: str) -> str:
    """A front-end with a public address and working nodes. ``private``: properties of the inner network."""
    return TEMPLATE.format(machine=", ".join(f"{key}: {value}" for key, value in machine.items()), private=private)


def counted(run: Callable[[], None]) -> None:
    """Run something, and write how long each of its requests took to the file ``IM_BENCH_CALLS``."""
    import requests

    calls: Calls = defaultdict(list)
    send = requests.Session.send

    def timing(session: Any, request: Any, **more: Any) -> Any:  # noqa: ANN401
        began = time.perf_counter()
        try:
            return send(session, request, **more)
        finally:
            url = urlsplit(request.url)
            name = f"{SERVICES.get(url.port, url.port)} {request.method} {kind(url.path)}"
            calls[name].append(time.perf_counter() - began)

    requests.Session.send = timing  # type: ignore[method-assign]
    try:
        run()
    finally:
        Path(os.environ["IM_BENCH_CALLS"]).write_text(json.dumps(calls))


def im_client(words: list[str]) -> None:
    """Be ``im_client``."""
    from im.cli import main

    sys.argv = ["im_client", *words]
    main()


def kind(path: str) -> str:
    """A path without version and ids: ``servers``, ``servers/detail``, ``servers/ID``."""
    words = [word for word in path.split("/") if word and not word.startswith(("v2", "v3", "occi"))]
    return "/".join("ID" if len(word) >= 32 else word for word in words)


def timed(script: str, words: list[str], home: Path) -> tuple[float, Calls]:
    """Run a script in a process of its own that counts its requests; return seconds and requests."""
    file = home / "calls.json"
    environment = {**os.environ, "IM_BENCH_CALLS": str(file), "IM_HOME": str(home)}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, script, *words], env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return seconds, json.loads(file.read_text())


def tell(role: str, calls: Calls) -> None:
    """Print how many requests a role made of which service, and what each kind took on average."""
    services: Counter[str] = Counter()
    for call, each in calls.items():
        services[call.split()[0]] += len(each)
    print(f"  {role}: {', '.join(f'{service} {number}' for service, number in services.items())}")
    for call, each in sorted(calls.items(), key=lambda item: -sum(item[1])):
        print(f"    {len(each):4d} {call}: {statistics.mean(each):.2f} s each, {sum(each):.1f} s in all")


def tell_ratios(what: str, ratios: list[float]) -> None:
    """Print the median of some ratios, and each."""
    each = ", ".join(f"{one:.3f}" for one in ratios)
    print(f"{what} = {statistics.median(ratios):.3f}, median of {each}", flush=True)
