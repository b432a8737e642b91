"""A template as IM's users write it is deployed: playbooks, a role of Ansible Galaxy, operations of a relationship."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from subcluster import SubCluster

from im.api import LocalManager
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


class Galaxy(BaseHTTPRequestHandler):
    """Knows two roles, and hands out their archives, as Galaxy and the forge behind it do."""

    roles: dict[str, tuple[int, str, dict[str, str]]] = {"greet": (1, "v1.0", GREET), "note": (2, "v2", NOTE)}  # noqa: RUF012

    def do_GET(self) -> None:
        for name, (number, version, files) in self.roles.items():
            archive = f"/{name}-{version}.tar.gz"
            address = f"http://{self.headers['Host']}{archive}"
            answers = {
                f"/api/v1/roles/?owner__username=example&name={name}": _listed({"id": number, "name": name}),
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


@dataclass(frozen=True)
class Made:
    """What was deployed, and the template as it was read."""

    topology: Topology
    nodes: SubCluster
    outputs: dict[str, object]


@pytest.fixture(scope="module")
def made(new_home) -> Iterator[Made]:
    settings = new_home()
    with galaxy() as server:
        allowed = settings.model_copy(update={"galaxy": server, "import_hosts": ["127.0.0.1"]})
        with LocalManager(allowed) as im:
            topology = im.validate(TEMPLATE, dialect="im")
    with LocalManager(settings) as im:
        try:
            view = im.deploy("dialect", "local", topology)
            yield Made(topology, SubCluster("dialect", settings), dict(view.outputs))
        finally:
            im.delete("dialect")


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
