"""Writes the configuration of all services from ``templates/``."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from testcloud.settings import DATABASES, PASSWORD, Cloud

TEMPLATES = Path(__file__).parent / "templates"
ACCOUNT = """\
auth_type = password
auth_url = $auth_url
username = openstack
password = $password
project_name = service
user_domain_name = Default
project_domain_name = Default
region_name = RegionOne"""
SERVERS = ("keystone", "glance", "placement", "nova", "neutron", "cinder")
FOLDERS = (
    *("run", "log", "tmp", "lock", "etc", "mysql", "rabbit", "libvirt"),
    *("keystone", "glance", "nova", "nova-fake", "neutron", "cinder"),
)
PARTS = ("keystone/fernet", "keystone/credential", "nova/instances", "nova-fake/instances", "libvirt/etc")


def write(cloud: Cloud) -> None:
    """Write every file that a service reads."""
    for name in (*FOLDERS, *PARTS):
        (cloud.folder / name).mkdir(parents=True, exist_ok=True)
    values = _values(cloud)
    texts = {file.name: Template(file.read_text()).substitute(values) for file in TEMPLATES.iterdir()}
    common = texts.pop("common.conf")
    for name, text in texts.items():
        part = common if name.removesuffix(".conf") in SERVERS else ""
        (cloud.etc / name).write_text(text + part)
    (cloud.etc / "qemu-wrapper").chmod(0o755)
    (cloud.folder / "libvirt/etc/qemu.conf").write_text(texts["qemu.conf"])  # libvirt's drivers look nowhere else
    paste = Path("/etc/nova/api-paste.ini").read_text()
    without = re.sub(r"^\[composite:osapi_compute\]\n(?:(?!\[).*\n)*", "", paste, flags=re.MULTILINE)
    (cloud.etc / "ooi-paste.ini").write_text(without + texts["ooi-paste.ini"])
    (cloud.folder / "rabbit/plugins").write_text("[].\n")


def _values(cloud: Cloud) -> dict[str, str]:
    values = {
        "address": cloud.address,
        "auth_url": cloud.auth_url,
        "etc": str(cloud.etc),
        "folder": str(cloud.folder),
        "password": PASSWORD,
        "resolvers": ",".join(resolvers()),
        "run": str(cloud.run),
        **{f"db_{name}": cloud.database(name) for name in DATABASES},
    }
    return {**values, "account": Template(ACCOUNT).substitute(values)}


def resolvers() -> list[str]:
    """Return this machine's name servers, those that a guest can reach."""
    lines = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    return [words[1] for words in lines if words[:1] == ["nameserver"] and not words[1].startswith(("127.", "::1"))]
