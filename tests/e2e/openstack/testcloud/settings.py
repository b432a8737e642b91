"""Where one test cloud lives, and the numbers that all its services share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "stackpass"  # of everything: nobody but this machine has a route to it
DATABASES = ("keystone", "glance", "placement", "nova_api", "nova", "nova_cell0", "neutron", "cinder")


@dataclass(frozen=True)
class Cloud:
    """One test cloud: the host is ``subnet``.1, every API is at ``subnet``.2, floating addresses begin at .100."""

    folder: Path
    cache: Path
    name: str = "im-stack"
    subnet: str = "172.24.4"

    @property
    def address(self) -> str:
        """Where all APIs listen."""
        return f"{self.subnet}.2"

    @property
    def etc(self) -> Path:
        """The services' configuration."""
        return self.folder / "etc"

    @property
    def log(self) -> Path:
        """The services' logs, one file for each."""
        return self.folder / "log"

    @property
    def run(self) -> Path:
        """What is running: one file with a process id for each service."""
        return self.folder / "run"

    @property
    def clouds_yaml(self) -> Path:
        """What clients need; there while the cloud is up."""
        return self.folder / "clouds.yaml"

    @property
    def ooi(self) -> Path:
        """The OCCI server's Python package."""
        return self.cache / "ooi-1.2.0"

    @property
    def image(self) -> Path:
        """The folder with the guest's disk, kernel and ramdisk."""
        return self.cache / "debian-12"

    @property
    def auth_url(self) -> str:
        """Keystone."""
        return f"http://{self.address}:5000/v3"

    def database(self, name: str) -> str:
        """Return the URL of a database."""
        return f"mysql+pymysql://os:{PASSWORD}@127.0.0.1:3307/{name}?charset=utf8"


def configured() -> Cloud:
    """Return the cloud that the environment names."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("IM_STACK_DIR") or cache / "im-stack").absolute()
    kept = Path(os.environ.get("IM_TEST_CACHE") or folder / "cache").absolute()
    return Cloud(
        folder,
        kept / "openstack" if "IM_TEST_CACHE" in os.environ else kept,
        os.environ.get("IM_STACK_NAME", "im-stack"),
        os.environ.get("IM_STACK_SUBNET", "172.24.4"),
    )
