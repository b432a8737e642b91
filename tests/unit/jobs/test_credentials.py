from __future__ import annotations

import json

import pytest

from im.errors import InputError
from im.jobs.credentials import account, registry_of


@pytest.fixture
def accounts(tmp_path, monkeypatch):
    """Writes the file that `docker login` would have written."""
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return (tmp_path / "config.json").write_text


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("debian:12", "docker.io"),
        ("lab/mpi", "docker.io"),
        ("ghcr.io/lab/mpi:1", "ghcr.io"),
        ("http://10.0.0.1:5000/mpi", "10.0.0.1:5000"),
        ("localhost/mpi", "localhost"),
    ],
)
def test_a_name_tells_its_registry(reference, host):
    assert registry_of(reference) == host


def test_an_account_is_found_under_every_name_of_its_registry(accounts):
    known = {
        "https://index.docker.io/v1/": {"auth": "aHVi"},
        "ghcr.io": {"auth": "Z2g="},
        "http://r:5000/": {"auth": "cg=="},
    }
    accounts(json.dumps({"auths": known}))
    assert [account(name) for name in ("debian:12", "ghcr.io/lab/mpi", "http://r:5000/mpi")] == ["aHVi", "Z2g=", "cg=="]


def test_a_registry_without_account_gets_none(accounts):
    assert account("ghcr.io/lab/mpi") == ""
    accounts(json.dumps({"auths": {"quay.io": {"auth": "cQ=="}}, "credsStore": "desktop"}))
    assert account("ghcr.io/lab/mpi") == ""


def test_another_file_may_be_named(accounts, tmp_path, monkeypatch):
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {"quay.io": {"auth": "cQ=="}}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    assert account("quay.io/lab/mpi") == "cQ=="


def test_a_file_that_cannot_be_understood_is_named(accounts, tmp_path):
    accounts("{")
    with pytest.raises(InputError, match=r"config\.json"):
        account("quay.io/lab/mpi")
