"""Roles of Ansible Galaxy are found beside the playbook, in the import map and on the web; nothing in them runs here."""

# ruff: noqa: E501 - the lines that users see are quoted as they are

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from im.sources.galaxy import archive_of
from im.sources.load import Reading, load
from im.topology.galaxy import wanted_role

TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
artifact_types:
  tosca.artifacts.AnsibleGalaxy.role: {{ derived_from: tosca.artifacts.Root }}
topology_template:
  node_templates:
    server: {{ type: tosca.nodes.Compute }}
    tool:
      type: tosca.nodes.SoftwareComponent
      requirements: [ {{ host: server }} ]
      artifacts: {{ role: {{ file: "{role}", type: tosca.artifacts.AnsibleGalaxy.role{more} }} }}
      interfaces: {{ Standard: {{ configure: book.yml }} }}
"""
ROLE = {"tasks/main.yml": "- command: 'true'\n", "meta/main.yml": "dependencies: []\n"}


def archive(files, top="nfs-1/", links=()):
    """Return a tarball of a role as forges make them: in one folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for name, text in files.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(text)
            opened.addfile(member, io.BytesIO(text.encode()))
        for name, target in dict(links).items():
            member = tarfile.TarInfo(top + name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            opened.addfile(member)
    return buffer.getvalue()


@pytest.fixture
def read(tmp_path, site, monkeypatch):
    """Return a function from the reference of a role to the topology that uses it."""
    (tmp_path / "book.yml").write_text("- hosts: all\n  roles: [ owner.nfs ]\n")
    monkeypatch.chdir(tmp_path)

    def build(role, *, hosts=("127.0.0.1",), more="", **options):
        path = tmp_path / "t.yaml"
        path.write_text(TEMPLATE.format(role=role, more=more))
        reading = Reading(hosts=hosts, home=tmp_path / "home", galaxy=site.url(""), **options)
        return load(path.relative_to(tmp_path), {}, reading)

    return build


@pytest.fixture
def galaxy(site):
    """Return a function that puts a role on the Galaxy of ``site``, with an archive a version."""

    def publish(name, versions, number=7, **more):
        owner, _, short = name.rpartition(".")
        listed = [{"name": version, "download_url": site.url(f"/{name}/{version}.tar.gz")} for version in versions]
        site.pages |= {
            f"/api/v1/roles/?owner__username={owner}&name={short}": json.dumps({"results": [{"id": number, **more}]}),
            f"/api/v1/roles/{number}/versions/": json.dumps({"results": listed}),
        }
        site.pages |= {f"/{name}/{version}.tar.gz": archive(files) for version, files in versions.items()}

    return publish


def tasks(topology, name="owner.nfs"):
    return (Path(topology.roles[name]) / "tasks" / "main.yml").read_text()


def said(topology):
    return [str(one).partition("cannot be had: ")[2] for one in topology.warnings]


def test_the_version_that_is_asked_for_comes_from_galaxy_and_is_kept(read, galaxy, site):
    galaxy("owner.nfs", {"v1": {"tasks/main.yml": "one"}, "v2": {"tasks/main.yml": "two"}})
    assert [tasks(read("owner.nfs,v1")) for _ in range(2)] == ["one", "one"]
    assert site.asked == ["/api/v1/roles/?owner__username=owner&name=nfs", "/api/v1/roles/7/versions/", "/owner.nfs/v1.tar.gz"]  # fmt: skip


def test_without_a_version_the_newest_is_taken(read, galaxy):
    galaxy("owner.nfs", {version: {"tasks/main.yml": version} for version in ("v1.9.0", "v1.10.0", "v1.2", "beta")})
    assert tasks(read("owner.nfs")) == "v1.10.0"


def test_what_a_role_needs_comes_along(read, galaxy):
    galaxy("owner.nfs", {"v1": ROLE | {"meta/main.yml": "dependencies: [ { role: other.rpc, version: v3 }, beside ]"}})
    galaxy("other.rpc", {"v3": ROLE | {"meta/requirements.yml": "- src: owner.nfs\n"}}, number=8)
    topology = read("owner.nfs,v1")
    assert sorted(topology.roles) == ["other.rpc", "owner.nfs"]
    assert len(topology.warnings) == 1
    assert "'owner.nfs,v1' is taken for 'owner.nfs', which 'other.rpc' uses" in topology.warnings[0].message


def test_a_role_may_be_an_archive_somewhere_with_its_checksum(read, site):
    content = archive(ROLE)
    right = hashlib.sha256(content).hexdigest()
    site.pages["/nfs.tar.gz"] = content
    assert tasks(read(site.url(f"/nfs.tar.gz#sha256={right}|owner.nfs"))) == ROLE["tasks/main.yml"]
    assert tasks(read(site.url("/nfs.tar.gz"), more=f", checksum: {right}, checksum_algorithm: SHA-256"), "nfs")
    wrong = read(site.url("/nfs.tar.gz"), more=f", checksum: {'0' * 64}")
    assert wrong.roles == {"nfs": ""}
    assert f"has the checksum {right}, not {'0' * 64}" in said(wrong)[0]


def test_a_role_in_a_folder_of_the_import_map_is_not_asked_for(read, site, tmp_path):
    for name in ("store/owner.nfs", "mine"):
        (tmp_path / name / "tasks").mkdir(parents=True)
    whole, one, address = ({"galaxy": tmp_path / "store"}, {"galaxy/owner.nfs": tmp_path / "mine"}, {"https://a.org": tmp_path})  # fmt: skip
    assert read("owner.nfs,v1", import_map=whole).roles == {"owner.nfs": str(tmp_path / "store" / "owner.nfs")}
    assert read("owner.nfs", import_map=whole | one).roles == {"owner.nfs": str(tmp_path / "mine")}
    assert read("git+https://a.org/mine,v1", import_map=address).roles == {"mine": str(tmp_path / "mine")}
    assert said(read("owner.other", import_map=whole)) == [
        f"there is no folder '{tmp_path}/store/owner.other' (see import_map in the settings)"
    ]
    assert site.asked == []


def test_a_role_beside_the_playbook_is_taken_before_any_other(read, tmp_path, site):
    (tmp_path / "roles" / "owner.nfs" / "tasks").mkdir(parents=True)
    assert read("owner.nfs,v1").roles == {"owner.nfs": str(tmp_path / "roles" / "owner.nfs")}
    assert site.asked == []


def test_without_an_allowed_host_nothing_is_asked_and_the_ways_out_are_named(read, site):
    topology = read("owner.nfs", hosts=())
    assert [str(one) for one in topology.warnings] == [
        "t.yaml:10:20: warning galaxy: the role 'owner.nfs' of 'tool' cannot be had: Ansible Galaxy is not asked (map galaxy/owner.nfs to its folder (import_map), or allow the host 127.0.0.1 (import_hosts))"
    ]
    assert site.asked == []


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("owner.none", "Ansible Galaxy knows no 'owner.none'"),
        ("owner.bad", "is not Galaxy's list of roles"),
        ("owner.lost", "Ansible Galaxy does not say where 'owner.lost' is"),
        ("owner.away,v1", "the settings do not allow the host github.com"),
        ("owner.gone,v1", "answers 404"),
        ("owner.metadata,v1", "the settings do not allow the host 169.254.169.254"),
        ("nfs", "'nfs' is no role of Ansible Galaxy (OWNER.NAME,VERSION)"),
        ("owner.nfs,../../x", "'../../x' is no version"),
        ("owner.nfs|../x", "this is no name of a role"),
        ("https://a.org/x", "'https://a.org/x' is no archive"),
        ("file:///etc/x.tar.gz", "is no address that im fetches"),
        ("git+ext::sh -c id://x", "is no archive"),
    ],
)
def test_what_cannot_be_had_is_a_warning_with_its_reason(read, site, galaxy, role, words):
    site.pages["/api/v1/roles/?owner__username=owner&name=none"] = '{"results": []}'
    site.pages["/api/v1/roles/?owner__username=owner&name=bad"] = "<html>"
    galaxy("owner.lost", {}, 1)
    galaxy("owner.away", {}, 2, github_user="owner", github_repo="away")
    galaxy("owner.gone", {"v1": ROLE}, 3)
    galaxy("owner.metadata", {"v1": ROLE}, 4)
    site.pages |= {"/owner.gone/v1.tar.gz": 404, "/owner.metadata/v1.tar.gz": "-> http://169.254.169.254/x"}
    topology = read(role)
    assert not any(topology.roles.values())
    assert words in said(topology)[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (archive(ROLE, top="../"), "which is outside of it"),
        (archive(ROLE, top="/etc/"), "which is outside of it"),
        (gzip.compress(bytes(60_000_000)), "the archive holds more than 50,000,000 bytes"),
        (archive({f"tasks/{n}.yml": "" for n in range(1001)}), "the archive holds more than 1,000 files"),
        (archive({"README": ""}), "holds no role"),
        (archive(ROLE, links={"a": "b", "b": "a"}), "no archive that can be read"),
        (b"\x1f\x8bnonsense", "no archive that can be read"),
        (b"nonsense", "no archive that can be read"),
        (b"", "no archive that can be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_or_broken_archive_is_refused(read, site, tmp_path, content, words):
    site.pages["/nfs.tar.gz"] = content
    assert words in said(read(site.url("/nfs.tar.gz")))[0]
    assert not (tmp_path / "etc").exists()


def test_a_link_becomes_what_it_means_and_one_that_leads_outside_is_nothing(read, site, tmp_path):
    (tmp_path / "secret").write_text("secret")
    links = {"tasks/Debian.yml": "main.yml", "files": str(tmp_path), "tasks/passwd": "../../../secret"}
    site.pages["/nfs.tar.gz"] = archive(ROLE, links=links)
    topology = read(site.url("/nfs.tar.gz"))
    role = Path(topology.roles["nfs"])
    assert (role / "tasks" / "Debian.yml").read_text() == ROLE["tasks/main.yml"]
    assert sorted(path.name for path in role.rglob("*") if path.is_file()) == ["Debian.yml", "main.yml", "main.yml"]
    assert not any(path.is_symlink() for path in role.rglob("*"))


@pytest.mark.parametrize(
    ("role", "address"),
    [
        ("git+https://github.com/o/r.git,v1", "https://github.com/o/r/archive/v1.tar.gz"),
        ("https://github.com/o/r", "https://github.com/o/r/archive/HEAD.tar.gz"),
        ("git+https://gitlab.com/g/o/r,v1|nfs", "https://gitlab.com/g/o/r/-/archive/v1/nfs.tar.gz"),
        ("https://a.org/r.tar.gz,v1", "https://a.org/r.tar.gz"),
    ],
)
def test_repositories_of_forges_are_fetched_as_archives(role, address):
    assert archive_of(wanted_role(role)) == address


def test_the_cache_notices_that_a_role_has_come(read, galaxy, tmp_path):
    cache = tmp_path / "cache"
    for _ in range(2):
        assert read("owner.nfs", hosts=(), cache=cache).roles == {"owner.nfs": ""}
    role = tmp_path / "roles" / "owner.nfs"
    (role / "tasks").mkdir(parents=True)
    assert read("owner.nfs", hosts=(), cache=cache).roles == {"owner.nfs": str(role)}


def test_circles_of_roles_have_an_end_and_so_have_chains(read, galaxy):
    for number in range(80):
        needs = {"meta/main.yml": f"dependencies: [ chain.r{number + 1} ]"}
        galaxy(f"chain.r{number}", {"v1": ROLE | needs}, number)
    topology = read("chain.r0")
    assert len([folder for folder in topology.roles.values() if folder]) == 64
    assert said(topology) == ["there are over 64"]
