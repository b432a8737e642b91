"""Real virtual machines: cloud-init gives them our host key and root's key, so the first SSH connection is verified."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from people import User

pytestmark = [pytest.mark.e2e_openstack, pytest.mark.long]


@pytest.mark.timeout(2400)
def test_machines_answer_with_the_host_key_that_they_were_given(user, project, unchanged, tmp_path):
    """The first has a public address; the second has none and is reached through the first, as a user's own machine."""
    deployed = user.run("deploy", user.template("machine.yaml"), "--cloud", "mine", "--name", "tier")
    assert deployed.status == 0, deployed
    shown = json.loads(user.run("show", "tier", "--json").out)
    assert shown["state"] == "ready"
    assert inside(user, "tier", "hostname").split() == ["frontend"]

    (network,) = project.own.network.networks(project_id=project.id)
    through = by_way_of(user, shown, tmp_path / "ssh")
    words = ["deploy", user.template("hidden.yaml"), "--cloud", "mine", "--name", "hidden"]
    hidden = through.run(*words, "--input", f"network={network.name}")
    assert hidden.status == 0, hidden
    (node,) = json.loads(user.run("show", "hidden", "--json").out)["nodes"]
    assert (node["state"], node["public_address"]) == ("ready", "")
    assert inside(through, "hidden", "hostname").split() == ["frontend"]

    for name in ("hidden", "tier"):
        assert user.run("delete", name, "--yes").status == 0


def inside(user: User, name: str, *words: str) -> str:
    """Run a command on the front-end; return what it says."""
    ran = user.run("exec", name, "--", *words)
    assert ran.status == 0, ran
    return ran.out


def by_way_of(user: User, shown: dict, folder: Path) -> User:
    """Return the same user, whose own ssh knows the way to a front-end, and who goes through it."""
    address = shown["nodes"][0]["public_address"]
    keys = user.home / "infrastructures" / shown["id"] / "ssh"
    folder.mkdir(mode=0o700)
    (folder / "known_hosts").write_text(f"{address} {(keys / 'host-frontend.pub').read_text()}")
    (folder / "config").write_text(f"IdentityFile {keys / 'client'}\n")
    Path("~/.ssh").expanduser().mkdir(mode=0o700, exist_ok=True)
    mounted = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" ~/.ssh && exec "$@"', str(folder))
    return replace(user, before=mounted, variables={"IM_JUMP_HOSTS": json.dumps({"mine": f"root@{address}"})})
