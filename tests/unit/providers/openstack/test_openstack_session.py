"""Credentials are found where OpenStack users have them, and what is wrong with them is said in words."""

import datetime as dt
import ipaddress
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from im.config import Settings
from im.errors import InputError, NotPermitted, ProviderError, ProviderUnavailable, UnknownName
from im.providers.openstack import OpenStackProvider
from im.providers.openstack.session import Login, cloud_name, known_clouds

AUTH = """
    auth:
      {{auth_url: '{url}/v3', username: u, password: hunter2, project_name: p,
        user_domain_name: d, project_domain_name: d}}
"""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    for name in ("OS_CLOUD", "OS_AUTH_URL", "OS_CLIENT_CONFIG_FILE", "OS_CACERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clouds(monkeypatch, tmp_path):
    def write(text):
        (tmp_path / "given.yaml").write_text(text)
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "given.yaml"))

    return write


def site(clouds, url):
    clouds("clouds:\n  site:" + AUTH.format(url=url))
    return OpenStackProvider(Settings(), "openstack:site")


def test_a_cloud_has_one_name_however_it_is_called(monkeypatch):
    assert cloud_name("openstack:site") == "openstack:site"
    assert cloud_name("openstack") == "openstack"
    monkeypatch.setenv("OS_CLOUD", "site")
    assert cloud_name("openstack") == "openstack:site"


def test_the_clouds_of_the_user_are_known(clouds):
    clouds("clouds: {b: {}, a: {}}")
    assert known_clouds() == ("a", "b")


@pytest.mark.parametrize("text", ["clouds: [", "", "clouds: nonsense: x"])
def test_a_file_that_cannot_be_read_has_no_clouds(clouds, text):
    clouds(text)
    assert known_clouds() == ()


def test_an_unknown_cloud_is_answered_with_those_that_there_are(clouds):
    clouds("clouds: {mine: {}}")
    with pytest.raises(UnknownName, match="has no cloud 'yours'") as caught:
        Login("openstack:yours").adapter("compute")
    assert "mine" in caught.value.hint


def test_without_anything_set_it_is_said_what_to_set():
    with pytest.raises(InputError, match="OS_AUTH_URL"):
        Login("openstack").adapter("compute")


def test_a_broken_file_is_said_to_be_broken(clouds):
    clouds("clouds: [")
    with pytest.raises(InputError, match="cannot be read") as caught:
        Login("openstack:site").adapter("compute")
    assert "given.yaml" in caught.value.where


def test_what_is_missing_is_named(clouds):
    clouds("clouds:\n  site:\n    auth: {username: u, password: hunter2}")
    with pytest.raises(InputError, match="auth_url") as caught:
        Login("openstack:site").adapter("compute")
    assert "hunter2" not in str(caught.value)


def test_a_wrong_password_is_said_without_the_password(clouds, toy):
    version = {"version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{toy.url}/v3/"}]}}
    refused = {"error": {"code": 401, "message": "The request you have made requires authentication."}}
    toy.answer = lambda method, *_: (
        (200, version) if method == "GET" else (401, refused, {"x-openstack-request-id": "req-7"})
    )
    provider = site(clouds, toy.url)
    with pytest.raises(NotPermitted, match="requires authentication") as caught:
        provider.catalog()
    assert "req-7" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    (check,) = provider.check()
    assert (check.name, check.status) == ("credential", "failed")
    assert check.hint


def test_a_login_whose_answer_is_lost_is_repeated(clouds, toy):
    version = {"version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{toy.url}/v3/"}]}}
    times = {"issued_at": "2030-01-01T00:00:00Z", "expires_at": "2099-01-01T00:00:00Z"}
    token = {"methods": ["password"], "user": {"id": "u", "name": "u"}, "catalog": [], **times}
    logins = [None, (201, {"token": {**token, "project": {"id": "p"}}}, {"X-Subject-Token": "t"})]
    toy.answer = lambda method, *_: (200, version) if method == "GET" else logins.pop(0)
    provider = site(clouds, toy.url)
    provider.api._pause = 0.001
    with pytest.raises(ProviderError, match="offers no service"):  # this one has only a keystone
        provider.catalog()
    assert logins == []


def test_a_token_that_keystone_does_not_know_is_refused_like_a_wrong_password(clouds, toy):
    version = {"version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{toy.url}/v3/"}]}}
    refused = {"error": {"code": 404, "message": "Could not recognize Fernet token"}}
    toy.answer = lambda method, *_: (200, version) if method == "GET" else (404, refused)
    with pytest.raises(NotPermitted, match="Fernet token") as caught:
        site(clouds, toy.url).catalog()
    assert "expired" in caught.value.hint


def test_nobody_at_the_address_is_said(clouds):
    provider = site(clouds, "http://127.0.0.1:9")
    provider.api._pause = 0.001
    with pytest.raises(ProviderError):
        provider.list("0a1b2c3d")
    assert provider.check()[0].status == "failed"


def test_a_certificate_that_nobody_vouches_for_is_refused_and_the_way_out_told(clouds, tmp_path):
    server = https_server(tmp_path)
    try:
        provider = site(clouds, f"https://127.0.0.1:{server.server_port}")
        provider.api._pause = 0.001
        with pytest.raises(ProviderError, match="certificate") as caught:
            provider.list("0a1b2c3d")
        assert "cacert" in caught.value.hint
        assert not isinstance(caught.value, ProviderUnavailable)
    finally:
        server.shutdown()
        server.server_close()


def https_server(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1)
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.002}, daemon=True).start()
    return server
