"""`im_client deploy --until provisioned` through OCCI against the same through the OpenStack provider, on one cloud.

The same template on the same existing network; both run as processes of their own, interleaved, and their requests are
counted and timed by the same hook. ``python benchmarks/occi.py CLOUD IMAGE FLAVOR [WORKERS…]``: CLOUD of
``clouds.yaml`` has an OCCI endpoint in its catalogue, and servers without a zone go to a cheap one. The first pair of
each size is warm-up and not counted.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PAIRS = 3
PARALLEL = 8
PASSWORD = "IM_BENCH_OCCI_PASSWORD"
TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [im/types.yaml]
topology_template:
  inputs:
    workers: {{type: integer}}
  node_templates:
    frontend:
      type: im.nodes.FrontEnd
      properties: {{cpus: 1, image: {image}, flavor: {flavor}}}
      requirements: [{{network: private}}, {{network: public}}]
    worker:
      type: im.nodes.WorkingNode
      properties: {{count: {{get_input: workers}}, image: {image}, flavor: {flavor}}}
      requirements: [{{network: private}}]
    private: {{type: im.nodes.Network, properties: {{network_name: private}}}}
    public: {{type: im.nodes.Network, properties: {{public: true}}}}
"""

Calls = dict[str, list[float]]
"""Seconds of each request, by service, method and path."""


def measured(words: list[str]) -> None:
    """Be ``im_client``, and write how long each of its requests took to the file ``IM_BENCH_CALLS``."""
    import requests

    from im.cli import main

    calls: Calls = defaultdict(list)
    send = requests.Session.send

    def timing(session: Any, request: Any, **more: Any) -> Any:  # noqa: ANN401
        began = time.perf_counter()
        try:
            return send(session, request, **more)
        finally:
            url = urlsplit(request.url)
            calls[f"{url.port} {request.method} {kind(url.path)}"].append(time.perf_counter() - began)

    requests.Session.send = timing  # type: ignore[method-assign]
    sys.argv = ["im_client", *words]
    try:
        main()
    finally:
        Path(os.environ["IM_BENCH_CALLS"]).write_text(json.dumps(calls))


def kind(path: str) -> str:
    """A path without version and ids: ``servers``, ``compute/ID``."""
    words = [word for word in path.split("/") if word and not word.startswith(("v2", "v3", "occi"))]
    return "/".join("ID" if len(word) >= 32 else word for word in words)


def run(words: list[str], home: Path) -> tuple[float, Calls]:
    """Run ``im_client`` in a process of its own; return seconds and requests."""
    file = home / "calls.json"
    environment = {**os.environ, "IM_BENCH_CALLS": str(file), "IM_HOME": str(home)}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "measured", *words], env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return seconds, json.loads(file.read_text())


def configure(cloud: str, home: Path) -> None:
    """Write the site's settings, found in the cloud's own catalogue."""
    import openstack

    connection = openstack.connect(cloud=cloud)
    account = connection.config.auth
    os.environ[PASSWORD] = account["password"]
    said = {
        "endpoint": connection.session.get_endpoint(service_type="occi"),
        "username": account["username"],
        "project": account["project_name"],
        "secret_env": PASSWORD,
        "network": "private",
    }
    lines = "".join(f'{name} = "{value}"\n' for name, value in said.items())
    (home / "config.toml").write_text(f"[occi.bench]\n{lines}parallel = {PARALLEL}\n")


def compare(cloud: str, template: Path, home: Path, workers: int) -> None:
    """Print what both cost at one size; the one that begins changes from pair to pair."""
    clouds = {"openstack": f"openstack:{cloud}", "occi": "occi:bench"}
    steps = ("create", "delete")
    ratios: dict[str, list[float]] = {step: [] for step in steps}
    last: dict[tuple[str, str], Calls] = {}
    for pair in range(PAIRS + 1):
        seconds: dict[tuple[str, str], float] = {}
        for provider in sorted(clouds, reverse=bool(pair % 2)):
            name = f"bench-{provider}-{os.getpid()}"
            where = ["--cloud", clouds[provider], "--until", "provisioned", "--input", f"workers={workers}"]
            words = {
                "create": ["deploy", str(template), "--name", name, *where],
                "delete": ["delete", name, "--yes"],
            }
            for step in steps:
                seconds[provider, step], last[provider, step] = run(words[step], home)
        shown = ", ".join(f"{provider} {step} {took:.1f} s" for (provider, step), took in sorted(seconds.items()))
        print(f"1+{workers}, pair {pair}: {shown}", flush=True)
        if pair:
            for step in steps:
                ratios[step].append(seconds["occi", step] / seconds["openstack", step])
    for (provider, step), calls in sorted(last.items()):
        tell(f"{provider} {step}", calls)
    for step, found in ratios.items():
        each = ", ".join(f"{one:.2f}" for one in found)
        print(f"1+{workers} {step}: occi / openstack = {statistics.median(found):.2f}, median of {each}", flush=True)


def tell(role: str, calls: Calls) -> None:
    """Print where a role's requests went, and how long they took on average."""
    total = sum(len(each) for each in calls.values())
    print(f"  {role}: {total} requests")
    for call, each in sorted(calls.items(), key=lambda item: -sum(item[1])):
        print(f"    {len(each):4d} {call}: {statistics.mean(each):.2f} s each, {sum(each):.1f} s in all")


def main(cloud: str, image: str, flavor: str, *sizes: str) -> None:
    """Measure each size."""
    with tempfile.TemporaryDirectory(prefix="im-bench-") as folder:
        home = Path(folder)
        configure(cloud, home)
        template = home / "bench.yaml"
        template.write_text(TEMPLATE.format(image=image, flavor=flavor))
        for size in sizes or ("8",):
            compare(cloud, template, home, int(size))


if __name__ == "__main__":
    if sys.argv[1:2] == ["measured"]:
        measured(sys.argv[2:])
    elif len(sys.argv) < 4:
        print("give a cloud, an image and a flavor, such as: stack tiny-fake m1.nano")
    else:
        main(*sys.argv[1:])
