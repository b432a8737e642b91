"""When the cloud misbehaves or the client dies: everything ends ready or with a reason, and nothing is left."""

from __future__ import annotations

import itertools
import os
import subprocess

import pytest
from faulty import FAULTS, Behaviour

pytestmark = [pytest.mark.e2e_openstack, pytest.mark.long]

DEPLOYMENTS = int(os.environ.get("IM_FAULTY_DEPLOYMENTS", "2"))
FIRST_KILL = int(os.environ.get("IM_FIRST_KILL", "1"))


@pytest.mark.parametrize("seed", range(1, DEPLOYMENTS + 1))
def test_one_call_in_ten_fails_and_nothing_is_left(user, through, project, unchanged, seed):
    behaviour = Behaviour(share=0.1, seed=seed)
    cloud = through("faulty", behaviour)
    ran = user.deploy("pair.yaml", "workers=4", cloud=cloud)
    print(f"{behaviour.calls.total()} calls, faults {dict(behaviour.faults)}, exit status {ran.status}")
    assert behaviour.faults.total() > 0
    assert ran.status == 0 or "error" in ran.text, ran
    if ran.status == 0:
        servers = [thing for thing in project.listing() if thing.startswith("server ")]
        assert len(servers) == 5
    assert removed(user)


def removed(user) -> bool:
    """Delete, again if a fault ended it, and say whether it went through."""
    for _ in range(4):
        ran = user.run("delete", "tier", "--yes")
        if ran.status == 0 or "no infrastructure" in ran.text:
            return True
        assert "error" in ran.text, ran
    return False


class Doomed:
    """A client that is killed as soon as it asks for its ``last`` change; the cloud does what it was asked for."""

    def __init__(self, user, through, last: int) -> None:
        self.user, self.last = user, last
        self.killed = ""
        self._client: subprocess.Popen[str] | None = None
        self._changes = itertools.count(1)
        self.cloud = through("deadly", Behaviour(told=self._told))

    def _told(self, number: int, method: str, path: str) -> None:
        changes = method != "GET" and not path.startswith("identity/")
        if changes and self._client is not None and next(self._changes) == self.last:
            self.killed = f"{method} {path}"
            self._client.kill()

    def run(self, *words: object) -> str:
        """Run ``im_client``; return the change that it died of, "" if it came to its end."""
        self._client = self.user.start(*words)
        out, err = self._client.communicate()
        assert self.killed or self._client.returncode == 0, out + err
        return self.killed


@pytest.mark.timeout(3600)
def test_a_client_killed_at_any_change_of_a_deployment_is_continued(user, through, project, unchanged):
    for last in itertools.count(FIRST_KILL):
        doomed = Doomed(user, through, last)
        words = ["deploy", user.template("pair.yaml"), "--input", "workers=2", "--cloud", doomed.cloud]
        words += ["--until", "provisioned", "--name", "tier"]
        killed = doomed.run(*words)
        print(f"change {last}: {killed or 'none, deployed'}")
        again = user.run(*words)
        assert again.status == 0, again
        servers = sorted(thing.split()[1] for thing in project.listing() if thing.startswith("server "))
        assert len(servers) == 3, servers
        assert removed(user)
        unchanged()
        if not killed:
            return


@pytest.mark.timeout(3600)
def test_a_client_killed_at_any_change_of_a_deletion_is_continued(user, through, unchanged):
    for last in itertools.count(FIRST_KILL):
        doomed = Doomed(user, through, last)
        assert user.deploy("pair.yaml", "workers=2", cloud=doomed.cloud).status == 0
        killed = doomed.run("delete", "tier", "--yes")
        print(f"change {last}: {killed or 'none, deleted'}")
        assert removed(user)
        unchanged()
        if not killed:
            return


def test_every_kind_of_fault_is_one_that_the_proxy_knows():
    behaviour = Behaviour(share=1.0)
    for _ in range(200):
        behaviour.choose("compute", "GET")
    assert set(behaviour.faults) == set(FAULTS)
