"""Roles of Ansible Galaxy as templates name them, and as roles name what they need."""

from __future__ import annotations

import pytest

from im.topology.galaxy import WantedRole, needed_role, wanted_role
from im.topology.reader import parse


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("owner.nfs", WantedRole("owner.nfs", "owner.nfs")),
        ("owner.nfs,v1.2", WantedRole("owner.nfs", "owner.nfs", "v1.2")),
        ("owner.nfs, v1 , nfs", WantedRole("nfs", "owner.nfs", "v1")),
        ("owner.nfs,v1|share", WantedRole("share", "owner.nfs", "v1")),
        ("https://a.org/x/nfs-1.tar.gz", WantedRole("nfs-1", "https://a.org/x/nfs-1.tar.gz")),
        ("https://a.org/x.tgz?raw=1#sha256=00|nfs", WantedRole("nfs", "https://a.org/x.tgz?raw=1#sha256=00")),
        ("git+https://github.com/o/r.git,main", WantedRole("r", "git+https://github.com/o/r.git", "main")),
        ("git+https://github.com/o/r/|x", WantedRole("x", "git+https://github.com/o/r/")),
    ],
)
def test_a_role_is_a_source_a_version_and_the_name_that_playbooks_use(text, role):
    assert wanted_role(text) == role


@pytest.mark.parametrize(
    ("item", "role"),
    [
        ("owner.nfs", WantedRole("owner.nfs", "owner.nfs")),
        ("owner.nfs,v1", WantedRole("owner.nfs", "owner.nfs", "v1")),
        ("{ role: owner.nfs, version: 1.10, port: 5 }", WantedRole("owner.nfs", "owner.nfs", "1.10")),
        ("{ src: owner.nfs, name: nfs }", WantedRole("nfs", "owner.nfs")),
        ("{ name: owner.nfs, version: v2 }", WantedRole("owner.nfs", "owner.nfs", "v2")),
        (
            "{ src: 'https://a.org/nfs.git', scm: git, version: v1 }",
            WantedRole("nfs", "git+https://a.org/nfs.git", "v1"),
        ),
        ("beside", None),
        ("{ role: beside }", None),
        ("namespace.collection.role", None),
        ("7", None),
        ("{ a: b }", None),
    ],
)
def test_a_role_needs_others_that_are_of_galaxy(item, role):
    value, _ = parse(item, "main.yml")
    assert needed_role(value) == role
