"""The way through a machine of the user's own site."""

import shutil
import subprocess

import pytest

from im.errors import InputError, NotReachable, SshError
from im.plan.model import Cluster, Node
from im.ssh.config import config_file
from im.ssh.contact import reach
from im.ssh.jump import jump_command, jump_host_of
from im.ssh.keys import KeyRing

PROGRAM = """\
#!/bin/sh
echo "$*" > {folder}/asked
echo {said!r} >&2
exit 255
"""


@pytest.fixture
def cluster(tmp_path):
    ring = KeyRing(tmp_path / "keys")
    ring.ensure()
    nodes = (
        Node("i", "front", "g", 1, "t", private_address="10.0.0.1", host_public_key=ring.host_key("front").public,
             front_end=True),
        Node("i", "worker-1", "g", 1, "t", private_address="10.0.0.2"),
    )  # fmt: skip
    return Cluster("i", "lab", "hpc", str(ring.folder), nodes, jump_host="me@gateway.example:2222")


@pytest.fixture
def ssh_that_says(tmp_path, monkeypatch):
    """Put a program in ssh's place that ends with these words."""

    def install(said):
        program = tmp_path / "bin" / "ssh"
        program.parent.mkdir(exist_ok=True)
        program.write_text(PROGRAM.format(folder=tmp_path, said=said))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    return install


def options(cluster, name):
    line = ["ssh", "-G", "-F", str(config_file(cluster)), name]
    shown = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    return dict(each.split(" ", 1) for each in shown.splitlines() if " " in each)


def test_the_front_end_is_reached_through_it_with_the_users_own_configuration(cluster):
    found = options(cluster, "front")
    assert found["hostname"] == "10.0.0.1"
    assert found["proxycommand"].endswith("-p 2222 -W '[%h]:%p' me@gateway.example")
    assert "-F" not in found["proxycommand"]


def test_openssh_really_runs_what_leads_through_it(cluster, ssh_that_says, tmp_path):
    openssh = shutil.which("ssh")
    ssh_that_says("nobody at home")
    subprocess.run([openssh, "-F", config_file(cluster), "front"], capture_output=True, check=False)
    assert (tmp_path / "asked").read_text().strip().endswith("-W [10.0.0.1]:22 me@gateway.example")


def test_its_host_key_must_be_known_already_and_nothing_is_asked():
    line = " ".join(jump_command("me@gateway", "[10.0.0.1]:22"))
    assert "StrictHostKeyChecking=yes" in line
    assert "BatchMode=yes" in line


def test_workers_go_through_the_front_end(cluster):
    assert options(cluster, "worker-1")["proxyjump"] == "front"


@pytest.mark.parametrize("cloud", ["openstack:site", "site"])
def test_each_cloud_has_its_own_by_its_whole_name_or_its_account(cloud):
    assert jump_host_of("openstack:site", {cloud: "me@gateway"}) == "me@gateway"
    assert jump_host_of("local", {cloud: "me@gateway"}) == ""


@pytest.mark.parametrize("place", ["me@gate way", "-oProxyCommand=x@y z", "me@gateway;reboot", "me@gateway:port"])
def test_what_is_not_a_place_is_refused(place):
    with pytest.raises(InputError, match="is not user@host"):
        jump_host_of("site", {"site": place})


def test_the_first_contact_goes_through_it(cluster, ssh_that_says, tmp_path):
    ssh_that_says("channel 0: open failed: connect failed: Connection refused")
    with pytest.raises(NotReachable, match=r"jump host me@gateway\.example:2222: channel 0: .*: Connection refused"):
        reach(cluster, cluster.front_end)
    assert (tmp_path / "asked").read_text().strip().endswith("-W [10.0.0.1]:22 me@gateway.example")


@pytest.mark.parametrize(
    "said", ["Host key verification failed.", "me@gateway.example: Permission denied (publickey)."]
)
def test_a_jump_host_that_does_not_let_us_in_is_not_waited_for(cluster, ssh_that_says, said):
    ssh_that_says(said)
    with pytest.raises(SshError, match=r"jump host me@gateway\.example:2222") as caught:
        reach(cluster, cluster.front_end)
    assert caught.value.message == said
