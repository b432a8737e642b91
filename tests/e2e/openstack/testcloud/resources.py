"""What is on the cloud when it is new: accounts, endpoints, flavors, images, networks, zones, quotas."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

from testcloud import database, image
from testcloud.settings import PASSWORD, Cloud
from testcloud.steps import StackError

Answer = TypeVar("Answer")

FLAVORS = (
    ("m1.nano", 1, 256, 2),
    ("m1.tiny", 1, 512, 2),
    ("m1.small", 1, 1024, 4),
    ("m1.medium", 2, 2048, 8),
    ("m1.large", 4, 4096, 16),
)
IMAGES = {
    "tiny-fake": {"min_disk": 1, "img_hv_type": "fake"},  # starts on the fake compute only
    "huge-fake": {"min_disk": 500, "min_ram": 65536, "img_hv_type": "fake"},  # larger than any flavor
}
ZONES = {"real": "real1", "fake": "fake1"}
SMALL = {"instances": 2, "cores": 3, "ram": 4096}
SMALL_NETWORK = {"floatingip": 0, "network": 2}


def connect(cloud: Cloud, project: str = "admin", user: str = "admin") -> Connection:
    """Return a connection that has a token already."""
    connection = Connection(
        auth={
            "auth_url": cloud.auth_url,
            "username": user,
            "password": PASSWORD,
            "project_name": project,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        region_name="RegionOne",
    )
    return _patiently("keystone", lambda: (connection.authorize(), connection)[1])


def identity(cloud: Cloud) -> None:
    """Make the services' account, two projects of users, and the catalog of endpoints."""
    keystone = connect(cloud).identity
    keystone.create_role(name="service")
    roles = {role.name: role for role in keystone.roles()}
    for project_name, user_name, granted in (
        ("service", "openstack", ("admin", "service")),
        ("demo", "demo", ("member", "reader")),
        ("small", "small", ("member", "reader")),
    ):
        project = keystone.create_project(name=project_name, domain_id="default")
        user = keystone.create_user(name=user_name, password=PASSWORD, domain_id="default")
        for role in granted:
            keystone.assign_project_role_to_user(project, user, roles[role])
        if project_name != "service":
            admin = keystone.find_user("admin")
            keystone.assign_project_role_to_user(project, admin, roles["admin"])
    for name, kind, url in _endpoints(cloud):
        service = keystone.create_service(name=name, type=kind)
        for interface in ("public", "internal"):
            keystone.create_endpoint(service_id=service.id, interface=interface, url=url, region_id="RegionOne")


def resources(cloud: Cloud) -> None:
    """Make what a user chooses from, and wait for the computes."""
    admin = connect(cloud)
    for name, cpus, memory, disk in FLAVORS:
        admin.compute.create_flavor(name=name, vcpus=cpus, ram=memory, disk=disk)
    for name, properties in IMAGES.items():
        admin.create_image(name, data=bytes(65536), disk_format="raw", visibility="public", wait=True, **properties)
    image.upload(admin, cloud.image)
    _networks(cloud, admin)
    small = admin.identity.find_project("small").id
    admin.compute.put(f"/os-quota-sets/{small}", json={"quota_set": SMALL})
    admin.network.put(f"/quotas/{small}", json={"quota": SMALL_NETWORK})
    computes_up(admin)
    database.manage(cloud, "nova-manage", "nova", "cell_v2", "discover_hosts")
    for zone, host in ZONES.items():
        aggregate = admin.compute.create_aggregate(name=zone, availability_zone=zone)
        admin.compute.add_host_to_aggregate(aggregate, host)


def computes_up(admin: Connection) -> None:
    """Wait until both computes report."""

    def look() -> None:
        up = {one.host for one in admin.compute.services() if one.binary == "nova-compute" and one.state == "up"}
        if missing := {*ZONES.values()} - up:
            raise StackError(f"computes not up: {', '.join(sorted(missing))}")

    _patiently("nova", look)


def agents_up(admin: Connection) -> None:
    """Wait until the three agents of neutron report."""

    def look() -> None:
        up = {one.binary for one in admin.network.agents() if one.is_alive}
        if missing := {"neutron-linuxbridge-agent", "neutron-dhcp-agent", "neutron-l3-agent"} - up:
            raise StackError(f"agents not up: {', '.join(sorted(missing))}")

    _patiently("neutron", look)


def _networks(cloud: Cloud, admin: Connection) -> None:
    flat = {"provider_network_type": "flat", "provider_physical_network": "public"}
    public = admin.network.create_network(name="public", is_router_external=True, **flat)
    admin.network.create_subnet(
        name="public-subnet",
        network_id=public.id,
        ip_version=4,
        cidr=f"{cloud.subnet}.0/24",
        gateway_ip=f"{cloud.subnet}.1",
        is_dhcp_enabled=False,
        allocation_pools=[{"start": f"{cloud.subnet}.100", "end": f"{cloud.subnet}.200"}],
    )
    demo = connect(cloud, project="demo").network
    private = demo.create_network(name="private")
    subnet = demo.create_subnet(name="private-subnet", network_id=private.id, ip_version=4, cidr="10.11.0.0/24")
    router = demo.create_router(name="router", external_gateway_info={"network_id": public.id})
    demo.add_interface_to_router(router, subnet_id=subnet.id)


def _endpoints(cloud: Cloud) -> tuple[tuple[str, str, str], ...]:
    at = f"http://{cloud.address}"
    return (
        ("nova", "compute", f"{at}:8774/v2.1"),
        ("glance", "image", f"{at}:9292"),
        ("neutron", "network", f"{at}:9696"),
        ("placement", "placement", f"{at}:8778"),
        ("cinderv3", "volumev3", f"{at}:8776/v3/%(project_id)s"),
        ("cinder", "block-storage", f"{at}:8776/v3/%(project_id)s"),
        ("ooi", "occi", f"{at}:8787/occi1.2"),
    )


def _patiently(what: str, ask: Callable[[], Answer]) -> Answer:
    """Ask again until it works, for two minutes."""
    end = time.monotonic() + 120
    while True:
        try:
            return ask()
        except (StackError, SDKException, ClientException) as error:
            if time.monotonic() > end:
                raise StackError(f"{what}: {error}") from error
            time.sleep(0.5)
