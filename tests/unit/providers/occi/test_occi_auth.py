"""Every way of logging in, against a Keystone and a site on loopback; secrets go nowhere else."""

from __future__ import annotations

import json
import ssl
import threading
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from loopback import Answer, Replay, Request

from im.config import OcciSite
from im.errors import InputError, NotPermitted, ProviderError
from im.providers.occi.auth import keystone_of, scope_of, secret_of, site_of_address, v3_of
from im.providers.occi.model import COMPUTE, Resource

SECRET = "s3cr3t-never-shown"
UNAUTHORIZED = Answer(401, [("Content-Type", "text/plain")], b"Authentication required")


class Keystone:
    """Answers like Keystone's version 3: a token for the right secret, a new one each time."""

    def __init__(self) -> None:
        self.issued: list[str] = []
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request)
        if request.path == "/v3/auth/tokens" and request.method == "POST":
            return self._token() if self._is_right(json.loads(request.body)) else UNAUTHORIZED
        if "/OS-FEDERATION/" in request.path:
            bearer = request.headers.get("authorization", "")
            return self._token() if bearer in {"", f"Bearer {SECRET}"} else UNAUTHORIZED
        return Answer(404)

    def _is_right(self, said: dict) -> bool:
        identity = said["auth"]["identity"]
        match identity["methods"]:
            case ["password"]:
                return identity["password"]["user"]["password"] == SECRET
            case ["application_credential"]:
                return identity["application_credential"]["secret"] == SECRET
            case ["token"]:
                return identity["token"]["id"] in self.issued
            case _:
                return False

    def _token(self) -> Answer:
        self.issued.append(f"token-{len(self.issued) + 1}")
        end = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        token = {"methods": ["password"], "expires_at": end, "issued_at": end, "user": {"id": "u", "name": "u"}}
        headers = [("X-Subject-Token", self.issued[-1]), ("Content-Type", "application/json")]
        return Answer(201, headers, json.dumps({"token": token}).encode())


@pytest.fixture
def keystone(serve) -> Keystone:
    keystone = Keystone()
    keystone.url = serve(keystone).origin
    return keystone


@pytest.fixture
def guarded(site, keystone, monkeypatch):
    """Return the replayed site behind a login: tokens of that Keystone open it, as long as they are not revoked."""
    monkeypatch.setenv("SITE_SECRET", SECRET)
    site.valid = lambda token: token in keystone.issued
    replay = site.replay

    def answer(request: Request) -> Answer:
        if site.valid(request.headers.get("x-auth-token", "")):
            return replay(request)
        challenge = ("WWW-Authenticate", f"Keystone uri='{keystone.url}/v2.0'")
        return Answer(401, [challenge, ("Content-Type", "text/plain")], b"who are you?")

    site.server.answer = answer
    return site


WAYS = {
    "password": {"auth": "password", "username": "ada", "project": "vo"},
    "application credential": {"auth": "application-credential", "credential": "0123"},
    "oidc": {"auth": "oidc", "identity_provider": "egi.eu", "project": "vo"},
}


@pytest.mark.parametrize("way", WAYS)
def test_the_keystone_that_the_site_names_gives_a_token(guarded, keystone, way):
    client = guarded.client(secret_env="SITE_SECRET", **WAYS[way])
    assert client.site.has(COMPUTE)
    assert guarded.server.seen[-1].headers["x-auth-token"] == keystone.issued[-1]
    assert SECRET not in repr(guarded.server.seen)


def test_a_password_is_asked_for_with_its_domains_and_project(guarded, keystone):
    assert guarded.client(secret_env="SITE_SECRET", user_domain="egi", **WAYS["password"]).site
    said = json.loads(keystone.asked[-1].body)["auth"]
    assert said["identity"]["password"]["user"]["domain"] == {"name": "egi"}
    assert said["scope"] == {"project": {"name": "vo", "domain": {"name": "Default"}}}


def test_federation_asks_where_the_settings_say_and_then_for_the_project(guarded, keystone):
    changes = {"protocol": "oidc", "federation_method": "POST", "identity_provider": "idp"}
    assert guarded.client(secret_env="SITE_SECRET", **WAYS["oidc"] | changes).site
    assert [request.line for request in keystone.asked] == [
        "POST /v3/OS-FEDERATION/identity_providers/idp/protocols/oidc/auth",
        "POST /v3/auth/tokens",
    ]
    assert keystone.asked[0].headers["authorization"] == f"Bearer {SECRET}"


def test_a_federation_path_of_ones_own_is_used(guarded, keystone):
    path = "/auth/OS-FEDERATION/websso/{protocol}"
    assert guarded.client(secret_env="SITE_SECRET", federation_path=path, **WAYS["oidc"]).site
    assert keystone.asked[0].path == "/v3/auth/OS-FEDERATION/websso/openid"


def test_a_keystone_in_the_settings_is_not_looked_for(guarded, keystone):
    assert guarded.client(secret_env="SITE_SECRET", auth_url=keystone.url, **WAYS["password"]).site
    assert guarded.server.lines() == ["GET /occi1.2/-/"]


def test_a_wrong_password_is_told_without_it(guarded, monkeypatch):
    monkeypatch.setenv("SITE_SECRET", "wr0ng-w0rd")
    with pytest.raises(NotPermitted, match="does not accept the login") as caught:
        guarded.client(secret_env="SITE_SECRET", **WAYS["password"]).discover()
    assert "wr0ng-w0rd" not in f"{caught.value} {caught.value.__cause__!r}"
    assert "auth" in caught.value.hint


def test_basic_authentication_goes_with_every_request(site, monkeypatch):
    monkeypatch.setenv("SITE_SECRET", SECRET)
    assert site.client(auth="basic", username="ada", secret_env="SITE_SECRET").site
    expected = b64encode(f"ada:{SECRET}".encode()).decode()
    assert site.server.seen[-1].headers["authorization"] == f"Basic {expected}"


def test_a_plain_token_goes_with_every_request(site):
    assert site.client(auth="token").site
    assert site.server.seen[-1].headers["x-auth-token"] == "token-one"


def test_without_a_login_nothing_goes_along(site):
    assert site.client(auth="none").site
    assert {"x-auth-token", "authorization"} & site.server.seen[-1].headers.keys() == set()


# tokens that end


def test_a_token_that_expires_in_mid_deployment_is_renewed_once(guarded, keystone):
    client = guarded.client(secret_env="SITE_SECRET", **WAYS["password"])
    assert client.site
    revoked = keystone.issued[-1]
    guarded.valid = lambda token: token in keystone.issued and token != revoked
    guarded.answer(
        "POST /compute/", Answer(200, [("Content-Type", "text/plain")], b"X-OCCI-Location: /occi1.2/compute/7")
    )
    assert client.create(Resource(COMPUTE)).id == "7"
    assert len(keystone.issued) == 2


def test_many_at_once_renew_it_once(guarded, keystone):
    client = guarded.client(secret_env="SITE_SECRET", **WAYS["password"])
    assert client.site
    revoked = keystone.issued[-1]
    guarded.valid = lambda token: token in keystone.issued and token != revoked
    guarded.answer("GET /compute/1", "ooi-show")
    assert len(client.show_all([f"{guarded.url}/compute/1"] * 8, COMPUTE)) == 8
    assert len(keystone.issued) == 2


def test_a_site_that_accepts_no_token_is_not_asked_for_ever(guarded, keystone):
    guarded.valid = lambda token: False
    with pytest.raises(NotPermitted, match="who are you"):
        guarded.client(secret_env="SITE_SECRET", **WAYS["password"]).discover()
    assert len(keystone.issued) == 2


def test_a_token_in_a_file_is_read_again_when_it_is_refused(guarded, keystone, tmp_path):
    file = tmp_path / "token"
    file.write_text("old\n")
    guarded.valid = lambda token: token == "new"
    client = guarded.client(auth="token", secret_file=file)
    with pytest.raises(NotPermitted):
        client.discover()
    file.write_text("new\n")
    assert client.discover().has(COMPUTE)


# who gets a secret


@pytest.mark.parametrize(
    ("challenge", "found"),
    [
        ("Keystone uri='https://k.test:5000/'", "https://k.test:5000/v3"),
        ('Keystone uri="https://k.test:5000/v3"', "https://k.test:5000/v3"),
        ("Basic realm='x', keystone URI = 'https://k.test/identity/v2.0'", "https://k.test/identity/v3"),
        ("snf-auth uri='https://astakos.test/'", "https://astakos.test/v3"),
    ],
)
def test_the_keystone_is_read_from_the_challenge(challenge, found):
    assert keystone_of(challenge, "https://site.test/") == found


@pytest.mark.parametrize("challenge", ["", "Basic realm='x'", "Keystone", "Keystone uri=''", "Keystone uri=https://x"])
def test_a_challenge_without_a_keystone_is_said_with_what_to_do(challenge):
    with pytest.raises(ProviderError, match="does not say which Keystone") as caught:
        keystone_of(challenge, "https://site.test/")
    assert "auth_url" in caught.value.hint


def test_a_password_never_goes_from_an_encrypted_site_to_a_plain_keystone():
    with pytest.raises(NotPermitted, match="no password goes there"):
        keystone_of("Keystone uri='http://k.test/'", "https://site.test/")


def test_a_keystone_that_redirects_gets_no_second_chance(guarded, keystone, serve):
    other = serve(Replay())
    elsewhere = serve(lambda request: Answer(307, [("Location", f"{other.origin}{request.path}")]))
    with pytest.raises(NotPermitted):
        guarded.client(secret_env="SITE_SECRET", auth_url=elsewhere.origin, **WAYS["password"]).discover()
    assert other.seen == []


def test_a_site_that_lets_everybody_in_names_no_keystone(site, monkeypatch):
    monkeypatch.setenv("SITE_SECRET", SECRET)
    with pytest.raises(ProviderError, match="names no Keystone"):
        site.client(secret_env="SITE_SECRET", **WAYS["password"]).discover()


@pytest.mark.parametrize("auth", ["password", "application-credential", "oidc", "basic", "token"])
def test_a_missing_secret_is_said_with_the_variable_to_set(auth):
    with pytest.raises(NotPermitted, match="is not set") as caught:
        secret_of(OcciSite(endpoint="https://x", auth=auth), {})
    assert caught.value.hint.startswith("export OS_")


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(NotPermitted, match="cannot be read") as caught:
        secret_of(OcciSite(endpoint="https://x", secret_file=tmp_path / "none"), {})
    assert str(tmp_path) in caught.value.where


@pytest.mark.parametrize(("auth", "needed"), [("password", "username"), ("application-credential", "credential")])
def test_what_a_login_needs_is_named(guarded, auth, needed):
    with pytest.raises(InputError, match=needed):
        guarded.client(auth=auth, secret_env="SITE_SECRET").discover()


def test_a_project_is_a_name_or_an_id():
    assert scope_of(OcciSite(endpoint="x")) == {}
    assert scope_of(OcciSite(endpoint="x", project="a" * 32)) == {"project_id": "a" * 32}
    assert scope_of(OcciSite(endpoint="x", project="vo"))["project_name"] == "vo"


def test_versions_of_keystone_are_all_taken_for_the_third():
    assert {v3_of(f"https://k/{end}") for end in ("", "v3", "v3/", "v2.0", "v2.0/")} == {"https://k/v3"}


# a site without settings


@pytest.mark.parametrize(
    ("environ", "auth"),
    [
        ({"OS_USERNAME": "ada"}, "password"),
        ({"OS_APPLICATION_CREDENTIAL_ID": "1", "OS_USERNAME": "ada"}, "application-credential"),
        ({"OS_ACCESS_TOKEN": "x"}, "oidc"),
        ({"OS_TOKEN": "x"}, "token"),
        ({"X509_USER_PROXY": "/tmp/x509up_u1"}, "x509"),
        ({}, "none"),
    ],
)
def test_an_address_takes_its_login_from_openstacks_variables(environ, auth):
    site = site_of_address("https://site.test/occi1.1", environ)
    assert (site.endpoint, site.auth) == ("https://site.test/occi1.1", auth)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(InputError, match="no address"):
        site_of_address("ftp://site.test", {})


# client certificates


@pytest.fixture
def certificates(tmp_path) -> dict[str, Path]:
    """Return an authority of our own, and a server's and a client's certificate by it."""
    from certificates import make_authority

    return make_authority(tmp_path)


def test_a_client_certificate_gets_the_federations_token(guarded, keystone, certificates, serve):
    server = serve(keystone)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server"], certificates["server_key"])
    context.load_verify_locations(certificates["ca"])
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    client = guarded.client(
        auth="x509",
        auth_url=server.origin.replace("http:", "https:"),
        certificate=certificates["client"],
        key=certificates["client_key"],
        ca=certificates["ca"],
        project="vo",
    )
    assert client.site.has(COMPUTE)
    assert keystone.asked[0].line == "GET /v3/OS-FEDERATION/identity_providers/egi.eu/protocols/mapped/auth"
    assert "authorization" not in keystone.asked[0].headers


def test_a_certificate_that_nobody_signed_is_not_trusted(guarded, keystone, certificates, serve, monkeypatch):
    server = serve(keystone)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server"], certificates["server_key"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    changes = {"auth_url": server.origin.replace("http:", "https:"), "secret_env": "SITE_SECRET"}
    with pytest.raises(NotPermitted, match="cannot be trusted") as caught:
        guarded.client(**WAYS["password"] | changes).discover()
    assert "ca" in caught.value.hint
    assert keystone.asked == []


def test_logging_in_is_done_once_for_many_threads(guarded, keystone):
    client = guarded.client(secret_env="SITE_SECRET", **WAYS["password"])
    threads = [threading.Thread(target=client.discover) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keystone.issued) == 1
