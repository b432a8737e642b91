"""A template as IM's users write it is deployed: playbooks, a role of Ansible Galaxy, operations of a relationship."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from msgspec import structs
from subcluster import SubCluster

from im.api import LocalManager
from im.config import Settings
from im.errors import InputError
from im.topology.model import Topology

pytestmark = pytest.mark.e2e_local

TEMPLATE = Path(__file__).parent / "templates" / "im_dialect" / "cluster.yaml"
WRITTEN = Path("/etc/greeter.order")
GREET = {
    "meta/main.yml": "dependencies: [ { role: example.note, version: v2, note_path: /etc/greeter.note } ]\n",
    "tasks/main.yml": (
        "- lineinfile: { path: /etc/greeter.order, create: yes, line: '{{ greet_text }}' }\n"
        "- template: { src: motd.j2, dest: /etc/motd }\n"
    ),
    "templates/motd.j2": "{{ greet_text }} from {{ inventory_hostname }}\n",
}
NOTE = {"tasks/main.yml": "- copy: { dest: '{{ note_path }}', content: 'noted' }\n"}


HADOOP = {
    "tasks/main.yml": (
        "- copy: { dest: /etc/hadoop.type, content: '{{ hadoop_type_of_node }} of {{ hadoop_master }}' }\n"
    )
}
USERS = {"tasks/main.yml": "- copy: { dest: /etc/hadoop.users, content: made }\n"}
ROLES = {
    "example.greet": ("v1.0", GREET),
    "example.note": ("v2", NOTE),
    "indigo-dc.hadoop": ("master", HADOOP),
    "indigo-dc.os_users": ("1.0", USERS),
}


class Galaxy(BaseHTTPRequestHandler):
    """Knows some roles, and hands out their archives, as Galaxy and the forge behind it do."""

    def do_GET(self) -> None:
        for number, (full_name, (version, files)) in enumerate(ROLES.items()):
            owner, _, name = full_name.partition(".")
            archive = f"/{name}-{version}.tar.gz"
            address = f"http://{self.headers['Host']}{archive}"
            answers = {
                f"/api/v1/roles/?owner__username={owner}&name={name}": _listed({"id": number, "name": name}),
                f"/api/v1/roles/{number}/versions/": _listed({"name": version, "download_url": address}),
                archive: _archive(name, files),
            }
            if self.path in answers:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answers[self.path])
                return
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def _listed(entry: dict[str, object]) -> bytes:
    return json.dumps({"count": 1, "results": [entry]}).encode()


def _archive(name: str, files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for path, text in files.items():
            member = tarfile.TarInfo(f"ansible-role-{name}/{path}")
            member.size = len(text)
            opened.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


@contextmanager
def galaxy() -> Iterator[str]:
    """Serve on loopback of this machine, where no node reaches it: only the client can ask."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Galaxy) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


CORPUS = Path(os.environ.get("IM_CORPUS") or Path(__file__).resolve().parents[2].parent / "shared" / "corpus")
INDIGO = CORPUS / "indigo-types"
ADDRESS = "https://raw.githubusercontent.com/indigo-dc/tosca-types/master"


@dataclass(frozen=True)
class Made:
    """What was deployed, and the template as it was read."""

    topology: Topology
    nodes: SubCluster
    outputs: dict[str, object]


@contextmanager
def deployed(settings: Settings, name: str, template: Path, import_map: dict[str, Path]) -> Iterator[Made]:
    """Read a template while Galaxy is there, and deploy it when that is gone."""
    with galaxy() as server:
        allowed = structs.replace(settings, galaxy=server, import_hosts=["127.0.0.1"])
        with LocalManager(allowed) as im:
            topology = im.validate(template, import_map=import_map, dialect="im")
    with LocalManager(settings) as im:
        try:
            view = im.deploy(name, "local", topology)
            yield Made(topology, SubCluster(name, settings), dict(view.outputs))
        finally:
            if im.store.find(name):
                im.delete(name)


@pytest.fixture(scope="module")
def made(new_home) -> Iterator[Made]:
    with deployed(new_home(), "dialect", TEMPLATE, {}) as made:
        yield made


def test_the_template_says_what_it_needs_and_nothing_is_missing(made):
    assert made.topology.warnings == ()
    assert sorted(made.topology.roles) == ["example.greet", "example.note"]


def test_the_role_of_galaxy_ran_on_the_server_with_the_inputs_of_the_template(made):
    greeting = made.outputs["greeting"]
    assert made.nodes.on("greetserver", "cat /etc/motd") == f"{greeting} from greetserver\n"
    assert made.nodes.on("greetserver", "cat /etc/greeter.note") == "noted"


def test_operations_of_the_relationship_ran_at_their_ends_before_and_after_configure(made):
    server = made.nodes.cluster.node("greetserver")
    announced, greeted = made.nodes.on("greetserver", f"cat {WRITTEN}").splitlines()
    assert (announced, greeted) == ("announced guest-1", made.outputs["greeting"])
    assert made.nodes.on("guest-1", "cat /etc/guest.order").splitlines() == [
        "created",
        "configured",
        f"joined {server.private_address}: {made.outputs['greeting']}",
    ]


def test_nothing_of_the_template_ran_on_this_machine(made):
    assert not WRITTEN.exists()
    assert not Path("/etc/guest.order").exists()


def test_the_same_deploy_again_has_nothing_to_do(made):
    with LocalManager(made.nodes.settings) as im:
        assert im.deploy("dialect", "local", made.topology).state == "ready"
    assert len(made.nodes.on("guest-1", "cat /etc/guest.order").splitlines()) == 3


def test_where_the_role_cannot_be_had_no_machine_is_made(new_home):
    with LocalManager(new_home()) as im:
        topology = im.validate(TEMPLATE)
        assert [one.code for one in topology.warnings] == ["galaxy"]
        with pytest.raises(InputError, match=r"use roles that cannot be had: example\.greet"):
            im.deploy("refused", "local", topology)
        assert im.infrastructures() == ()


@pytest.mark.skipif(not INDIGO.is_dir(), reason=f"no INDIGO templates in {INDIGO}")
def test_an_example_of_indigos_runs_as_it_is_with_its_own_types_and_playbooks(new_home):
    template = INDIGO / "examples" / "hadoop_cluster.yaml"
    with deployed(new_home(), "hadoop", template, {ADDRESS: INDIGO}) as made:
        nodes = {node.group: node for node in made.nodes.cluster.nodes}
        master, slave = nodes["hadoop_server"], nodes["hadoop_wn"]
        read = "cat /etc/hadoop.type; echo; cat /etc/hadoop.users"
        assert made.nodes.on(master.name, read).split("\n") == [f"master of {master.private_address}", "made"]
        assert made.nodes.on(slave.name, read).split("\n") == [f"slave of {master.private_address}", "made"]
        assert made.outputs["cluster_ip"]
        assert made.outputs["dfs_url"] == f"http://{made.outputs['cluster_ip']}:50070"
