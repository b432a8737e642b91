"""`im_client deploy --until provisioned` on an OpenStack cloud, against a floor script that does only the calls.

The floor is what an engineer writes with openstacksdk who knows the API well: the same network, router, security
groups, floating IP and servers, one create call per group, one brief listing per poll, one detailed listing at the
end; and it deletes all of it, servers in parallel. Both run as processes of their own, interleaved; HTTP requests are
counted in both by the same hook. ``python benchmarks/on_openstack.py CLOUD ZONE IMAGE FLAVOR [WORKERS…]``; the zone may
be one of nova's fake driver. The first pair of each size is warm-up and not counted.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

SERVICES = {5000: "keystone", 8774: "nova", 9696: "neutron", 9292: "glance", 8776: "cinder"}
PAIRS = 3
POLL = 0.5
TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [im/types.yaml]
topology_template:
  inputs:
    workers: {{type: integer}}
  node_templates:
    frontend:
      type: im.nodes.FrontEnd
      properties: {{cpus: 1, image: {image}, flavor: {flavor}, availability_zone: {zone}}}
      requirements: [{{network: private}}, {{network: public}}]
    worker:
      type: im.nodes.WorkingNode
      properties: {{count: {{get_input: workers}}, image: {image}, flavor: {flavor}, availability_zone: {zone}}}
      requirements: [{{network: private}}]
    private: {{type: im.nodes.Network}}
    public: {{type: im.nodes.Network, properties: {{public: true}}}}
"""


class Site(NamedTuple):
    """Where to measure, with what."""

    cloud: str
    zone: str
    image: str
    flavor: str


def counted(run: Callable[[], None]) -> None:
    """Run something and write how many requests of which kind it made to the file ``IM_BENCH_CALLS``."""
    import requests

    calls: Counter[str] = Counter()
    send = requests.Session.send

    def counting(session: Any, request: Any, **more: Any) -> Any:  # noqa: ANN401
        url = urlsplit(request.url)
        calls[f"{SERVICES.get(url.port, url.port)} {request.method} {kind(url.path)}"] += 1
        return send(session, request, **more)

    requests.Session.send = counting
    try:
        run()
    finally:
        Path(os.environ["IM_BENCH_CALLS"]).write_text(json.dumps(calls))


def kind(path: str) -> str:
    """A path without version and ids: ``servers``, ``servers/detail``, ``servers/ID``."""
    words = [word for word in path.split("/") if word and not word.startswith("v")]
    return "/".join("ID" if len(word) >= 32 else word for word in words)


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


def timed(words: list[str], folder: str) -> tuple[float, Counter[str]]:
    """Run this script in a role of its own; return seconds and requests."""
    file = Path(folder) / "calls.json"
    environment = {**os.environ, "IM_BENCH_CALLS": str(file), "IM_HOME": f"{folder}/home"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, *words], env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return seconds, Counter(json.loads(file.read_text()))


def compare(site: Site, workers: int) -> None:
    """Print what both cost at one size; the one that begins changes from pair to pair."""
    name = f"bench-{os.getpid()}"
    ratios: dict[str, list[float]] = {"create": [], "delete": []}
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="im-bench-") as folder:
        template = Path(folder) / "bench.yaml"
        template.write_text(TEMPLATE.format(**site._asdict()))
        where = ["--cloud", f"openstack:{site.cloud}", "--until", "provisioned"]
        words = {
            "floor create": ["floor-create", *site, name, str(workers)],
            "floor delete": ["floor-delete", site.cloud, name],
            "our create": ["ours", "deploy", str(template), "--name", name, *where, "--input", f"workers={workers}"],
            "our delete": ["ours", "delete", name, "--yes"],
        }
        for pair in range(PAIRS + 1):
            roles = list(words) if pair % 2 else [*words][2:] + [*words][:2]
            seconds: dict[str, float] = {}
            for role in roles:
                seconds[role], counts[role] = timed(words[role], folder)
            print(
                f"1+{workers}, pair {pair}:", ", ".join(f"{role} {seconds[role]:.1f} s" for role in words), flush=True
            )
            if pair:
                for step, found in ratios.items():
                    found.append((seconds[f"our {step}"] - 1) / seconds[f"floor {step}"])
    for role in words:
        tell(role, counts[role])
    for step, found in ratios.items():
        each = ", ".join(f"{one:.3f}" for one in found)
        print(
            f"1+{workers} {step}: (ours - 1 s) / floor = {statistics.median(found):.3f}, median of {each}", flush=True
        )


def tell(role: str, calls: Counter[str]) -> None:
    """Print how many requests of which kind a role has made."""
    services: Counter[str] = Counter()
    for call, number in calls.items():
        services[call.split()[0]] += number
    print(f"  {role}: {', '.join(f'{service} {number}' for service, number in services.items())}")
    print(f"    {', '.join(f'{number} {call}' for call, number in sorted(calls.items()))}")


def ours(words: list[str]) -> None:
    """Be ``im_client``."""
    from im.cli import main

    sys.argv = ["im_client", *words]
    main()


if __name__ == "__main__":
    role, *words = sys.argv[1:] or [""]
    if role == "floor-create":
        counted(lambda: floor_create(Site(*words[:4]), words[4], int(words[5])))
    elif role == "floor-delete":
        counted(lambda: floor_delete(*words))
    elif role == "ours":
        counted(lambda: ours(words))
    elif len(words) < 3:
        print("give a cloud, a zone, an image and a flavor, such as: stack fake tiny-fake m1.nano")
    else:
        for number in words[3:] or ["16"]:
            compare(Site(role, *words[:3]), int(number))
