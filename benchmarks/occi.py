"""`im_client deploy --until provisioned` through OCCI against the same through the OpenStack provider, on one cloud.

The same template on the same existing network; both run as processes of their own, interleaved, and their requests are
counted and timed by the same hook. ``python benchmarks/occi.py CLOUD IMAGE FLAVOR [WORKERS…]``: CLOUD of
``clouds.yaml`` has an OCCI endpoint in its catalogue, and servers without a zone go to a cheap one. The first pair of
each size is warm-up and not counted.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from cloud_calls import Calls, counted, im_client, tell, tell_ratios, template, timed

PAIRS = 3
PARALLEL = 8
PASSWORD = "IM_BENCH_OCCI_PASSWORD"


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


def compare(cloud: str, file: Path, home: Path, workers: int) -> None:
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
                "create": ["deploy", str(file), "--name", name, *where],
                "delete": ["delete", name, "--yes"],
            }
            for step in steps:
                seconds[provider, step], last[provider, step] = timed(__file__, ["measured", *words[step]], home)
        shown = ", ".join(f"{provider} {step} {took:.1f} s" for (provider, step), took in sorted(seconds.items()))
        print(f"1+{workers}, pair {pair}: {shown}", flush=True)
        if pair:
            for step in steps:
                ratios[step].append(seconds["occi", step] / seconds["openstack", step])
    for (provider, step), calls in sorted(last.items()):
        tell(f"{provider} {step}", calls)
    for step, found in ratios.items():
        tell_ratios(f"1+{workers} {step}: occi / openstack", found)


def main(cloud: str, image: str, flavor: str, *sizes: str) -> None:
    """Measure each size."""
    with tempfile.TemporaryDirectory(prefix="im-bench-") as folder:
        home = Path(folder)
        configure(cloud, home)
        file = home / "bench.yaml"
        file.write_text(template(private="network_name: private", image=image, flavor=flavor))
        for size in sizes or ("8",):
            compare(cloud, file, home, int(size))


if __name__ == "__main__":
    if sys.argv[1:2] == ["measured"]:
        counted(lambda: im_client(sys.argv[2:]))
    elif len(sys.argv) < 4:
        print("give a cloud, an image and a flavor, such as: stack tiny-fake m1.nano")
    else:
        main(*sys.argv[1:])
