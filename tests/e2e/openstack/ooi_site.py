"""The OCCI server in front of the test cloud's Nova, and what Nova itself says about the servers behind it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from im.config import OcciSite
from im.providers.occi.marks import server_mark, volume_mark

PASSWORD_VARIABLE = "IM_TEST_OOI_PASSWORD"
CLOUD = "stack"


@dataclass(frozen=True)
class Ooi:
    """The site as our client sees it, and the same project as openstacksdk does."""

    site: OcciSite
    connection: Any

    def servers(self, infrastructure: str = "") -> dict[str, Any]:
        """Nova's servers with our mark, by the names of their nodes."""
        marked = [(server_mark(server.name), server) for server in self.connection.compute.servers()]
        return {mark.name: server for mark, server in marked if mark and infrastructure in {"", mark.infrastructure}}

    def statuses(self, infrastructure: str) -> dict[str, str]:
        return {name: server.status for name, server in self.servers(infrastructure).items()}

    def actions(self, infrastructure: str) -> dict[str, list[str]]:
        """What Nova was asked to do with each server, the oldest first."""
        asked = self.connection.compute.server_actions
        servers = self.servers(infrastructure).items()
        return {name: [one.action for one in asked(server)][::-1] for name, server in servers}

    def volumes(self, infrastructure: str) -> list[Any]:
        """Cinder's volumes with our mark."""
        marked = [(volume_mark(volume.name or ""), volume) for volume in self.connection.block_storage.volumes()]
        return [volume for mark, volume in marked if mark and mark.infrastructure == infrastructure]

    def floating(self, address: str) -> list[Any]:
        """Neutron's floating addresses of that number."""
        return list(self.connection.network.ips(floating_ip_address=address))

    def configure(self, home: Path) -> None:
        """Write the settings of a user of the site into an ``IM_HOME``."""
        said = {name: getattr(self.site, name) for name in ("endpoint", "username", "project", "secret_env", "network")}
        lines = "".join(f'{name} = "{value}"\n' for name, value in said.items())
        (home / "config.toml").write_text(f"[occi.ooi]\n{lines}")


def connect() -> Ooi:
    """Return the site of the cloud that ``OS_CLIENT_CONFIG_FILE`` names; skips where there is none."""
    if "OS_CLIENT_CONFIG_FILE" not in os.environ:
        pytest.skip("OCCI on the test cloud: OS_CLIENT_CONFIG_FILE is not set (tests/e2e/openstack/stack up)")
    import openstack

    connection = openstack.connect(cloud=CLOUD)
    endpoint = connection.session.get_endpoint(service_type="occi")
    if endpoint is None:
        pytest.skip("OCCI on the test cloud: no ooi in its catalogue")
    account = connection.config.auth
    os.environ[PASSWORD_VARIABLE] = account["password"]
    site = OcciSite(
        endpoint=endpoint,
        username=account["username"],
        project=account["project_name"],
        secret_env=PASSWORD_VARIABLE,
        network="private",
    )
    return Ooi(site, connection)
