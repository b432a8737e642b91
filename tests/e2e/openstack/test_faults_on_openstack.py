"""When the cloud misbehaves or the client dies: everything ends ready or with a reason, and nothing is left."""

from __future__ import annotations

import itertools
import os
import threading

import pytest
from faulty import FAULTS, Behaviour, proxy

pytestmark = [pytest.mark.e2e_openstack, pytest.mark.long]

DEPLOYMENTS = int(os.environ.get("IM_FAULTY_DEPLOYMENTS", "2"))
KILLS = [int(number) for number in os.environ.get("IM_KILLS", "2 5 8").split()]


@pytest.fixture
def through(user, project):
    """Give what adds a cloud that goes through a proxy of some behaviour."""
    opened = []

    def add(name: str, behaviour: Behaviour) -> str:
        context = proxy(project.account["auth_url"], project.id, behaviour)
        front = context.__enter__()
        opened.append(context)
        return user.cloud(name, {"auth_url": front.auth_url}, **front.overrides)

    yield add
    for context in opened:
        context.__exit__(None, None, None)


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


@pytest.mark.parametrize("last", KILLS)
def test_a_client_killed_at_a_change_is_continued_without_a_second_server_or_a_leak(
    user, through, project, unchanged, last
):
    killed = threading.Event()
    changes = itertools.count(1)

    def told(number: int, method: str, path: str) -> None:
        if method != "GET" and not path.startswith("identity/") and next(changes) == last:
            print(f"killed at change {last}, call {number}: {method} {path}")
            client.kill()
            killed.set()

    behaviour = Behaviour(told=told)
    cloud = through("deadly", behaviour)
    words = ["deploy", "--until", "provisioned", "--name", "tier", "--cloud", cloud]
    template = user.template("pair.yaml")
    client = user.start(*words, template, "--input", "workers=3")
    client.communicate()
    assert killed.is_set(), f"it made {behaviour.calls.total()} calls only"
    again = user.run(*words, template, "--input", "workers=3")
    assert again.status == 0, again
    servers = sorted(thing.split()[1] for thing in project.listing() if thing.startswith("server "))
    assert len(servers) == 4, servers
    assert removed(user)


def test_every_kind_of_fault_is_one_that_the_proxy_knows():
    behaviour = Behaviour(share=1.0)
    for _ in range(200):
        behaviour.choose("compute", "GET")
    assert set(behaviour.faults) == set(FAULTS)
