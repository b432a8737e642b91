import json
import re
from dataclasses import replace

import pytest

from im.contextualize import bundle, front_end
from im.errors import ContextualizationError
from im.ssh.connection import Completed


@pytest.fixture
def remote(monkeypatch):
    """The front-end's answers to commands; ``ran`` remembers what was run."""

    class Remote:
        def __init__(self) -> None:
            self.ran: list[list[str]] = []
            self.has = {
                "python": [3, 11],
                "machine": "x86_64",
                "glibc": "2.36",
                "system": "debian-12",
                "kernel": "6.1",
                "bundle": "",
                "tools": "",
            }
            self.answer = Completed(0, b"", b"")

        def __call__(self, cluster, node, argv, **options) -> Completed:
            self.ran.append(list(argv))
            return (
                Completed(0, json.dumps(self.has).encode(), b"") if "-c" in argv and "python3" in argv else self.answer
            )

    made = Remote()
    monkeypatch.setattr(front_end, "run", made)
    monkeypatch.setattr(bundle, "ensure", lambda target, cache, report: _archive(cache))
    monkeypatch.setattr(front_end.tools, "ensure", lambda settings, platform, build, report: _archive(settings.cache))
    return made


def _archive(cache):
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "archive").write_bytes(b"archive")
    return cache / "archive"


@pytest.fixture
def settings(tmp_path):
    from im.config import Settings

    return Settings(home=tmp_path)


def test_what_the_front_end_lacks_is_pushed(remote, cluster, settings):
    events = []
    front_end.prepare_front_end(cluster, settings, events.append)
    assert [event.message for event in events] == [
        "bringing Ansible to the front-end",
        "bringing udocker's tools to the front-end",
    ]


def test_what_it_has_is_not_pushed_again(remote, cluster, settings):
    target = bundle.Target((3, 11), "x86_64", (2, 36))
    remote.has["bundle"] = bundle.digest(target)
    remote.has["tools"] = f"{front_end.tools.digest(_archive(settings.cache))} {bundle.digest(target)}"
    front_end.prepare_front_end(cluster, settings, lambda event: pytest.fail(event.message))
    assert len(remote.ran) == 1


def test_an_account_that_is_not_root_uses_sudo(remote, cluster, settings):

    cluster = replace(cluster, nodes=(replace(cluster.front_end, user="debian"), *cluster.nodes[1:]))
    front_end.prepare_front_end(cluster, settings, lambda _: None)
    assert {tuple(argv[:2]) for argv in remote.ran} == {("sudo", "-n")}


def test_a_failing_command_is_told_with_its_last_words(remote, cluster):
    remote.answer = Completed(1, b"", b"tar: short read\ntar: no space left on device\n")
    with pytest.raises(ContextualizationError, match="no space left") as caught:
        front_end.run_as_root(cluster, ["tar"])
    assert caught.value.where == "node front"


def test_a_front_end_without_python_gets_a_hint(remote, cluster):
    remote.answer = Completed(127, b"", b"sh: python3: not found\n")
    with pytest.raises(ContextualizationError) as caught:
        front_end.run_as_root(cluster, ["python3"])
    assert "Python 3.9" in caught.value.hint


def test_the_packages_of_the_front_end_begin_with_the_keys(remote, cluster):
    front_end.push_keys(cluster, ["curl", "a b"])
    script = remote.ran[-1][-1]
    assert "flock -o /run/im-packages.lock sh /opt/im/packages.sh curl 'a b' > /run/im-early.log" in script
    assert script.endswith("&")


VERDICT = {"tried": "P1 P2", "mode": "P1", "seconds": {"P1": 0.2}, "unusable": {"P2": "hangs"}}


def test_how_udockers_modes_did_is_known_on_the_next_front_end_of_the_kind(remote, cluster, settings):
    front_end.prepare_front_end(cluster, settings, lambda _: None)
    place = re.search(r"echo (\w+) > PLACE", remote.ran[-1][-1])[1]
    remote.answer = Completed(0, f"{place}\n{json.dumps({'udocker': {'tools': 'x', **VERDICT}})}".encode(), b"")
    front_end.keep_modes(cluster, settings)
    front_end.prepare_front_end(cluster, settings, lambda _: None)
    assert json.dumps(VERDICT) in remote.ran[-1][-1]
    remote.has["kernel"] = "6.2"
    front_end.prepare_front_end(cluster, settings, lambda _: None)
    assert json.dumps(VERDICT) not in remote.ran[-1][-1]


def test_a_front_end_that_cannot_tell_how_the_modes_did_is_no_failure(remote, cluster, settings):
    remote.answer = Completed(1, b"", b"cat: no such file")
    front_end.keep_modes(cluster, settings)
    assert not list(settings.cache.glob("udocker-tools/modes-*"))
