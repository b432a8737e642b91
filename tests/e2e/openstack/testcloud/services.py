"""Every daemon of the cloud: its command line, its port, and how it is started and waited for."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testcloud import namespace
from testcloud.processes import Process
from testcloud.settings import Cloud
from testcloud.steps import StackError

PATIENCE = 180.0  # seconds that a daemon may take to open its port: a machine under load takes long


@dataclass(frozen=True)
class Service:
    """A daemon; ``port`` is where it answers at the cloud's address, if it does."""

    name: str
    command: Sequence[str]
    port: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


def start(cloud: Cloud, services: Sequence[Service]) -> None:
    """Start daemons that do not run."""
    for service in services:
        process = Process(cloud, service.name)
        if not process.alive():
            process.start(namespace.inside(cloud, service.command), service.environment)


def wait(cloud: Cloud, services: Sequence[Service]) -> None:
    """Wait until every port is open. Raises :class:`StackError` when a daemon ends or does not answer."""
    for service in services:
        end = time.monotonic() + PATIENCE
        while service.port and not _open(cloud.address, service.port):
            Process(cloud, service.name).check()
            if time.monotonic() > end:
                raise StackError(f"{service.name} does not answer at {cloud.address}:{service.port}")
            time.sleep(0.1)


def _open(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def base(cloud: Cloud) -> list[Service]:
    """Return the database and the message queue."""
    (rabbit,) = Path("/usr/lib/rabbitmq/lib").glob("*/sbin/rabbitmq-server")
    folder = cloud.folder / "rabbit"
    return [
        Service("mariadb", ["mariadbd", f"--defaults-file={cloud.etc}/my.cnf", "--user=root"]),
        Service(
            "rabbitmq",
            [str(rabbit)],
            environment={
                "HOME": str(folder),
                "RABBITMQ_NODENAME": "stack@localhost",
                "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
                "RABBITMQ_LOG_BASE": str(cloud.log / "rabbitmq"),
                "RABBITMQ_CONFIG_FILE": str(cloud.etc / "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
                "RABBITMQ_PID_FILE": str(folder / "pid"),
                "RABBITMQ_DIST_PORT": "25673",
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
                " -kernel inet_dist_use_interface {127,0,0,1}",
                "ERL_EPMD_PORT": "4370",
                "ERL_EPMD_ADDRESS": "127.0.0.1",
            },
        ),
    ]


def interfaces(cloud: Cloud) -> list[Service]:
    """Return what answers clients."""
    return [
        Service("keystone", *_wsgi(cloud, "keystone-wsgi-public", 5000), _configured(cloud, "keystone")),
        Service("placement", *_wsgi(cloud, "placement-api", 8778), {"OS_PLACEMENT_CONFIG_DIR": str(cloud.etc)}),
        Service("glance", _daemon(cloud, "glance-api", "glance"), 9292),
        Service("neutron", _daemon(cloud, "neutron-server", "neutron"), 9696, _plugins()),
        Service("nova-api", _daemon(cloud, "nova-api", "nova"), 8774),
        Service("cinder-api", _daemon(cloud, "cinder-api", "cinder"), 8776),
        Service("ooi", _daemon(cloud, "nova-api", "nova", "ooi"), 8787, {"PYTHONPATH": str(cloud.ooi)}),
    ]


def workers(cloud: Cloud) -> list[Service]:
    """Return what does the work; it needs accounts and endpoints."""
    return [
        Service("nova-conductor", _daemon(cloud, "nova-conductor", "nova")),
        Service("nova-scheduler", _daemon(cloud, "nova-scheduler", "nova")),
        Service("compute-fake", _daemon(cloud, "nova-compute", "nova", "compute-fake")),
        Service("libvirtd", ["libvirtd", "--config", f"{cloud.etc}/libvirtd.conf"]),
        Service("compute-real", _daemon(cloud, "nova-compute", "nova", "compute-real")),
        Service("agent-bridge", _daemon(cloud, "neutron-linuxbridge-agent", "neutron", "agent-bridge")),
        Service("agent-dhcp", _daemon(cloud, "neutron-dhcp-agent", "neutron", "agent-dhcp")),
        Service("agent-l3", _daemon(cloud, "neutron-l3-agent", "neutron", "agent-l3")),
        Service("cinder-scheduler", _daemon(cloud, "cinder-scheduler", "cinder")),
        Service("cinder-volume", _daemon(cloud, "cinder-volume", "cinder")),
    ]


def everything(cloud: Cloud) -> list[Service]:
    """Return all daemons."""
    return [*base(cloud), *interfaces(cloud), *workers(cloud)]


def _daemon(cloud: Cloud, program: str, *files: str) -> list[str]:
    return [program, *(word for file in files for word in ("--config-file", f"{cloud.etc}/{file}.conf"))]


def _wsgi(cloud: Cloud, program: str, port: int) -> tuple[list[str], int]:
    options = (
        f"--http-socket {cloud.address}:{port} --wsgi-file /usr/bin/{program} --master --need-app --processes 2"
        " --threads 4 --enable-threads --lazy-apps --buffer-size 65535 --die-on-term --thunder-lock --listen 100"
        " --disable-logging"
    )
    return ["uwsgi_python311", *options.split(), "--add-header", "Connection: close"], port


def _configured(cloud: Cloud, name: str) -> dict[str, str]:
    return {f"OS_{name.upper()}_CONFIG_FILES": f"{cloud.etc}/{name}.conf"}


def _plugins() -> dict[str, str]:
    return {"PYTHONPATH": str(namespace.HERE / "plugin")}
