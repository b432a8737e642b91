"""What comes over TLS comes from whom the certificate names: a real server with a certificate authority of its own."""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from im.sources.fetch import Web
from im.sources.files import Refused, Source

HOST = "types.example.org"
OTHER = "other.example.org"


@dataclass(frozen=True)
class Authority:
    """A certificate authority: what clients trust, and what servers show."""

    trusted: Path
    shown: Path

    def trusts(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.trusted))


def certificate(subject: str, issuer: str, key, signer, **more: x509.ExtensionType):
    today = dt.datetime.now(dt.UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    builder = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(today - dt.timedelta(days=1))
    builder = builder.not_valid_after(today + dt.timedelta(days=1))
    for extension in more.values():
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(signer, hashes.SHA256())


def pem(*items) -> bytes:
    parts = []
    for item in items:
        if isinstance(item, x509.Certificate):
            parts.append(item.public_bytes(serialization.Encoding.PEM))
        else:
            formats = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            parts.append(item.private_bytes(serialization.Encoding.PEM, *formats))
    return b"".join(parts)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    folder = tmp_path_factory.mktemp("ca")
    root, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    usage = x509.KeyUsage(*([False] * 5), key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)
    ca = certificate("CA", "CA", root, root, basic=x509.BasicConstraints(ca=True, path_length=0), usage=usage)
    names = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    (folder / "ca.pem").write_bytes(pem(ca))
    (folder / "server.pem").write_bytes(pem(certificate(HOST, "CA", server, root, names=names), server))
    return Authority(folder / "ca.pem", folder / "server.pem")


@pytest.fixture
def secure(site, authority):
    """The site of these tests, by TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.shown)
    site.socket = context.wrap_socket(site.socket, server_side=True)
    site.url = lambda path, host=HOST: f"https://{host}:{site.port}{path}"
    return site


@pytest.fixture
def web(tmp_path, authority):
    return Web((HOST,), tmp_path / "kept", look_up=lambda *_: ["127.0.0.1"], context=authority.trusts)


def problem(found: Source | Refused) -> str:
    assert isinstance(found, Refused), found
    return found.problem


def test_a_file_comes_from_whom_the_certificate_names(secure, web):
    secure.pages["/t"] = "types"
    assert web.find(secure.url("/t")).path.read_text() == "types"


def test_its_checksum_is_held_against_it(secure, web):
    secure.pages["/t"] = "types"
    right = hashlib.sha256(b"types").hexdigest()
    assert web.find(secure.url(f"/t#sha256={right}")).path.read_text() == "types"
    assert f"has the checksum {right}" in problem(web.find(secure.url(f"/t#sha256={'1' * 64}")))


def test_a_certificate_of_somebody_unknown_is_refused(secure, web, tmp_path):
    secure.pages["/t"] = "types"
    stranger = replace(web, context=ssl.create_default_context)
    assert "certificate verify failed" in problem(stranger.find(secure.url("/t")))
    assert secure.asked == []
    assert list((tmp_path / "kept").glob("*/t")) == []


def test_a_certificate_for_another_host_is_refused(secure, web):
    secure.pages["/t"] = "types"
    both = replace(web, hosts=(HOST, OTHER))
    assert "Hostname mismatch" in problem(both.find(secure.url("/t", OTHER)))
    assert secure.asked == []


def test_a_redirect_is_followed_to_allowed_hosts_only(secure, web):
    secure.pages |= {"/a": f"-> {secure.url('/t')}", "/t": "types", "/b": f"-> {secure.url('/t', OTHER)}"}
    assert web.find(secure.url("/a")).path.read_text() == "types"
    assert problem(web.find(secure.url("/b"))) == f"the settings do not allow the host {OTHER}"


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
def test_a_redirect_does_not_leave_tls(secure, web, scheme):
    secure.pages["/a"] = f"-> {scheme}://{HOST}:{secure.port}/t"
    assert problem(web.find(secure.url("/a"))) == f"'{secure.url('/a')}' redirects to what is not encrypted"


def test_a_server_that_speaks_no_tls_is_refused(site, web):
    site.pages["/t"] = "types"
    assert "cannot be fetched" in problem(web.find(f"https://{HOST}:{site.port}/t"))
    assert site.asked == []
