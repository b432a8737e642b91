"""`im_client deploy --until provisioned` through OCCI against the same through the OpenStack provider, on one cloud.

The same template on the same existing network; both run as processes of their own, interleaved, and their requests are
counted and timed by the same hook. ``python benchmarks/occi.py CLOUD IMAGE FLAVOR [WORKERS[:PAIRS]…]``: CLOUD of
``clouds.yaml`` has an OCCI endpoint in its catalogue, and servers without a zone go to a cheap one. A pair of 1+1 is
made and deleted before, and not counted.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from cloud_calls import Calls, counted, im_client, tell, tell_ratios, template, timed

PAIRS = 3
PARALLEL = 8
NETWORK = "private"
PASSWORD = "IM_BENCH_OCCI_PASSWORD"


def configure(cloud: str, home: Path) -> str:
    """Write the site's settings, found in the cloud's own catalogue; return the id of the servers' network."""
    import openstack

    connection = openstack.connect(cloud=cloud)
    account = connection.config.auth
    os.environ[PASSWORD] = account["password"]
    said = {
        "endpoint": connection.session.get_endpoint(service_type="occi"),
        "username": account["username"],
        "project": account["project_name"],
        "secret_env": PASSWORD,
        "network": NETWORK,
    }
    lines = "".join(f'{name} = "{value}"\n' for name, value in said.items())
    (home / "config.toml").write_text(f"[occi.bench]\n{lines}parallel = {PARALLEL}\n")
    return connection.network.find_network(NETWORK, ignore_missing=False).id


class Bench:
    """One template, on one cloud by its two ways."""

    def __init__(self, cloud: str, file: Path, home: Path) -> None:
        self.clouds = {"openstack": f"openstack:{cloud}", "occi": "occi:bench"}
        self.file = file
        self.home = home

    def pair(self, workers: int, *, occi_first: bool) -> tuple[dict[str, float], dict[str, Calls]]:
        """Create and delete twice; return seconds and requests of each role."""
        seconds: dict[str, float] = {}
        calls: dict[str, Calls] = {}
        for provider in sorted(self.clouds, reverse=not occi_first):
            name = f"bench-{provider}-{os.getpid()}"
            where = ["--cloud", self.clouds[provider], "--until", "provisioned", "--input", f"workers={workers}"]
            words = {"create": ["deploy", str(self.file), "--name", name, *where], "delete": ["delete", name, "--yes"]}
            for step, said in words.items():
                role = f"{provider} {step}"
                seconds[role], calls[role] = timed(__file__, ["measured", *said], self.home)
        shown = ", ".join(f"{role} {took:.1f} s" for role, took in sorted(seconds.items()))
        print(f"1+{workers}: {shown}; load {os.getloadavg()[0]:.1f}", flush=True)
        return seconds, calls

    def compare(self, workers: int, pairs: int) -> None:
        """Print what both cost at one size; the one that begins changes from pair to pair."""
        found = [self.pair(workers, occi_first=bool(number % 2)) for number in range(pairs)]
        for role, calls in sorted(found[-1][1].items()):
            tell(role, calls)
        for step in ("create", "delete"):
            ratios = [seconds[f"occi {step}"] / seconds[f"openstack {step}"] for seconds, _ in found]
            tell_ratios(f"1+{workers} {step}: occi / openstack", ratios)


def main(cloud: str, image: str, flavor: str, *sizes: str) -> None:
    """Measure each size."""
    with tempfile.TemporaryDirectory(prefix="im-bench-") as folder:
        home = Path(folder)
        network = configure(cloud, home)  # by its id: the name means a network of the template's own
        file = home / "bench.yaml"
        file.write_text(template(private=f"network_id: {network}", image=image, flavor=flavor))
        bench = Bench(cloud, file, home)
        bench.pair(1, occi_first=True)
        for size in sizes or ("8",):
            workers, _, pairs = size.partition(":")
            bench.compare(int(workers), int(pairs or PAIRS))


if __name__ == "__main__":
    if sys.argv[1:2] == ["measured"]:
        counted(lambda: im_client(sys.argv[2:]))
    elif len(sys.argv) < 4:
        print("give a cloud, an image and a flavor, such as: stack tiny-fake m1.nano")
    else:
        main(*sys.argv[1:])
