"""Provider ``local`` with real nodes: the contract, faults, and a machine that is as it was before."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from msgspec import structs
from subcluster import first_process, restart_machine

from im.config import Settings, default_home, load_settings
from im.errors import AddressInUse, NoCapacity, ProviderError
from im.plan.model import NodeSpec
from im.providers.base import Environment
from im.providers.contract import ProviderContract, all_are, ignore, make_identity
from im.providers.local import LocalProvider, cgroups, image, machine, network
from im.providers.local.processes import identify
from im.topology.model import Network

pytestmark = pytest.mark.e2e_local

IMAGE = "debian-12"
CONF = Path("/proc/sys/net/ipv4/conf")
MACHINE = LocalProvider(load_settings()).catalog().largest


@pytest.fixture(scope="session")
def cache() -> Path:
    """The base image outlives the tests; making it is a test of the first run only."""
    folder = Path(os.environ.get("IM_TEST_CACHE") or default_home() / "cache").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def settings(tmp_path, cache) -> Settings:
    return home(tmp_path / "im", cache)


@pytest.fixture
def provider(settings) -> LocalProvider:
    return LocalProvider(settings)


@pytest.fixture(autouse=True)
def machine_as_before(monkeypatch):
    """Whatever a test does, the machine looks the same afterwards; only other people's infrastructures may change."""
    made: set[str] = set()
    prepare = LocalProvider.prepare

    def note(self, environment, emit):
        made.add(environment.infrastructure)
        prepare(self, environment, emit)

    monkeypatch.setattr(LocalProvider, "prepare", note)
    before = snapshot()
    yield
    end = time.monotonic() + 10
    while (changes := before ^ (after := snapshot())) and time.monotonic() < end:
        time.sleep(0.05)
    alone = not any(infrastructures_in(line) - made for line in before | after)
    assert [line for line in sorted(changes) if not is_foreign(line, made, alone=alone)] == []


def is_foreign(line: str, made: set[str], *, alone: bool) -> bool:
    """What names no infrastructure (the machine's forwarding) is changed by whoever comes first or goes last."""
    ids = infrastructures_in(line)
    return not ids & made if ids else not alone


def infrastructures_in(line: str) -> set[str]:
    return set(re.findall(r"[0-9a-f]{8}", line))


@pytest.fixture
def key(tmp_path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def lab(provider, key):
    lab = Lab(provider, key)
    yield lab
    for infrastructure in provider.infrastructures():
        lab.end(infrastructure)


class Lab:
    """Infrastructures for one test, with SSH to their nodes."""

    def __init__(self, provider: LocalProvider, key: Path) -> None:
        self.provider, self.key = provider, key
        self.specs: dict[str, NodeSpec] = {}

    def prepare(self, **options) -> str:
        infrastructure = secrets.token_hex(4)
        self.provider.prepare(Environment(infrastructure, "lab", images=(IMAGE,), **options), ignore)
        return infrastructure

    def spec(self, infrastructure: str, index: int = 1, cpus: int = 1, memory: int = 128 << 20, **options) -> NodeSpec:
        identity = make_identity("root", self.key.with_suffix(".pub").read_text().strip())
        name, token = f"worker-{index}", f"{infrastructure}-{index}"
        spec = NodeSpec(infrastructure, "worker", index, name, token, cpus, memory, IMAGE, identity=identity, **options)
        self.specs[token] = spec
        return spec

    def nodes(self, infrastructure: str, count: int, **options):
        specs = [self.spec(infrastructure, index, **options) for index in range(1, count + 1)]
        created = self.provider.create(specs)
        assert [node.message for node in created] == [""] * count
        for node in created:
            wait_for_banner(node.private_address)
        return created

    def ssh(self, node, command: str, *, check: bool = True) -> str:
        hosts = self.key.with_name(f"known_hosts-{node.id}")
        hosts.write_text(f"{node.private_address} {self.specs[node.token].identity.host_public_key}\n")
        options = ["-i", self.key, "-o", f"UserKnownHostsFile={hosts}", "-o", "StrictHostKeyChecking=yes"]
        options += ["-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR"]
        done = subprocess.run(
            ["ssh", *options, f"root@{node.private_address}", command], capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done
        return (done.stdout + done.stderr).strip()

    def end(self, infrastructure: str) -> None:
        self.provider.delete([node.id for node in self.provider.list(infrastructure)])
        assert self.provider.list(infrastructure) == ()
        assert self.provider.release(infrastructure) == ()


def at(home: Path, **options) -> Settings:
    return structs.replace(load_settings(), home=home, **options)


def home(path: Path, cache: Path, **options) -> Settings:
    path.mkdir()
    (path / "cache").symlink_to(cache)
    return at(path, **options)


def banner(address: str, timeout: float = 1.0) -> bytes:
    try:
        with socket.create_connection((address, 22), timeout) as connection:
            return connection.recv(64)
    except OSError:
        return b""


def wait_for_banner(address: str, patience: float = 20.0) -> None:
    end = time.monotonic() + patience
    while not banner(address).startswith(b"SSH-"):
        assert time.monotonic() < end, f"no SSH banner from {address}"
        time.sleep(0.01)


def snapshot() -> set[str]:
    """Everything that a node or a network could leave behind, a line each."""
    rules = [line for line in output("iptables-save").splitlines() if line.startswith(("-A", ":FORWARD"))]
    lines = {
        "mount": [line for line in mounts() if "/mmdebstrap." not in line],
        "link": [link["ifname"] for link in json.loads(output("ip", "-json", "link"))],
        "address": output("ip", "-oneline", "-4", "address").splitlines(),
        "route": output("ip", "route", "show", "table", "all", "type", "unicast").splitlines(),
        "namespace": [*names("/run/netns"), *names(str(network.NAMESPACES))],
        "user": users(),
        "rule": [line.partition(" [")[0] for line in rules],
        "forwarding": [] if users() else [f"{file} {file.read_text()}" for file in CONF.glob("*/forwarding")],
        "control group": [path for path, _, _ in os.walk("/sys/fs/cgroup") if Path(path).name.startswith("im-")],
        "process": [f"{pid} of {groups(pid)}" for pid in running("lib/im/node")],
    }
    return {f"{kind} {line}" for kind, found in lines.items() for line in found}


def mounts() -> list[str]:
    return [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]


def users() -> list[str]:
    """The infrastructures for which this machine's settings are changed."""
    try:
        return json.loads((machine.RUNTIME / "machine.json").read_text())["users"]
    except FileNotFoundError:
        return names(str(machine.RUNTIME.parent), machine.RUNTIME.name)


def groups(process: str) -> str:
    try:
        return Path(process, "cgroup").read_text()
    except OSError:
        return ""


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def names(folder: str, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in Path(folder).glob(pattern))


def command_line(process: str) -> str:
    try:
        return Path(process, "cmdline").read_text()
    except OSError:
        return ""


def running(text: str) -> list[str]:
    return [pid for pid in map(str, Path("/proc").glob("[0-9]*")) if text in command_line(pid)]


class TestLocalKeepsTheContract(ProviderContract):
    memory = 128 << 20

    @pytest.fixture
    def provider(self, settings):
        return LocalProvider(settings)


# -- a node is a host of its own ---------------------------------------------------------------------------------


def test_a_node_has_its_own_name_processes_network_and_host_key(lab):
    infrastructure = lab.prepare()
    one, other = lab.nodes(infrastructure, 2)
    assert lab.ssh(one, "hostname") == "worker-1"
    assert lab.ssh(one, "cat /proc/1/comm") == "tini"
    assert lab.ssh(one, "ls /sys/class/net").split() == ["eth0", "lo"]
    lab.ssh(one, "touch /only-here; echo shm > /dev/shm/x")
    assert lab.ssh(other, "ls /only-here /dev/shm/x", check=False).count("No such file") == 2
    assert "1 received" in lab.ssh(one, f"ping -c 1 -W 2 {other.private_address}")
    assert lab.ssh(one, "python3 -c 'print(1)'; sudo -n true").startswith("1")


def test_a_node_is_a_machine_of_its_own_to_libraries_that_ask_the_kernel(lab):
    read = "cat /proc/sys/kernel/random/boot_id"
    ids = {lab.ssh(node, read) for node in lab.nodes(lab.prepare(), 2)}
    assert len(ids | {Path(read.split()[1]).read_text().strip()}) == 3


def test_a_node_cannot_change_the_machine(lab):
    (node,) = lab.nodes(lab.prepare(), 1)
    before = time.time()
    assert "not permitted" in lab.ssh(node, "date -s 2001-01-01", check=False)
    assert time.time() >= before
    assert "Read-only" in lab.ssh(node, "echo 1 > /proc/sys/vm/drop_caches", check=False)
    assert (
        "Read-only" in lab.ssh(node, "echo b > /proc/sysrq-trigger", check=False)
        or not Path("/proc/sysrq-trigger").exists()
    )


def test_a_node_is_limited_to_its_cpus_and_memory(lab):
    infrastructure = lab.prepare()
    lab.nodes(infrastructure, 1, cpus=1, memory=96 << 20)
    limits = {
        file.name: file.read_text().strip()
        for one in cgroups.hierarchies()
        for file in (one.mount / f"im-{infrastructure}").glob("*/*")
        if file.name in {"cpu.cfs_quota_us", "memory.limit_in_bytes", "cpu.max", "memory.max"}
    }
    assert {limits.get("cpu.cfs_quota_us"), limits.get("cpu.max")} & {"100000", "100000 100000"}
    assert str(96 << 20) in limits.values()


def test_a_process_that_takes_more_than_its_nodes_memory_is_ended_and_the_node_lives(lab):
    infrastructure = lab.prepare()
    (node,) = lab.nodes(infrastructure, 1, memory=96 << 20)
    assert "done" not in lab.ssh(node, "python3 -c \"b'x' * (300 << 20); print('done')\"", check=False)
    assert lab.ssh(node, "echo alive") == "alive"


def test_nodes_together_may_be_larger_than_the_machine(lab):
    nodes = lab.nodes(lab.prepare(), 3, cpus=MACHINE.cpus, memory=MACHINE.memory * 3 // 4)
    assert all(lab.ssh(node, "true") == "" for node in nodes)


def test_one_node_larger_than_the_machine_is_refused_before_anything_is_made(lab, provider):
    infrastructure = lab.prepare()
    fitting, larger = lab.spec(infrastructure), lab.spec(infrastructure, 2, cpus=MACHINE.cpus + 1)
    with pytest.raises(NoCapacity, match="worker-2 wants"):
        provider.create([fitting, larger])
    with pytest.raises(NoCapacity, match="worker-3 wants"):
        provider.create([lab.spec(infrastructure, 3, memory=MACHINE.memory + 1)])
    assert provider.list(infrastructure) == ()


def test_shared_folders_are_the_same_on_all_nodes(lab):
    infrastructure = lab.prepare(shared=("/home", "/data/in"))
    one, other = lab.nodes(infrastructure, 2, shared=("/home", "/data/in"))
    lab.ssh(one, "echo hello > /home/file; echo there > /data/in/file")
    assert lab.ssh(other, "cat /home/file /data/in/file").split() == ["hello", "there"]


def test_zombies_are_reaped(lab):
    (node,) = lab.nodes(lab.prepare(), 1)
    lab.ssh(node, "(setsid sh -c 'sleep 0.05' >/dev/null 2>&1 &) ; sleep 0.3")
    assert "Z" not in lab.ssh(node, "ps -eo stat=").split()


def test_packages_come_through_nat_once_and_from_the_cache_afterwards(lab, provider, cache):
    infrastructure = lab.prepare()
    (node,) = lab.nodes(infrastructure, 1, memory=0)
    lab.ssh(node, "apt-get install -y -q libtcl8.6")
    lab.end(infrastructure)
    assert list((cache / "local/debs").glob("libtcl8.6_*.deb"))
    (node,) = lab.nodes(lab.prepare(), 1, memory=0)
    assert "Need to get 0 B" in lab.ssh(node, "apt-get install -y -q libtcl8.6")


# -- side by side ------------------------------------------------------------------------------------------------


def test_two_infrastructures_have_their_own_subnets_and_do_not_reach_each_other(lab):
    (one,) = lab.nodes(first := lab.prepare(), 1)
    (other,) = lab.nodes(lab.prepare(), 1)
    assert one.private_address.rpartition(".")[0] != other.private_address.rpartition(".")[0]
    assert "1 received" not in lab.ssh(one, f"ping -c 1 -W 1 {other.private_address}", check=False)
    lab.end(first)
    assert lab.ssh(other, "getent hosts localhost")


def test_infrastructures_of_two_homes_share_the_machine_and_the_last_puts_it_back(lab, tmp_path, cache, key):
    lab.nodes(first := lab.prepare(), 1)
    neighbour = Lab(LocalProvider(home(tmp_path / "neighbour", cache)), key)
    (node,) = neighbour.nodes(second := neighbour.prepare(), 1)
    assert second not in lab.provider.infrastructures()
    lab.end(first)
    assert second in users()
    assert neighbour.ssh(node, "hostname") == "worker-1"
    neighbour.end(second)
    assert not {first, second} & set(users())


def test_network_namespaces_that_others_make_meanwhile_do_not_keep_ours(lab):
    infrastructure = lab.prepare()
    before = mounts().count("/run/netns")
    try:
        subprocess.run(["ip", "netns", "add", "im-e2e"], check=True)
        lab.nodes(infrastructure, 1)
        lab.end(infrastructure)
    finally:
        subprocess.run(["ip", "netns", "delete", "im-e2e"], check=True)
        if mounts().count("/run/netns") > before:
            subprocess.run(["umount", "/run/netns"], check=True)


def test_the_templates_own_address_range_is_used(lab):
    infrastructure = lab.prepare(networks=(Network("private", cidr="10.199.7.0/28"),))
    (node,) = lab.nodes(infrastructure, 1)
    assert node.private_address == "10.199.7.2"
    with pytest.raises(AddressInUse, match=r"in use on this machine by 10\.199\.7\.0/28"):
        lab.prepare(networks=(Network("private", cidr="10.199.7.0/24"),))


def test_a_range_that_the_machine_uses_is_not_taken(tmp_path, cache):
    used = json.loads(output("ip", "-json", "-4", "address", "show", "up", "scope", "global"))[0]["addr_info"][0]
    pool = str(IPv4Network(f"{used['local']}/30", strict=False))
    crowded = LocalProvider(home(tmp_path / "crowded", cache, local_subnets=pool))
    with pytest.raises(AddressInUse) as caught:
        crowded.prepare(Environment(secrets.token_hex(4), "crowded"), ignore)
    assert "IM_LOCAL_SUBNETS" in caught.value.hint
    for left in crowded.infrastructures():
        assert crowded.release(left) == ()


# -- nodes outlive the client, and come back ---------------------------------------------------------------------


def test_nodes_outlive_the_client_that_made_them(lab, settings):
    infrastructure = lab.prepare()
    client = Client(settings, infrastructure, 2)
    assert client.process.wait(30) == 0
    assert {node.status for node in LocalProvider(settings).list(infrastructure)} == {"active"}


def test_after_a_restart_of_the_machine_nodes_are_stopped_and_start_revives_them(lab, provider, settings):
    infrastructure = lab.prepare()
    (node,) = lab.nodes(infrastructure, 1)
    lab.ssh(node, "echo kept | tee /root/file /var/tmp/file /tmp/file; sync")
    restart_machine(settings, infrastructure)
    (found,) = provider.list(infrastructure)
    assert (found.status, found.message) == ("stopped", "the machine was restarted")
    provider.start([node.id])
    wait_for_banner(node.private_address)
    assert lab.ssh(node, "cat /root/file /var/tmp/file; hostname; ls /tmp").split() == ["kept", "kept", "worker-1"]


def test_a_container_engine_can_lay_an_overlay_in_a_nodes_temporary_folders(lab):
    (node,) = lab.nodes(lab.prepare(), 1)
    assert "overlayfs" not in lab.ssh(node, "stat --file-system --format %T /tmp /var/tmp")


def test_a_node_whose_init_ended_says_so_and_starts_again(lab, provider, settings):
    infrastructure = lab.prepare()
    (node,) = lab.nodes(infrastructure, 1)
    os.kill(first_process(settings, node).pid, signal.SIGKILL)
    settle(provider, infrastructure, "stopped")
    assert provider.list(infrastructure)[0].message == "its init ended"
    provider.start([node.id])
    wait_for_banner(node.private_address)


def test_a_stopped_node_stays_stopped_when_create_is_repeated(lab, provider):
    infrastructure = lab.prepare()
    (node,) = lab.nodes(infrastructure, 1)
    provider.stop([node.id])
    (again,) = provider.create([lab.specs[node.token]])
    assert (again.id, again.status, again.message) == (node.id, "stopped", "stopped on request")


def test_a_node_that_ended_without_being_asked_to_is_started_when_create_is_repeated(lab, provider, settings):
    infrastructure = lab.prepare()
    (node,) = lab.nodes(infrastructure, 1)
    os.kill(first_process(settings, node).pid, signal.SIGKILL)
    settle(provider, infrastructure, "stopped")
    (again,) = provider.create([lab.specs[node.token]])
    assert (again.id, again.status) == (node.id, "active")
    wait_for_banner(node.private_address)


def test_an_sshd_that_ends_is_started_again(lab, settings):
    (node,) = lab.nodes(lab.prepare(), 1)
    os.kill(sshd(settings, node), signal.SIGKILL)
    wait_for_banner(node.private_address)


def test_an_sshd_that_hangs_leaves_the_node_active_and_silent(lab, provider, settings):
    infrastructure = lab.prepare()
    (node,) = lab.nodes(infrastructure, 1)
    os.kill(sshd(settings, node), signal.SIGSTOP)
    assert banner(node.private_address, 0.5) == b""
    assert provider.list(infrastructure)[0].status == "active"


def test_the_console_shows_what_sshd_says(lab, provider):
    (node,) = lab.nodes(lab.prepare(), 1)
    lab.ssh(node, "true")
    assert "Accepted publickey for root" in provider.console(node.id)


def sshd(settings: Settings, node) -> int:
    """The listening sshd of a node, as the machine numbers it: init's child's child."""
    pid = first_process(settings, node).pid
    for _ in range(2):
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    assert "sshd" in command_line(f"/proc/{pid}")
    return pid


def settle(provider, infrastructure, status, patience=20.0):
    end = time.monotonic() + patience
    while not all_are(status)(found := provider.list(infrastructure)):
        assert time.monotonic() < end, found
        time.sleep(0.01)


# -- the end -----------------------------------------------------------------------------------------------------


def test_delete_ends_every_process_of_a_node(lab, provider):
    infrastructure = lab.prepare()
    (node,) = lab.nodes(infrastructure, 1)
    marker = f"86400.{secrets.randbelow(10**9)}"
    lab.ssh(node, f"setsid nohup sleep {marker} >/dev/null 2>&1 </dev/null & sleep 0.1")
    assert running(marker)
    provider.delete([node.id])
    assert not running(marker)


def test_release_refuses_while_nodes_are_there(lab, provider):
    infrastructure = lab.prepare()
    (node,) = lab.nodes(infrastructure, 1)
    assert provider.release(infrastructure) == (f"node worker-1 ({node.id}): delete it first",)
    assert banner(node.private_address)


def test_release_removes_by_the_id_alone_what_lost_its_marks(lab, provider, settings):
    infrastructure = lab.prepare()
    lab.nodes(infrastructure, 1)
    (settings.home / "local" / infrastructure).rename(lost := settings.home / "lost")
    assert provider.release(infrastructure) == ()
    assert lost.exists()
    assert not cgroups.processes(cgroups.hierarchies(), infrastructure)


# -- interrupted -------------------------------------------------------------------------------------------------

CLIENT = """
import sys
from pathlib import Path
from msgspec import structs
from im.config import load_settings
from im.plan.model import NodeSpec
from im.providers.contract import make_identity
from im.providers.local import LocalProvider

home, infrastructure, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
provider = LocalProvider(structs.replace(load_settings(), home=home))
specs = [
    NodeSpec(infrastructure, "worker", i, f"worker-{i}", f"{infrastructure}-{i}", 1, 128 << 20, "debian-12",
             identity=make_identity())
    for i in range(1, count + 1)
]
provider.catalog()
print("ready", flush=True)
provider.create(specs)
"""


class Client:
    """Another process that creates nodes."""

    def __init__(self, settings: Settings, infrastructure: str, count: int) -> None:
        arguments = [str(settings.home), infrastructure, str(count)]
        self.process = subprocess.Popen([sys.executable, "-c", CLIENT, *arguments], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def children(self) -> list[int]:
        try:
            return [
                int(pid)
                for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            ]
        except FileNotFoundError:
            return []


@pytest.mark.parametrize("helper_too", [False, True], ids=["client", "client and helper"])
@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.08, 0.12, 0.2])
def test_a_create_that_was_killed_is_continued_without_duplicates_or_leaks(lab, provider, settings, delay, helper_too):
    infrastructure = lab.prepare()
    client = Client(settings, infrastructure, 6)
    time.sleep(delay)
    helpers = client.children()
    client.process.kill()
    client.process.wait()
    for pid in helpers if helper_too else ():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    specs = [lab.spec(infrastructure, index) for index in range(1, 7)]
    created = provider.create(specs)
    assert [node.status for node in created] == ["active"] * 6
    assert len({node.private_address for node in provider.list(infrastructure)}) == 6
    assert inits(infrastructure) == ["tini"] * 6


def inits(infrastructure: str) -> list[str]:
    """What the nodes' first processes run: those that are number 1 in a PID namespace of their own."""
    pids = cgroups.processes(cgroups.hierarchies(), infrastructure)
    return [process.program() for process in map(identify, pids) if numbers(process.pid)[1:] == ["1"]]


def numbers(pid: int) -> list[str]:
    """The process's id in every PID namespace that it is in, ours first."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return []
    return text.partition("NSpid:")[2].partition("\n")[0].split()


def test_what_a_killed_create_left_can_be_deleted_at_once(lab, provider, settings):
    infrastructure = lab.prepare()
    client = Client(settings, infrastructure, 6)
    time.sleep(0.06)
    client.process.kill()
    client.process.wait()
    lab.end(infrastructure)


# -- the base image ----------------------------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path):
    folder = tmp_path / "tiny" / "cache"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_too_small_a_disk_for_the_base_image_is_said_before_work_starts(tiny_disk):
    with pytest.raises(NoCapacity, match="MiB free") as caught:
        LocalProvider(at(tiny_disk.parent)).prepare(Environment("0000aaaa", "x", images=(IMAGE,)), ignore)
    assert "IM_HOME" in caught.value.hint


def test_a_disk_that_fills_up_while_the_base_image_is_made_leaves_nothing(tiny_disk, monkeypatch):
    monkeypatch.setattr(image, "NEEDED_SPACE", 0)
    events = []
    with pytest.raises(NoCapacity, match="the disk is full"):
        LocalProvider(at(tiny_disk.parent)).prepare(Environment("0000aaaa", "x", images=(IMAGE,)), events.append)
    assert [events[0].kind, events[-1].kind] == ["started", "failed"]
    assert {event.kind for event in events[1:-1]} == {"progress"}
    assert [path.name for path in (tiny_disk / "local/images").iterdir()] == [f".{IMAGE}.lock"]


def test_a_client_that_is_killed_while_it_makes_the_base_image_leaves_no_process(tmp_path):
    code = (
        "import sys; from pathlib import Path; from msgspec import structs; from im.config import load_settings\n"
        "from im.providers.base import Environment\n"
        "from im.providers.local import LocalProvider\n"
        "settings = structs.replace(load_settings(), home=Path(sys.argv[1]))\n"
        "LocalProvider(settings).prepare(Environment('0000aaaa', 'x', images=('debian-12',)),\n"
        "    lambda event: print(event.kind, flush=True))"
    )
    client = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "home")], stdout=subprocess.PIPE)
    while b"progress" not in client.stdout.readline():
        assert client.poll() is None
    client.kill()
    client.wait()
    end = time.monotonic() + 10
    while running(str(tmp_path / "home")):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_unknown_image_is_refused_with_the_known_ones(lab, provider):
    infrastructure = lab.prepare()
    with pytest.raises(ProviderError, match="no image 'plan9'") as caught:
        provider.prepare(Environment(infrastructure, "x", images=("plan9",)), ignore)
    assert IMAGE in caught.value.hint


def test_an_image_that_is_not_made_yet_is_refused_by_create(tmp_path, lab):
    provider = LocalProvider(at(tmp_path / "fresh"))
    with pytest.raises(ProviderError, match="not made yet"):
        provider.create([lab.spec(secrets.token_hex(4))])
    assert provider.infrastructures() == {}


def test_a_disk_too_full_for_new_nodes_leaves_no_half_made_ones(tmp_path, cache, lab):
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", full], check=True)
    try:
        provider = LocalProvider(home(full / "im", cache))
        infrastructure = secrets.token_hex(4)
        provider.prepare(Environment(infrastructure, "x", images=(IMAGE,)), ignore)
        with pytest.raises(NoCapacity, match="the disk is full"):
            provider.create([lab.spec(infrastructure, index) for index in range(1, 17)])
        assert provider.list(infrastructure) == ()
        assert provider.release(infrastructure) == ()
    finally:
        subprocess.run(["umount", full], check=True)


# -- many --------------------------------------------------------------------------------------------------------


def test_sixty_four_nodes_are_made_in_seconds(lab, provider):
    infrastructure = lab.prepare()
    begin = time.monotonic()
    provider.create([lab.spec(infrastructure, index) for index in range(1, 65)])
    assert time.monotonic() - begin < 15
    begin = time.monotonic()
    assert len(provider.list(infrastructure)) == 64
    assert time.monotonic() - begin < 0.5
    assert identify(os.getpid()).alive()
