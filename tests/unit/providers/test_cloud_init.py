"""What a server is told at its first boot."""

import email

import pytest
import yaml

from im.errors import InputError
from im.providers.cloud_init import user_data
from im.providers.contract import make_identity

IDENTITY = make_identity("root", "ssh-ed25519 AAAAclient im-client", "ssh-ed25519 AAAAcluster im-cluster")


def parts(text):
    return {
        part.get_content_subtype(): part.get_payload(decode=True).decode()
        for part in email.message_from_string(text).get_payload()
    }


def test_without_more_it_is_one_cloud_config():
    text = user_data(IDENTITY)
    assert text.startswith("#cloud-config\n")
    assert isinstance(yaml.safe_load(text), dict)


def test_root_lets_in_the_keys_and_nobody_a_password():
    config = yaml.safe_load(user_data(IDENTITY))
    assert config["ssh_authorized_keys"] == list(IDENTITY.authorized_keys)
    assert config["disable_root"] is False
    assert config["ssh_pwauth"] is False


def test_the_host_key_is_ours_and_no_other_is_made():
    config = yaml.safe_load(user_data(IDENTITY))
    assert config["ssh_keys"] == {
        "ed25519_private": IDENTITY.host_key,
        "ed25519_public": IDENTITY.host_public_key,
    }
    assert config["ssh_deletekeys"] is True
    assert config["ssh_genkeytypes"] == []


def test_nothing_is_installed():
    assert not [key for key in yaml.safe_load(user_data(IDENTITY)) if key.startswith("package")]


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        ("#!/bin/sh\necho hello\n", "x-shellscript"),
        ("#include\nhttps://example.org/data\n", "x-include-url"),
        ("#cloud-boothook\necho early\n", "cloud-boothook"),
        ("## template: jinja\n#cloud-config\n{}\n", "jinja2"),
        ("#!/bin/sh\necho grüße\n", "x-shellscript"),
    ],
)
def test_a_users_own_stands_beside_ours(extra, kind):
    found = parts(user_data(IDENTITY, extra))
    assert found[kind] == extra
    assert yaml.safe_load(found["cloud-config"])["ssh_keys"]


def test_of_two_cloud_configs_ours_comes_last_and_so_wins():
    message = email.message_from_string(user_data(IDENTITY, "#cloud-config\ndisable_root: true\n"))
    first, last = (yaml.safe_load(part.get_payload(decode=True)) for part in message.get_payload())
    assert first == {"disable_root": True}
    assert last["disable_root"] is False


def test_the_same_input_gives_the_same_text():
    assert user_data(IDENTITY, "#!/bin/sh\n") == user_data(IDENTITY, "#!/bin/sh\n")


def test_what_does_not_say_what_it_is_is_refused():
    with pytest.raises(InputError, match="first line") as caught:
        user_data(IDENTITY, "echo hello")
    assert "#cloud-config" in caught.value.hint
