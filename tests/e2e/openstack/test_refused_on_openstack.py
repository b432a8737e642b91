"""What cannot work on this cloud is refused in words, before anything is made."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.e2e_openstack


def refused(ran, *words: str, status: int = 1) -> None:
    """Check that a command ended with this status and said all these words."""
    assert ran.status == status, ran
    missing = [word for word in words if word not in ran.text]
    assert not missing, ran.text


def test_a_wrong_password(user, unchanged):
    cloud = user.cloud("wrong", {"password": "not-the-one"})
    ran = user.deploy("pair.yaml", cloud=cloud)
    refused(ran, "wrong", "password")
    assert "not-the-one" not in ran.text


def test_an_expired_token(user, project, unchanged):
    token = project.own.session.get_token()
    project.admin.identity.delete("/auth/tokens", headers={"X-Subject-Token": token})
    project.own.session.invalidate()
    gone = {"username": "", "password": "", "user_domain_name": "", "token": token}
    cloud = user.cloud("expired", gone, auth_type="v3token")
    ran = user.deploy("pair.yaml", cloud=cloud)
    refused(ran, "token")
    assert token not in ran.text


def test_an_unknown_cloud(user, unchanged):
    refused(user.deploy("pair.yaml", cloud="nowhere"), "nowhere", "mine", status=2)


def test_no_such_image(user, unchanged):
    refused(user.deploy("pair.yaml", "image=plan9"), "plan9", "tiny-fake", status=2)


def test_no_such_flavor(user, unchanged):
    refused(user.deploy("pair.yaml", "flavor=m1.tyni"), "m1.tyni", "m1.tiny", status=2)


def test_no_such_network(user, unchanged):
    refused(user.deploy("pair.yaml", "network=pubic"), "pubic", "public", status=2)


def test_a_flavor_too_small_for_the_image(user, unchanged):
    refused(user.deploy("pair.yaml", "image=huge-fake"), "64 GiB of memory", "500 GiB of disk", "m1.large")


def test_a_gpu_where_no_flavor_has_one(user, unchanged):
    refused(user.deploy("pair.yaml", "gpus=1"), "worker", "1 GPU", "m1.large")


def test_a_range_that_overlaps_with_the_way_out_is_said_by_neutron(user, project, unchanged):
    """Neutron shows nobody the ranges of an external network; what was made before it refuses, ``delete`` removes."""
    host = urlsplit(project.account["auth_url"]).hostname
    refused(user.deploy("pair.yaml", f"cidr={host.rpartition('.')[0]}.0/25"), "overlap", "[req-", "another cidr")
    assert user.run("delete", "tier", "--yes").status == 0


def test_two_networks_with_overlapping_ranges(user, unchanged):
    refused(
        user.deploy("two_networks.yaml", "one=10.30.0.0/16", "other=10.30.8.0/24"), "overlaps", "10.30.8.0/24", status=2
    )


def test_a_quota_too_small_is_said_with_the_numbers(user, allowed, unchanged):
    allowed(instances=3, cores=4)
    refused(user.deploy("pair.yaml", "workers=6"), "quota", "7", "3", "4")


def test_no_floating_address_left(user, allowed, unchanged):
    allowed(floatingip=0)
    refused(user.deploy("pair.yaml"), "quota", "public address", "0")


# -- certificates ------------------------------------------------------------------------------------------------


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a key and a certificate that it signed itself, for 127.0.0.1."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test cloud")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    no_password = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password))
    return pem, private


class Front(BaseHTTPRequestHandler):
    """Hands every request on to Keystone."""

    keystone: str

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = HTTPConnection(self.keystone, timeout=60)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for header in ("Content-Type", "X-Subject-Token"):
            if value := answer.getheader(header):
                self.send_header(header, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = forward  # noqa: N815 -- the library's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def tls_front(keystone: str, pem: Path, private: Path) -> Iterator[str]:
    """Give the URL of Keystone behind a certificate."""
    handler = type("KeystoneFront", (Front,), {"keystone": keystone})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, private)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}/v3"
        server.shutdown()


def test_a_self_signed_certificate_needs_its_bundle(user, project, unchanged, tmp_path):
    pem, private = certificate(tmp_path)
    with tls_front(urlsplit(project.account["auth_url"]).netloc, pem, private) as url:
        refused(user.deploy("pair.yaml", cloud=user.cloud("signed", {"auth_url": url})), "certificate", "cacert")
        known = user.cloud("known", {"auth_url": url}, cacert=str(pem))
        checked = user.run("providers", "check", "--cloud", known)
        assert checked.status == 0, checked
