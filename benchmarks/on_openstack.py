"""`im_client deploy --until provisioned` on an OpenStack cloud, against a floor script that does only the calls.

The floor is what an engineer writes with openstacksdk who knows the API well: the same network, router, security
groups, floating IP and servers, one create call per group, one brief listing per poll, one detailed listing at the
end; and it deletes all of it, servers in parallel. Both run as processes of their own, interleaved; HTTP requests are
counted in both by the same hook. ``python benchmarks/on_openstack.py CLOUD ZONE IMAGE FLAVOR [WORKERS[:PAIRS]…]``; the
zone may be one of nova's fake driver. Two servers are made and deleted before, and not counted. With
``IM_BENCH_ANSIBLE``, a virtual environment with Ansible's own modules, these do the same once at the first size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from cloud_calls import Calls, counted, im_client, tell, tell_ratios, template, timed

PAIRS = 3
POLL = 0.5
ANSIBLE = os.environ.get("IM_BENCH_ANSIBLE", "")
PLAYBOOKS = Path(__file__).parent / "ansible"


class Site(NamedTuple):
    """Where to measure, with what."""

    cloud: str
    zone: str
    image: str
    flavor: str


# the floor


def floor_create(site: Site, name: str, workers: int) -> None:
    """Create the sub-cluster and wait until all servers are active and addressed."""
    import openstack

    conn = openstack.connect(cloud=site.cloud)
    compute, network = conn.compute, conn.network
    image_id = next(
        one["id"]
        for one in conn.image.get("/images", params={"limit": 1000}).json()["images"]
        if one["name"] == site.image
    )
    flavor_id = next(one["id"] for one in compute.get("/flavors").json()["flavors"] if one["name"] == site.flavor)
    outside = network.get("/networks", params={"router:external": True}).json()["networks"][0]["id"]
    net = posted(network, "network", name=name)
    subnet = posted(network, "subnet", network_id=net["id"], ip_version=4, cidr="10.65.0.0/20", name=name)
    router = posted(network, "router", name=name, external_gateway_info={"network_id": outside})
    checked(network.put(f"/routers/{router['id']}/add_router_interface", json={"subnet_id": subnet["id"]}))
    inside = posted(network, "security_group", name=name)
    ssh = posted(network, "security_group", name=f"{name}-ssh")
    rule = {"direction": "ingress", "ethertype": "IPv4"}
    rules = [
        {**rule, "security_group_id": inside["id"], "remote_group_id": inside["id"]},
        {**rule, "security_group_id": ssh["id"], "protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
    ]
    for one in rules:  # neutron takes the rules of one group at a time
        posted(network, "security_group_rule", **one)
    server = {
        "imageRef": image_id,
        "flavorRef": flavor_id,
        "networks": [{"uuid": net["id"]}],
        "availability_zone": site.zone,
    }
    front = {**server, "name": f"{name}-front", "security_groups": [{"name": inside["id"]}, {"name": ssh["id"]}]}
    many = {**server, "name": f"{name}-worker", "security_groups": [{"name": inside["id"]}]}
    front_id = checked(compute.post("/servers", json={"server": front}))["server"]["id"]
    checked(compute.post("/servers", json={"server": {**many, "min_count": workers, "max_count": workers}}))
    query = {"name": f"^{name}-", "limit": 1000}
    while len(checked(compute.get("/servers", params={**query, "status": "ACTIVE"}))["servers"]) < workers + 1:
        time.sleep(POLL)
    port = checked(network.get("/ports", params={"device_id": front_id}))["ports"][0]["id"]
    posted(network, "floatingip", floating_network_id=outside, port_id=port, description=name)
    servers = checked(compute.get("/servers/detail", params=query))["servers"]
    if not all(one["addresses"] for one in servers):
        raise SystemExit("the floor's servers have no addresses")


def floor_delete(cloud: str, name: str) -> None:
    """Delete what the floor has created."""
    import openstack

    conn = openstack.connect(cloud=cloud)
    compute, network = conn.compute, conn.network
    query = {"name": f"^{name}-", "limit": 1000}
    servers = checked(compute.get("/servers", params=query))["servers"]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda one: compute.delete(f"/servers/{one['id']}"), servers))
    while checked(compute.get("/servers", params=query))["servers"]:
        time.sleep(POLL)
    for one in listed(network, "floatingips", description=name):
        network.delete(f"/floatingips/{one['id']}")
    (router,) = listed(network, "routers", name=name)
    (subnet,) = listed(network, "subnets", name=name)
    checked(network.put(f"/routers/{router['id']}/remove_router_interface", json={"subnet_id": subnet["id"]}))
    network.delete(f"/routers/{router['id']}")
    network.delete(f"/networks/{subnet['network_id']}")
    for group in (
        *listed(network, "security-groups", name=name),
        *listed(network, "security-groups", name=f"{name}-ssh"),
    ):
        network.delete(f"/security-groups/{group['id']}")


def posted(network: Any, key: str, **values: object) -> dict[str, Any]:  # noqa: ANN401 -- a proxy of the SDK
    return checked(network.post(f"/{key.replace('_', '-')}s", json={key: values}))[key]


def listed(network: Any, kind_: str, **query: str) -> list[dict[str, Any]]:  # noqa: ANN401
    return checked(network.get(f"/{kind_}", params=query))[kind_.replace("-", "_")]


def checked(response: Any) -> dict[str, Any]:  # noqa: ANN401
    if response.status_code >= 400:
        raise SystemExit(f"{response.request.method} {response.url}: {response.status_code} {response.text[:300]}")
    return response.json()


# comparing


class Bench:
    """One cluster name on one site, made and deleted by whoever's turn it is."""

    def __init__(self, site: Site, home: Path) -> None:
        self.site = site
        self.home = home
        self.name = f"bench-{os.getpid()}"
        self.file = home / "bench.yaml"
        self.file.write_text(template(image=site.image, flavor=site.flavor, availability_zone=site.zone))

    def words(self, workers: int) -> dict[str, list[str]]:
        """Return the command line of each role."""
        where = ["--cloud", f"openstack:{self.site.cloud}", "--until", "provisioned", "--input", f"workers={workers}"]
        return {
            "floor create": ["floor-create", *self.site, self.name, str(workers)],
            "floor delete": ["floor-delete", self.site.cloud, self.name],
            "our create": ["ours", "deploy", str(self.file), "--name", self.name, *where],
            "our delete": ["ours", "delete", self.name, "--yes"],
        }

    def pair(self, workers: int, *, ours_first: bool) -> tuple[dict[str, float], dict[str, Calls]]:
        """Create and delete twice; return seconds and requests of each role."""
        words, seconds, calls = self.words(workers), {}, {}
        roles = list(words)
        for role in roles[2:] + roles[:2] if ours_first else roles:
            seconds[role], calls[role] = timed(__file__, words[role], self.home)
        shown = ", ".join(f"{role} {seconds[role]:.1f} s" for role in words)
        print(f"1+{workers}: {shown}; load {os.getloadavg()[0]:.1f}", flush=True)
        return seconds, calls

    def compare(self, workers: int, pairs: int) -> None:
        """Print what both cost at one size; the one that begins changes from pair to pair."""
        found = [self.pair(workers, ours_first=bool(number % 2)) for number in range(pairs)]
        for role, calls in found[-1][1].items():
            tell(role, calls)
        for step in ("create", "delete"):
            ratios = [(seconds[f"our {step}"] - 1) / seconds[f"floor {step}"] for seconds, _ in found]
            tell_ratios(f"1+{workers} {step}: (ours - 1 s) / floor", ratios)

    def ansible(self, workers: int) -> None:
        """Print what the modules of Ansible's collection openstack.cloud take for the same, one after the other."""
        given = {**self.site._asdict(), "name": self.name, "workers": workers}
        python = str(Path(ANSIBLE, "bin/python").absolute())
        for step in ("create", "delete"):
            words = [f"{ANSIBLE}/bin/ansible-playbook", "-i", "localhost,", str(PLAYBOOKS / f"{step}.yaml")]
            more = json.dumps({**given, "ansible_python_interpreter": python})
            began = time.perf_counter()
            done = subprocess.run([*words, "-e", more], capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"ansible {step}: {done.stdout[-3000:]}")
            print(f"1+{workers}: Ansible {step} {time.perf_counter() - began:.1f} s", flush=True)


def main(site: Site, sizes: list[str]) -> None:
    """Measure each size."""
    with tempfile.TemporaryDirectory(prefix="im-bench-") as folder:
        bench = Bench(site, Path(folder))
        bench.pair(2, ours_first=True)
        for size in sizes:
            workers, _, pairs = size.partition(":")
            bench.compare(int(workers), int(pairs or PAIRS))
        if ANSIBLE:
            bench.ansible(int(sizes[0].partition(":")[0]))


if __name__ == "__main__":
    role, *words = sys.argv[1:] or [""]
    if role == "floor-create":
        counted(lambda: floor_create(Site(*words[:4]), words[4], int(words[5])))
    elif role == "floor-delete":
        counted(lambda: floor_delete(*words))
    elif role == "ours":
        counted(lambda: im_client(words))
    elif len(words) < 3:
        print("give a cloud, a zone, an image and a flavor, such as: stack fake tiny-fake m1.nano")
    else:
        main(Site(role, *words[:3]), words[3:] or ["16"])
