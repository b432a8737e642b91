"""What is on the web is fetched from allowed hosts only, kept, and checked."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from im.errors import TemplateError
from im.sources.fetch import MAX_AGE, Web
from im.sources.files import MAX_BYTES, Refused
from im.sources.load import Reading, load

VERSION = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
TYPES = f"{VERSION}imports: [ more.yaml ]\n"
MORE = (
    f"{VERSION}node_types:\n  my.Server:\n    derived_from: tosca.nodes.Compute\n"
    "    interfaces: { Standard: { configure: plays/setup.yml } }\n"
)
USES = "topology_template:\n  node_templates:\n    a: { type: my.Server }\n"


def problem(found):
    assert isinstance(found, Refused), found
    return found.problem


def test_what_is_fetched_is_kept_and_not_asked_for_again(site, web):
    site.pages["/t/types.yaml"] = TYPES
    first, second = (web.find(site.url("/t/types.yaml")) for _ in range(2))
    assert first == second
    assert (first.path.read_text(), first.name, first.path.name) == (TYPES, site.url("/t/types.yaml"), "types.yaml")
    assert site.asked == ["/t/types.yaml"]


def test_an_old_copy_is_fetched_anew_and_used_where_that_fails(site, web):
    site.pages["/t"] = "one"
    kept = web.find(site.url("/t")).path
    long_ago = time.time() - MAX_AGE - 60
    os.utime(kept.parent / ".fetched", (long_ago, long_ago))
    site.pages["/t"] = "two"
    assert web.find(site.url("/t")).path.read_text() == "two"
    os.utime(kept.parent / ".fetched", (long_ago, long_ago))
    site.pages["/t"] = 500
    assert web.find(site.url("/t")).path.read_text() == "two"


def test_a_copy_that_was_changed_is_fetched_anew(site, web):
    site.pages["/t"] = "one"
    web.find(site.url("/t")).path.write_text("forged")
    assert web.find(site.url("/t")).path.read_text() == "one"


def test_a_checksum_is_held_against_what_comes(site, web):
    site.pages["/t"] = "one"
    right = hashlib.sha256(b"one").hexdigest()
    assert web.find(site.url(f"/t#sha256={right}")).path.read_text() == "one"
    assert problem(web.find(site.url(f"/t#sha256={'0' * 64}"))).endswith(f"has the checksum {right}, not {'0' * 64}")


def test_with_its_checksum_a_copy_is_good_for_ever(site, web):
    site.pages["/t"] = "one"
    address = site.url(f"/t#sha256={hashlib.sha256(b'one').hexdigest()}")
    kept = web.find(address).path
    os.utime(kept.parent / ".fetched", (0, 0))
    assert web.find(address).path.read_text() == "one"
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("hosts", "address", "said"),
    [
        ((), "https://example.org/t", "is not fetched from the network"),
        (("other.org",), "https://example.org/t", "the settings do not allow the host example.org"),
        (("*.example.org",), "https://example.org/t", "the settings do not allow the host example.org"),
        (("*.example.org",), "https://badexample.org/t", "the settings do not allow the host badexample.org"),
        (("example.org",), "https://user@example.org/t", "is no address that im fetches"),
        (("example.org",), "ftp://example.org/t", "is no address that im fetches"),
        (("*",), "http://example.org/t", "is not encrypted"),
        (("*",), "https://[x/t", "is no address"),
        ((), "https://[x/t", "is no address"),
    ],
)
def test_what_the_settings_do_not_allow_is_never_asked_for(tmp_path, hosts, address, said):
    web = Web(hosts, tmp_path, look_up=lambda *_: pytest.fail("looked up"))
    assert said in problem(web.find(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "100.64.0.1"])
def test_a_name_that_nobody_allowed_cannot_stand_for_a_private_address(tmp_path, address):
    web = Web(("*",), tmp_path, look_up=lambda *_: [address])
    assert (
        problem(web.find("https://innocent.example.org/t")) == "the host innocent.example.org is in a private network"
    )


def test_a_redirect_cannot_lead_where_the_settings_do_not(site, web):
    site.pages["/t"] = "-> http://169.254.169.254/latest/meta-data"
    assert problem(web.find(site.url("/t"))) == "the settings do not allow the host 169.254.169.254"
    site.pages["/v"] = "-> http://[x"
    assert "is no address" in problem(web.find(site.url("/v")))
    site.pages["/u"] = "-> file:///etc/passwd"
    assert "is no address that im fetches" in problem(web.find(site.url("/u")))


def test_a_redirect_within_the_allowed_hosts_is_followed_but_not_for_ever(site, web):
    site.pages |= {"/a": "-> /b", "/b": "here", "/loop": "-> /loop"}
    assert web.find(site.url("/a")).path.read_text() == "here"
    assert "redirects too often" in problem(web.find(site.url("/loop")))


def test_something_too_big_is_not_kept(site, web, tmp_path):
    site.pages["/t"] = b"x" * (MAX_BYTES + 1)
    assert "has more than 2,000,000 bytes" in problem(web.find(site.url("/t")))
    assert list((tmp_path / "kept").glob("*/*")) == []


def test_what_is_not_there_is_said(site, web):
    assert problem(web.find(site.url("/none"))).endswith("/none' answers 404 Not Found")
    closed = Web(("127.0.0.1",), web.folder).find("http://127.0.0.1:1/t")
    assert problem(closed) == "'http://127.0.0.1:1/t' cannot be fetched: Connection refused"


@pytest.fixture
def template(tmp_path):
    def write(address):
        path = tmp_path / "t.yaml"
        path.write_text(f"{VERSION}imports: [ '{address}' ]\n{USES}")
        return path

    return write


def test_what_a_fetched_file_names_is_beside_it_on_the_web(site, template, tmp_path):
    site.pages |= {"/a/types.yaml": TYPES, "/a/more.yaml": MORE, "/a/plays/setup.yml": "- hosts: all\n"}
    topology = load(template(site.url("/a/types.yaml")), {}, Reading(hosts=("127.0.0.1",), home=tmp_path / "home"))
    operation = topology.software[0].operations[0]
    assert operation.implementation.startswith(str(tmp_path / "home"))
    assert site.asked == ["/a/types.yaml", "/a/more.yaml", "/a/plays/setup.yml"]


@pytest.mark.parametrize("reference", ["/etc/passwd", "file:///etc/passwd", "../../../../../../etc/passwd"])
def test_a_fetched_file_cannot_read_files_of_this_machine(site, template, tmp_path, reference):
    site.pages["/a/types.yaml"] = f"{VERSION}imports: [ '{reference}' ]\n"
    with pytest.raises(TemplateError) as caught:
        load(template(site.url("/a/types.yaml")), {}, Reading(hosts=("127.0.0.1",), home=tmp_path / "home"))
    assert [finding.code for finding in caught.value.findings] == ["import"]
    assert "/etc/passwd'" in caught.value.findings[0].message
    assert "answers 404" in caught.value.findings[0].message or "is no address" in caught.value.findings[0].message


def test_without_an_allowed_host_nothing_is_sent(site, template, tmp_path):
    with pytest.raises(TemplateError):
        load(template(site.url("/a/types.yaml")), {}, Reading(home=tmp_path / "home"))
    assert site.asked == []
