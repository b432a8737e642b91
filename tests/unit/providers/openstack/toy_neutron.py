"""As much of neutron (and of nova's server groups) as networks, ways out and security groups need."""

from __future__ import annotations

from itertools import count

KINDS = {
    "networks": "network",
    "subnets": "subnet",
    "routers": "router",
    "ports": "port",
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
    "floatingips": "floatingip",
    "os-server-groups": "server_group",
}


class ToyNeutron:
    """Keeps what it is given; ``trouble(number of the call)`` may say what goes wrong instead of, or after, a call."""

    def __init__(self, toy):
        self.kept = {kind: {} for kind in KINDS}
        self.tags = True  # whether the site has them
        self.key_pairs = ["mine", "yours"]
        self.number = count(1)
        self.calls = 0
        self.trouble = lambda _call: None
        toy.answer = self.answer
        self.external = self.add("networks", name="public", **{"router:external": True})

    def add(self, kind, **values):
        one = {"id": f"{KINDS[kind]}-{next(self.number)}", "name": "", "description": "", **values}
        if self.tags and kind not in {"ports", "security-group-rules", "os-server-groups"}:
            one = {"tags": [], **one}
        if kind == "networks":
            one = {"subnets": [], "router:external": False, **one}
        if kind == "subnets":
            self.kept["networks"][one["network_id"]]["subnets"].append(one["id"])
        if kind == "security-groups":
            one["security_group_rules"] = []
        if kind == "security-group-rules":
            blank = dict.fromkeys(
                ("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id")
            )
            one = {**blank, **one}
            self.kept["security-groups"][one["security_group_id"]]["security_group_rules"].append(one)
        if kind == "floatingips":
            one = {"floating_ip_address": f"192.0.2.{next(self.number)}", "revision_number": 1, "port_id": None, **one}
        self.kept[kind][one["id"]] = one
        return one

    def answer(self, method, path, query, body):
        self.calls += 1
        trouble = self.trouble(self.calls)
        if trouble == "before":
            return 500, {"NeutronError": {"message": "the database has gone away"}}
        said = self.do(method, path.removeprefix("/v2.0").strip("/").split("/"), query, body)
        return (500, {}) if trouble == "after" else said

    def do(self, method, words, query, body):
        kind = words[0]
        if kind == "os-keypairs":
            return 200, {"keypairs": [{"keypair": {"name": name}} for name in self.key_pairs]}
        if kind not in KINDS:
            return 404, {}
        if method == "GET":
            return self.listed(kind, query)
        if method == "POST":
            return self.made(kind, body)
        if method == "PUT":
            return self.changed(kind, words, body)
        return self.removed(kind, words[1])

    def listed(self, kind, query):
        wanted = {key: value for key, value in query.items() if key in {"device_id", "network_id", "port_id"}}
        found = [one for one in self.kept[kind].values() if wanted.items() <= one.items()]
        return 200, {kind.replace("-", "_").removeprefix("os_"): found}

    def made(self, kind, body):
        key = KINDS[kind]
        if key in body:
            return 201, {key: self.add(kind, **body[key])}
        return 201, {f"{key}s": [self.add(kind, **one) for one in body[f"{key}s"]]}

    def changed(self, kind, words, body):
        one = self.kept[kind].get(words[1])
        if one is None:
            return 404, {}
        if words[-1] == "tags":
            one.update(body)
        elif words[-1] == "add_router_interface":
            if any(
                one["id"] == port["device_id"] and port["fixed_ips"] == [body] for port in self.kept["ports"].values()
            ):
                return 400, {"NeutronError": {"message": "Bad router request: Router already has a port on subnet x."}}
            self.add("ports", device_id=one["id"], device_owner="network:router_interface", fixed_ips=[body])
        elif words[-1] == "remove_router_interface":
            feet = [key for key, port in self.kept["ports"].items() if port["fixed_ips"] == [body]]
            for key in feet:
                del self.kept["ports"][key]
        else:
            one.update(body[KINDS[kind]])
        return 200, {KINDS[kind]: one}

    def removed(self, kind, id_):
        if id_ not in self.kept[kind]:
            return 404, {}
        feet = [foot for port in self.kept["ports"].values() for foot in port["fixed_ips"]]
        if kind == "networks":
            subnets = self.kept["networks"][id_]["subnets"]
            if any(foot["subnet_id"] in subnets for foot in feet):
                return 409, {"NeutronError": {"message": "There are one or more ports still in use on the network."}}
            for subnet in subnets:
                self.kept["subnets"].pop(subnet, None)
        if kind == "routers" and any(port["device_id"] == id_ for port in self.kept["ports"].values()):
            return 409, {"NeutronError": {"message": "Router still has ports"}}
        if kind == "security-group-rules":
            for group in self.kept["security-groups"].values():
                group["security_group_rules"] = [one for one in group["security_group_rules"] if one["id"] != id_]
        if kind == "security-groups":
            for rule in self.kept[kind][id_]["security_group_rules"]:
                self.kept["security-group-rules"].pop(rule["id"], None)
        del self.kept[kind][id_]
        return 204, ""

    def numbers(self):
        """How many there are of each kind."""
        return {kind: len(ones) for kind, ones in self.kept.items()}
