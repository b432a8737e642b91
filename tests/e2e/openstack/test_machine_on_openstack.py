"""A real virtual machine: cloud-init gives it our host key and root's key, so the first SSH connection is verified."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.e2e_openstack, pytest.mark.long]


@pytest.mark.timeout(1200)
def test_a_machine_answers_on_ssh_with_the_host_key_that_it_was_given(user, unchanged):
    assert user.run("deploy", user.template("machine.yaml"), "--cloud", "mine", "--name", "tier").status == 0
    shown = json.loads(user.run("show", "tier", "--json").out)
    assert shown["state"] == "ready"
    inside = user.run("exec", "tier", "--", "sh", "-c", "cat /etc/ssh/ssh_host_ed25519_key.pub; cloud-init --version")
    assert inside.status == 0, inside
    assert "ssh-ed25519" in inside.text
    assert user.run("delete", "tier", "--yes").status == 0
