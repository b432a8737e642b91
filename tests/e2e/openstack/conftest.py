"""A project of its own for each run of the tier, so that what is there before and after a test can be compared."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from openstack.connection import Connection

CLIENT = Path(sys.executable).with_name("im_client")
TEMPLATES = Path(__file__).parent / "templates"
ADMIN = "stack-admin"


@dataclass(frozen=True)
class Project:
    """A project on the test cloud, with a user that is a member of it and nothing in it."""

    admin: Connection
    own: Connection
    id: str
    account: Mapping[str, str]

    def listing(self) -> set[str]:
        """Everything in it that somebody made: kind, name and id."""
        mine = {"project_id": self.id}
        network, compute, volume = self.own.network, self.own.compute, self.own.block_storage
        found = {
            "server": compute.servers(details=False),
            "server group": compute.server_groups(),
            "key pair": compute.keypairs(),
            "network": network.networks(**mine),
            "subnet": network.subnets(**mine),
            "port": network.ports(**mine),
            "router": network.routers(**mine),
            "floating address": network.ips(**mine),
            "security group": (group for group in network.security_groups(**mine) if group.name != "default"),
            "volume": volume.volumes(details=False),
        }
        return {f"{kind} {one.name} {one.id}" for kind, things in found.items() for one in things}

    def allow(self, **limits: int) -> None:
        """Set quotas by nova's and neutron's names."""
        network = {name: limit for name, limit in limits.items() if name in {"floatingip", "network", "router"}}
        compute = {name: limit for name, limit in limits.items() if name not in network}
        if compute:
            self.admin.compute.put(f"/os-quota-sets/{self.id}", json={"quota_set": compute})
        if network:
            self.admin.network.put(f"/quotas/{self.id}", json={"quota": network})

    def as_before(self) -> None:
        """Take all own quotas back."""
        self.admin.compute.delete(f"/os-quota-sets/{self.id}")
        self.admin.network.delete(f"/quotas/{self.id}")


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    """Give a new project; it must be empty at the end."""
    admin = _connect(ADMIN)
    identity = admin.identity
    name, password = f"tier-{secrets.token_hex(3)}", secrets.token_hex(8)
    made = identity.create_project(name=name, domain_id="default")
    user = identity.create_user(name=name, password=password, domain_id="default")
    for role in ("member", "reader"):
        identity.assign_project_role_to_user(made, user, identity.find_role(role))
    account = {**_account(ADMIN), "username": name, "password": password, "project_name": name}
    project = Project(admin, Connection(auth=account, region_name="RegionOne"), made.id, account)
    yield project
    left = project.listing()
    if not left:
        identity.delete_user(user)
        for group in admin.network.security_groups(project_id=made.id):
            admin.network.delete_security_group(group)
        identity.delete_project(made)
    assert not left


def _connect(name: str) -> Connection:
    import openstack

    return openstack.connect(cloud=name)


def _account(name: str) -> dict[str, str]:
    file = Path(os.environ["OS_CLIENT_CONFIG_FILE"])
    return dict(yaml.safe_load(file.read_text())["clouds"][name]["auth"])


@dataclass(frozen=True)
class Ran:
    """What one command said."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All of it, with single spaces: messages are wrapped."""
        return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", self.out + self.err).split())


@dataclass(frozen=True)
class User:
    """Somebody with ``im_client``, a home, and a ``clouds.yaml`` whose cloud ``mine`` is the project."""

    home: Path
    clouds: Path
    account: Mapping[str, str]

    def cloud(self, name: str, auth: Mapping[str, str] | None = None, **settings: Any) -> str:
        """Add a cloud to ``clouds.yaml`` that differs from ``mine`` in this, and return its name."""
        known = yaml.safe_load(self.clouds.read_text()) if self.clouds.exists() else {"clouds": {}}
        account = {**self.account, **(auth or {})}
        account = {key: value for key, value in account.items() if value}
        known["clouds"][name] = {"region_name": "RegionOne", "auth": account, **settings}
        self.clouds.write_text(yaml.safe_dump(known))
        return name

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start ``im_client``."""
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("OS_")},
            "IM_HOME": str(self.home),
            "OS_CLIENT_CONFIG_FILE": str(self.clouds),
            "COLUMNS": "400",
        }
        return subprocess.Popen(
            [str(CLIENT), *map(str, words)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str | Path) -> Ran:
        """Run ``im_client`` and wait for it."""
        process = self.start(*words)
        out, err = process.communicate()
        assert "Traceback" not in err, err
        return Ran(process.returncode, out, err)

    def deploy(self, template: str, *words: str, cloud: str = "mine", name: str = "tier") -> Ran:
        """Deploy one of the tier's templates until its servers are provisioned."""
        options = ["--cloud", cloud, "--name", name, "--until", "provisioned"]
        return self.run("deploy", TEMPLATES / template, *options, *inputs(words))


def inputs(words: Sequence[str]) -> list[str]:
    """Return ``name=value`` words as options."""
    return [option for word in words for option in ("--input", word)]


@pytest.fixture
def user(project, tmp_path) -> User:
    """Give a user with a home of their own."""
    home = tmp_path / "home"
    home.mkdir()
    somebody = User(home, tmp_path / "clouds.yaml", project.account)
    somebody.cloud("mine")
    return somebody


@pytest.fixture
def unchanged(project) -> Iterator[Callable[[], None]]:
    """Check at the end, and when called, that the project has what it had before."""
    before = project.listing()

    def check() -> None:
        assert project.listing() == before

    yield check
    check()
