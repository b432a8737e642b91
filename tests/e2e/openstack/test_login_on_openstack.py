"""Every way to log in that a keystone without an identity provider beside it can show."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest
from openstack.connection import Connection

pytestmark = pytest.mark.e2e_openstack


def usable(checked) -> bool:
    """Whether ``providers check`` found nothing that has failed."""
    return checked.status == 0 and "good for project" in checked.text


def test_an_application_credential_is_all_that_it_takes(user, project, unchanged):
    with Connection(auth=dict(project.account), region_name="RegionOne") as own:
        me, name = own.current_user_id, f"im-{secrets.token_hex(3)}"
        made = own.identity.create_application_credential(me, name)
        auth = {key: "" for key in project.account if key != "auth_url"}
        auth |= {"application_credential_id": made.id, "application_credential_secret": made.secret}
        cloud = user.cloud("application", auth, auth_type="v3applicationcredential")
        try:
            assert usable(user.run("providers", "check", "--cloud", cloud))
        finally:
            own.identity.delete_application_credential(me, made)
        refused = user.run("providers", "check", "--cloud", cloud)
        assert refused.status == 1, refused
        assert made.secret not in refused.text


def test_a_token_is_enough(user, project):
    with Connection(auth=dict(project.account), region_name="RegionOne") as own:
        auth = {"username": "", "password": "", "user_domain_name": "", "token": own.session.get_token()}
        assert usable(user.run("providers", "check", "--cloud", user.cloud("token", auth, auth_type="v3token")))


def test_the_variables_of_an_openrc_file_are_enough(user, project):
    variables = {f"OS_{name.upper()}": value for name, value in project.account.items()}
    variables |= {"OS_CLIENT_CONFIG_FILE": str(user.home / "no-clouds.yaml"), "OS_REGION_NAME": "RegionOne"}
    assert usable(replace(user, variables=variables).run("providers", "check", "--cloud", "openstack"))
