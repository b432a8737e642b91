"""A sub-cluster from the command line, from its first deploy to its end, with what can go wrong in between."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from ipaddress import ip_address

import pytest
from subcluster import CLIENT, SubCluster, first_process, restart_machine

from im.data_files import data_folder
from im.providers.local import LocalProvider

pytestmark = pytest.mark.e2e_local

TEMPLATE = data_folder("tosca_templates") / "mpi_cluster.yaml"

NOBODY = (
    "setpriv",
    "--reuid=65534",
    "--clear-groups",
    *(f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")),
)
"""Without root's powers, but able to read a checkout and a Python that lie in root's home."""


class Home(SubCluster):
    """The sub-cluster ``life`` in a home of its own, used through ``im_client`` only."""

    def run(self, *words: object, **options: object) -> tuple[int, str, str]:
        """Run one command to its end; return its code, its results and what it said on the way."""
        process = self.client(*words, **options)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def done(self, *words: object, **options: object) -> str:
        """Run one command that has to succeed; return its results."""
        code, out, err = self.run(*words, **options)
        assert code == 0, f"im_client {words}: exit code {code}\n{out}{err}"
        return out

    def deploy_words(self, workers: int = 1) -> tuple[object, ...]:
        return "deploy", TEMPLATE, "--name", self.name, "--input", f"workers={workers}", "--json"

    def deploy(self, workers: int = 1) -> str:
        return self.done(*self.deploy_words(workers))

    def shown(self) -> dict[str, object]:
        return json.loads(self.done("show", self.name, "--json"))

    def servers(self) -> list[str]:
        """The names of all nodes that really are on this machine."""
        return sorted(instance.name for instance in LocalProvider(self.settings, "local").list())


@pytest.fixture(scope="module")
def life(new_home):
    home = Home("life", new_home())
    yield home
    home.done("delete", "life", "--yes")
    assert home.servers() == []


def wait_for_line(process: subprocess.Popen[str], word: str) -> str:
    """Read the client's progress until a line has ``word``."""
    for line in process.stderr:
        if word in line:
            return line
    raise AssertionError(f"the client ended without saying {word!r}")


@pytest.mark.parametrize("moment", [pytest.param("requested", marks=pytest.mark.long), "packages", "preflight"])
def test_a_client_that_is_killed_is_continued_by_the_same_command(life, moment):
    process = life.client("deploy", TEMPLATE, "--name", "life", "--input", "workers=1")
    wait_for_line(process, moment)
    process.kill()
    process.communicate()
    if moment != "preflight":
        assert life.shown()["state"] != "ready"
    assert json.loads(life.deploy())["state"] == "ready"
    assert life.servers() == ["frontend", "worker-1"]
    if moment != "preflight":
        life.done("delete", "life", "--yes")
        assert life.servers() == []


def test_a_front_end_that_ends_while_it_is_configured_is_named_and_the_same_command_continues(life):
    life.run("delete", "life", "--yes")
    process = life.client("deploy", TEMPLATE, "--name", "life", "--input", "workers=1")
    wait_for_line(process, "packages")
    (front_end,) = [one for one in LocalProvider(life.settings, "local").list() if one.name == "frontend"]
    os.kill(first_process(life.settings, front_end).pid, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "node frontend" in err.splitlines()[-2], err
    assert life.shown()["state"] != "ready"
    life.deploy(1)
    assert life.shown()["state"] == "ready"
    assert life.servers() == ["frontend", "worker-1"]


def test_a_second_deploy_changes_nothing_and_is_quick(life):
    life.deploy()
    before = life.done("events", "life")
    started = time.monotonic()
    life.deploy()
    assert time.monotonic() - started < 10
    assert life.done("events", "life") == before


def test_a_second_client_is_told_who_works_here(life):
    first = life.client("deploy", TEMPLATE, "--name", "life", "--input", "workers=2")
    wait_for_line(first, "requested")
    code, out, err = life.run(*life.deploy_words(2))
    first.communicate()
    assert (code, out) == (1, "")
    assert str(first.pid) in err
    assert first.returncode == 0
    assert life.servers() == ["frontend", "worker-1", "worker-2"]


def test_a_node_that_dies_is_seen_and_the_same_deploy_mends_it(life):
    life.deploy(2)
    node = life.cluster.node("worker-2")
    LocalProvider(life.settings, "local").stop([node.id])
    shown = life.shown()
    assert shown["state"] == "degraded"
    assert "worker-2" in life.done("why", "life")
    life.deploy(2)
    assert life.shown()["state"] == "ready"


def test_a_worker_that_never_answers_is_named_and_the_rest_is_kept(life, monkeypatch, deaf):
    life.deploy(1)
    deaf(str(ip_address(life.cluster.node("worker-1").private_address) + 1))
    monkeypatch.setenv("IM_SSH_TIMEOUT", "4")
    code, _, err = life.run(*life.deploy_words(2))
    shown = life.shown()
    states = {node["name"]: node["state"] for node in shown["nodes"]}
    assert (code, shown["state"]) == (1, "degraded"), err
    assert states.pop("worker-2") != "ready"
    assert set(states.values()) == {"ready"}
    assert "worker-2" in life.done("why", "life")
    deaf.undo()
    monkeypatch.delenv("IM_SSH_TIMEOUT")
    life.deploy(2)


class Deaf:
    """Lets nothing through from this machine to an address, as a node's broken network would."""

    def __init__(self) -> None:
        self.rules: list[list[str]] = []

    def __call__(self, address: str) -> None:
        rule = ["OUTPUT", "-d", address, "-m", "comment", "--comment", "im-e2e", "-j", "DROP"]
        subprocess.run(["iptables", "-w", "-I", *rule], check=True)
        self.rules.append(rule)

    def undo(self) -> None:
        while self.rules:
            subprocess.run(["iptables", "-w", "-D", *self.rules.pop()], check=True)


@pytest.fixture
def deaf():
    deafness = Deaf()
    yield deafness
    deafness.undo()


def test_a_terminal_on_a_worker_is_a_real_one(life):
    life.deploy(1)
    master, slave = pty.openpty()
    process = life.client("ssh", "life", "worker-1", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, b"tty; hostname; whoami; exit 5\n")
    text = ""
    while select.select([master], [], [], 30)[0]:
        try:
            text += os.read(master, 4096).decode(errors="replace")
        except OSError:
            break
    assert process.wait(30) == 5
    assert "/dev/pts/" in text
    assert "\r\nworker-1\r\n" in text
    assert "\r\nhpc\r\n" in text


def test_files_commands_and_configuration_reach_every_node(life, tmp_path):
    life.deploy(1)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("salve")
    life.done("put", "life", tmp_path / "in", "given")
    assert life.done("exec", "life", "--all", "--", "cat", "given/file") == "salve" * 2
    life.done("get", "life", "given", tmp_path / "out", "--node", "worker-1")
    assert (tmp_path / "out" / "file").read_text() == "salve"
    assert life.run("exec", "life", "--", "sh", "-c", "exit 7")[0] == 7
    config = tmp_path / "config"
    config.write_text(life.done("ssh-config", "life"))
    hostname = subprocess.run(["ssh", "-F", config, "worker-1", "hostname"], capture_output=True, text=True, check=True)
    assert hostname.stdout == "worker-1\n"


def test_stop_start_and_scale_come_back_ready(life):
    life.deploy(1)
    life.done("stop", "life")
    assert {node["state"] for node in life.shown()["nodes"]} == {"stopped"}
    life.done("start", "life")
    life.done("restart", "life", "worker-1")
    life.done("scale", "life", "worker=2")
    assert life.servers() == ["frontend", "worker-1", "worker-2"]
    life.done("scale", "life", "worker=1")
    assert life.servers() == ["frontend", "worker-1"]
    assert life.shown()["state"] == "ready"


def test_after_a_restart_of_the_machine_all_is_stopped_and_start_brings_it_back(life):
    life.deploy(1)
    life.on("worker-1", "echo kept > /root/file; sync")
    restart_machine(life.settings, life.cluster.infrastructure)
    assert {node["state"] for node in life.shown()["nodes"]} == {"stopped"}
    assert "the machine was restarted" in life.done("why", "life")
    life.done("start", "life")
    assert life.shown()["state"] == "ready"
    assert life.on("worker-1", "cat /root/file") == "kept\n"


def test_without_root_the_error_says_what_is_needed(new_home):
    settings = new_home()
    settings.home.chmod(0o777)
    done = subprocess.run(
        [*NOBODY, CLIENT, "deploy", TEMPLATE, "--name", "x"],
        env={**os.environ, "IM_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "root" in done.stderr
    assert "Traceback" not in done.stderr
