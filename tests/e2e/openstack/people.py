"""A project on the test cloud, and somebody with ``im_client`` in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from openstack.connection import Connection

CLIENT = Path(sys.executable).with_name("im_client")
TEMPLATES = Path(__file__).parent / "templates"


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
    """Somebody with ``im_client``, a home, and a ``clouds.yaml`` whose cloud ``mine`` is the project.

    ``before``: a command that starts ``im_client``; ``variables`` of its environment.
    """

    home: Path
    clouds: Path
    account: Mapping[str, str]
    before: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

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
            **self.variables,
        }
        return subprocess.Popen(
            [*self.before, str(CLIENT), *map(str, words)],
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

    def template(self, name: str) -> Path:
        """Return one of the tier's templates."""
        return TEMPLATES / name

    def deploy(self, template: str, *words: str, cloud: str = "mine", name: str = "tier", ttl: str = "1d") -> Ran:
        """Deploy one of the tier's templates until its servers are provisioned."""
        options = ["--cloud", cloud, "--name", name, "--until", "provisioned", "--ttl", ttl]
        return self.run("deploy", self.template(template), *options, *inputs(words))


def inputs(words: Sequence[str]) -> list[str]:
    """Return ``name=value`` words as options."""
    return [option for word in words for option in ("--input", word)]
