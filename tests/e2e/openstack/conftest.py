"""A project of its own for each run of the tier, so that what is there before and after a test can be compared."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import openstack
import pytest
import yaml
from faulty import Behaviour, proxy
from openstack.connection import Connection
from people import Project, User

ADMIN = "stack-admin"


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    """Give a new project; it must be empty at the end."""
    admin = openstack.connect(cloud=ADMIN)
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


def _account(name: str) -> dict[str, str]:
    file = Path(os.environ["OS_CLIENT_CONFIG_FILE"])
    return dict(yaml.safe_load(file.read_text())["clouds"][name]["auth"])


@pytest.fixture
def user(project, tmp_path) -> User:
    """Give a user with a home of their own."""
    home = tmp_path / "home"
    home.mkdir()
    somebody = User(home, tmp_path / "clouds.yaml", project.account)
    somebody.cloud("mine")
    return somebody


@pytest.fixture
def through(user, project) -> Iterator[Callable[[str, Behaviour], str]]:
    """Give what adds a cloud that goes through a proxy of some behaviour."""
    with ExitStack() as opened:

        def add(name: str, behaviour: Behaviour) -> str:
            front = opened.enter_context(proxy(project.account["auth_url"], project.id, behaviour))
            return user.cloud(name, {"auth_url": front.auth_url}, **front.overrides)

        yield add


@pytest.fixture
def allowed(project) -> Iterator[Callable[..., None]]:
    """Give what sets the project's quotas until the end of the test."""
    yield project.allow
    project.as_before()


@pytest.fixture
def unchanged(project) -> Iterator[Callable[[], None]]:
    """Check at the end, and when called, that the project has what it had before."""
    before = project.listing()

    def check() -> None:
        assert project.listing() == before

    yield check
    check()
