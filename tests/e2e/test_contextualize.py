"""Real nodes of provider ``local`` become a cluster: accounts, SSH, packages, MPI, udocker, a template's work."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from msgspec import structs

from im.config import Settings
from im.contextualize.configure import configure, digest
from im.errors import ContextualizationError, NotReachable, SshError
from im.events import Event
from im.plan.model import Cluster, Identity, Node, NodeSpec, NodeState
from im.providers.base import Environment
from im.providers.local import LocalProvider
from im.ssh import connection, transfer
from im.ssh.config import ssh_config
from im.ssh.contact import reach
from im.ssh.keys import KeyRing
from im.topology.model import NodeGroup, Operation, Software, Topology

pytestmark = pytest.mark.e2e_local


def topology(*software: Software, roles: tuple[str, ...] = ("udocker", "openmpi"), workers: int = 2) -> Topology:
    groups = (
        NodeGroup("front", front_end=True, works=False, shared=("/home",)),
        NodeGroup("worker", count=workers, shared=("/home",)),
    )
    ours = [
        Software(f"{role}_{group.name}", "", group.name, operations=(Operation(role, "create", "role", role),))
        for role in roles
        for group in groups
    ]
    return Topology(groups=groups, software=(*ours, *software))


def running(name: str, kind: str, implementation: Path, host: str = "worker", **inputs: object) -> Software:
    """Software of a template that runs one file of its own, after our roles."""
    operation = Operation(name, "configure", kind, str(implementation), inputs)
    return Software(name, "", host, level=1, operations=(operation,))


@dataclass
class Lab:
    """Bare nodes, and what their contextualization told."""

    cluster: Cluster
    settings: Settings
    folder: Path
    provider: LocalProvider
    events: list[Event] = field(default_factory=list)

    def configure(self, wanted: Topology | None = None) -> None:
        self.events.clear()
        configure(
            self.cluster, wanted or topology(), folder=self.folder, settings=self.settings, emit=self.events.append
        )

    def on(self, node: str, script: str, user: str = "hpc") -> str:
        done = connection.run(self.cluster, self.cluster.node(node), ["bash", "-c", script], user=user, timeout=120)
        assert done.status == 0, f"{script}: {done.stdout.decode()}{done.stderr.decode()}"
        return done.stdout.decode().strip()


@contextmanager
def nodes(settings: Settings, workers: int, shared: tuple[str, ...] = ("/home",)) -> Iterator[Lab]:
    """Make a front-end and workers that know only our keys."""
    infrastructure = secrets.token_hex(4)
    provider = LocalProvider(settings)
    folder = settings.infrastructure_folder(infrastructure)
    keys = KeyRing(folder / "ssh")
    keys.ensure()
    names = {"front": ("front", 1), **{f"worker-{i}": ("worker", i) for i in range(1, workers + 1)}}
    specs = [
        NodeSpec(
            infrastructure,
            group,
            index,
            name,
            name,
            1,
            1 << 30,
            "debian-12",
            shared=shared,
            identity=_identity(keys, name),
        )
        for name, (group, index) in names.items()
    ]
    provider.prepare(Environment(infrastructure, "ctx", images=("debian-12",), shared=shared), lambda _: None)
    try:
        made = provider.create(specs)
        cluster = Cluster(
            infrastructure,
            "ctx",
            "hpc",
            str(keys.folder),
            tuple(_node(one, keys) for one in made),
            shared=shared,
            via_front_end=False,
            engines=("udocker",),
            variables={"im_shared_cores": True},
        )
        for node in cluster.nodes:
            _wait(lambda node=node: _answers(cluster, node))
        yield Lab(cluster, settings, folder, provider)
        connection.close(cluster)
    finally:
        provider.delete([one.id for one in provider.list(infrastructure)])
        _wait(lambda: not provider.list(infrastructure) and not provider.release(infrastructure))


def _identity(keys: KeyRing, name: str) -> Identity:
    host = keys.host_key(name)
    return Identity("root", (keys.client_public, keys.cluster_public), host.private, host.public)


def _node(one, keys: KeyRing) -> Node:
    front_end = one.group == "front"
    return Node(
        one.infrastructure,
        one.name,
        one.group,
        one.index,
        one.token,
        NodeState.REACHABLE,
        one.id,
        one.private_address,
        host_public_key=keys.host_key(one.name).public,
        cpus=1,
        slots=0 if front_end else 1,
        front_end=front_end,
    )


def _wait(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def _answers(cluster: Cluster, node: Node) -> bool:
    try:
        reach(cluster, node)
    except NotReachable:
        return False
    return True


@pytest.fixture(scope="module")
def lab(new_home) -> Iterator[Lab]:
    with nodes(new_home(), 2) as made:
        made.configure()
        yield made


NODES = ("front", "worker-1", "worker-2")


def test_the_account_is_the_same_on_every_node_and_may_use_sudo(lab):
    assert {lab.on(node, "id -u; sudo -n id -u") for node in NODES} == {"2000\n0"}


def test_every_node_resolves_all_names_and_its_own_to_the_real_addresses(lab):
    expected = [lab.cluster.node(name).private_address for name in NODES]
    for node in NODES:
        found = lab.on(node, f"for n in {' '.join(NODES)}; do getent ahostsv4 $n | head -n 1; done").splitlines()
        assert [line.split()[0] for line in found] == expected
        assert lab.on(node, "hostname") == node


def test_ssh_goes_from_every_node_to_every_node_without_a_question(lab):
    for node in NODES:
        hop = "; ".join(f"ssh -o BatchMode=yes -o StrictHostKeyChecking=yes {other} hostname" for other in NODES)
        assert lab.on(node, hop).split() == list(NODES)


def test_mpirun_starts_ranks_on_the_workers_without_any_option(lab):
    assert sorted(lab.on("front", "mpirun hostname").split()) == ["worker-1", "worker-2"]


def test_the_facts_for_jobs_are_on_the_front_end(lab):
    facts = json.loads(lab.on("front", "cat /etc/im/cluster.json"))
    assert [(n["name"], n["slots"]) for n in facts["nodes"]] == [("front", 0), ("worker-1", 1), ("worker-2", 1)]
    assert facts["engines"] == ["udocker"]
    assert facts["mpi"]["family"] == "openmpi"
    assert facts["interface"] == "eth0"


def test_the_recorded_mode_of_udocker_runs_inside_the_image_on_a_worker(lab):
    probed = json.loads(lab.on("front", "cat /etc/im/engine.json"))["udocker"]
    mode = probed["mode"]
    assert mode == min(probed["seconds"], key=probed["seconds"].get)
    assert set(probed["seconds"]) | set(probed["unusable"]) == {"P1", "P2", "F3", "R1", "S1"}
    assert probed["unusable"]["S1"].endswith("apptainer or singularity executable not found")
    marker = secrets.token_hex(8)
    lab.on(
        "front",
        f"set -e; d=$(mktemp -d); mkdir -p $d/bin; echo {marker} > $d/only-in-the-image; cp /bin/cat $d/bin;"
        'ldd /bin/cat | grep -o "/[^ ]*" | while read l; do mkdir -p $d${l%/*}; cp -L $l $d$l; done;'
        "tar -C $d -cf $d.tar .; udocker -q import --tocontainer --name=marked $d.tar >/dev/null;"
        f"[ {mode} = P1 ] || udocker -q setup --execmode={mode} --force marked",
    )
    assert lab.on("worker-2", "udocker -q run --nobanner marked /bin/cat /only-in-the-image").strip() == marker
    lab.on("front", "udocker rm marked")


def test_the_nodes_have_no_compiler_although_udockers_tools_are_built(lab):
    for node in NODES:
        assert lab.on(node, "command -v gcc || echo none") == "none"


def test_configuring_an_unchanged_cluster_changes_nothing_and_is_quick(lab):
    started = time.monotonic()
    lab.configure()
    assert time.monotonic() - started < 15
    assert not [event for event in lab.events if event.data.get("changed")]
    assert {event.subject for event in lab.events if event.scope == "node" and event.kind == "finished"} == set(NODES)


def test_a_templates_playbook_and_script_run_with_their_inputs_on_the_nodes_of_their_group(lab, tmp_path):
    book = tmp_path / "book.yml"
    book.write_text(
        "- hosts: localhost\n  connection: local\n  tasks:\n  - copy:\n      dest: /tmp/book\n"
        "      content: '{{ greeting }} from {{ inventory_hostname }} {{ ansible_distribution }}'\n"
    )
    script = tmp_path / "install.sh"
    script.write_text('#!/bin/sh\necho "$colour" > /tmp/script\n')
    lab.configure(
        topology(
            running("book", "playbook", book, greeting="hello"),
            running("paint", "script", script, "front", colour="red"),
        )
    )
    assert lab.on("worker-2", "cat /tmp/book") == "hello from worker-2 Debian"
    assert lab.on("front", "cat /tmp/script; ls /tmp/book 2>&1 || true").startswith("red\nls:")


def test_a_failing_task_is_named_with_its_log_the_nodes_stay_and_the_mended_template_continues(lab, tmp_path):
    book = tmp_path / "book.yml"
    book.write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n  - name: break\n    shell: echo the disk is full >&2; exit 3\n"
    )
    with pytest.raises(ContextualizationError) as caught:
        lab.configure(topology(running("breaker", "playbook", book)))
    assert caught.value.where in {f"node worker-{i}, role breaker, task break" for i in (1, 2)}
    assert "the disk is full" in caught.value.message
    log = Path(caught.value.hint.rpartition("log: ")[2])
    assert "the disk is full" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    book.write_text("- hosts: all\n  gather_facts: false\n  tasks:\n  - name: break\n    shell: 'true'\n")
    lab.configure(topology(running("breaker", "playbook", book)))


def test_a_playbook_that_ansible_cannot_read_is_told_with_ansibles_own_reason(lab, tmp_path):
    book = tmp_path / "book.yml"
    book.write_text("- hosts: all\n  tasks:\n  - no_such_module_at_all: {}\n")
    with pytest.raises(ContextualizationError, match="no_such_module_at_all"):
        lab.configure(topology(running("odd", "playbook", book)))


def test_what_a_task_hides_reaches_neither_events_nor_log(lab, tmp_path):
    book = tmp_path / "book.yml"
    book.write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "  - name: secret\n    no_log: true\n    shell: 'echo {{ password }}; exit 1'\n"
    )
    with pytest.raises(ContextualizationError) as caught:
        lab.configure(topology(running("hider", "playbook", book, password="correcthorse")))
    log = Path(caught.value.hint.rpartition("log: ")[2])
    assert "hidden" in caught.value.message
    assert "correcthorse" not in f"{caught.value} {lab.events} {log.read_text()}"


RUN_FOR_EVER = """
import pickle, sys
from tests.e2e.test_contextualize import *
lab, wanted = pickle.load(open(sys.argv[1], "rb"))
configure(lab[0], wanted, folder=lab[1], settings=lab[2], emit=lambda event: print(event.message, flush=True))
"""


def start_in_another_process(lab: Lab, wanted: Topology, tmp_path: Path) -> subprocess.Popen[str]:
    import pickle

    frozen = tmp_path / "lab"
    frozen.write_bytes(pickle.dumps(((lab.cluster, lab.folder, lab.settings), wanted)))
    line = [sys.executable, "-c", RUN_FOR_EVER, str(frozen)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def sleeping(tmp_path: Path) -> Software:
    book = tmp_path / "sleep.yml"
    book.write_text("- hosts: all\n  gather_facts: false\n  tasks:\n  - name: sleep\n    command: sleep 987\n")
    return running("sleeper", "playbook", book, "front")


def test_a_killed_client_leaves_no_ansible_behind_on_the_front_end(lab, tmp_path):
    client = start_in_another_process(lab, topology(sleeping(tmp_path)), tmp_path)
    assert any("sleep" in line for line in client.stdout)
    _wait(lambda: lab.on("front", "pgrep -f '^sleep 987' || true", "root"))
    client.send_signal(signal.SIGKILL)
    client.wait()
    _wait(
        lambda: lab.on("front", "pgrep -f '^sleep 987|ansible-[r]unner|ansible-[p]laybook' || true", "root") == "", 20
    )
    lab.configure()


def test_a_second_run_ends_what_a_lost_client_left_running(lab, tmp_path):
    client = start_in_another_process(lab, topology(sleeping(tmp_path)), tmp_path)
    assert any("sleep" in line for line in client.stdout)
    client.send_signal(signal.SIGSTOP)
    try:
        lab.configure()
        assert lab.on("front", "pgrep -f '^sleep 987' || true", "root") == ""
    finally:
        client.kill()
        client.wait()


def test_silence_longer_than_the_task_timeout_ends_the_run_with_a_hint(lab, tmp_path):
    impatient = replace(lab, settings=structs.replace(lab.settings, task_timeout=3.0), events=[])
    with pytest.raises(ContextualizationError, match="no sign of progress for 3 s") as caught:
        impatient.configure(topology(sleeping(tmp_path)))
    assert "IM_TASK_TIMEOUT" in caught.value.hint


def test_a_node_with_another_host_key_is_refused_before_anything_is_sent(lab):
    impostor = replace(lab.cluster.node("worker-1"), host_public_key=lab.cluster.node("worker-2").host_public_key)
    cluster = replace(lab.cluster, nodes=(lab.cluster.front_end, impostor))
    connection.close(lab.cluster)
    with pytest.raises(SshError, match="host key is not the one"):
        connection.run(cluster, impostor, ["true"])


def test_nodes_behind_the_front_end_are_reached_through_it(lab):
    inside = replace(lab.cluster, via_front_end=True)
    connection.close(lab.cluster)
    assert "ProxyJump front" in ssh_config(inside)
    reach(inside, inside.node("worker-2"))
    assert connection.run(inside, inside.node("worker-2"), ["hostname"], user="hpc").stdout == b"worker-2\n"
    connection.close(inside)


def test_files_and_folders_travel_both_ways(lab, tmp_path):
    node = lab.cluster.front_end
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "file").write_bytes(b"\0data")
    transfer.put(lab.cluster, node, source, "/tmp/t/folder", user="hpc")
    transfer.put(lab.cluster, node, source / "deep" / "file", "/tmp/t/renamed", user="hpc")
    assert lab.on("front", "stat -c %U /tmp/t/renamed") == "hpc"
    transfer.get(lab.cluster, node, "/tmp/t/folder", tmp_path / "out")
    transfer.get(lab.cluster, node, "/tmp/t/renamed", tmp_path / "new" / "one")
    assert (tmp_path / "out" / "deep" / "file").read_bytes() == b"\0data"
    assert (tmp_path / "new" / "one").read_bytes() == b"\0data"
    with pytest.raises(SshError, match="cannot read /nowhere"):
        transfer.get(lab.cluster, node, "/nowhere", tmp_path / "none")


def test_the_digest_follows_members_and_inputs(lab, tmp_path):
    script = tmp_path / "s.sh"
    script.write_text("true")
    before = digest(lab.cluster, topology(running("s", "script", script, a=1)))
    assert digest(lab.cluster, topology(running("s", "script", script, a=2))) != before
    script.write_text("false")
    assert digest(lab.cluster, topology(running("s", "script", script, a=1))) != before
    fewer = replace(lab.cluster, nodes=lab.cluster.nodes[:2])
    assert digest(fewer, topology()) != digest(lab.cluster, topology())


def test_nodes_with_homes_of_their_own_get_the_same_keys_and_tools(new_home):
    with nodes(new_home(), 1, shared=()) as alone:
        alone.configure(topology(workers=1))
        assert alone.on("worker-1", "ssh front ssh worker-1 hostname") == "worker-1"
        probed = json.loads(alone.on("worker-1", "udocker ps > /dev/null && cat /etc/im/engine.json"))["udocker"]
        assert probed["mode"] in probed["seconds"]


def test_the_docker_engine_runs_an_image_for_the_user_and_a_second_run_changes_nothing(new_home):
    with nodes(new_home(), 1) as docked:
        docked.cluster = replace(docked.cluster, engines=("docker",))
        docked.configure(topology(workers=1, roles=("docker",)))
        marker = secrets.token_hex(8)
        docked.on(
            "worker-1",
            f"set -e; d=$(mktemp -d); mkdir -p $d/bin; echo {marker} > $d/only-in-the-image; cp /bin/cat $d/bin;"
            'ldd /bin/cat | grep -o "/[^ ]*" | while read l; do mkdir -p $d${l%/*}; cp -L $l $d$l; done;'
            "tar -C $d -c . | docker import - marked:1",
        )
        assert docked.on("worker-1", "docker run --rm marked:1 /bin/cat /only-in-the-image") == marker
        docked.configure(topology(workers=1, roles=("docker",)))
        assert not [event for event in docked.events if event.data.get("changed")]


def test_a_front_end_that_dies_is_reported_within_half_a_minute(new_home, tmp_path):
    with nodes(new_home(), 1) as doomed:
        doomed.configure(topology(workers=1, roles=()))

        def kill(event: Event) -> None:
            if event.message == "sleep" and event.kind == "started":
                doomed.provider.stop([doomed.cluster.front_end.id])

        started = time.monotonic()
        with pytest.raises((SshError, ContextualizationError)) as caught:
            configure(
                doomed.cluster,
                topology(sleeping(tmp_path), workers=1, roles=()),
                folder=doomed.folder,
                settings=doomed.settings,
                emit=kill,
            )
        assert time.monotonic() - started < 45
        assert "front" in caught.value.where
