"""What is remembered ends: after a while, or when we change it ourselves."""

from __future__ import annotations

import pytest

from im.providers.occi.memory import DOUBT, ENDING, SETTLED, Memory
from im.providers.occi.model import COMPUTE, Resource

SERVER = Resource(COMPUTE, "http://site/compute/1")


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def memory(time) -> Memory:
    return Memory(time)


def test_a_server_is_doubted_after_a_while_and_again_after_another(memory, time):
    assert not memory.is_doubtful("1")
    time.now += DOUBT
    assert memory.is_doubtful("1")
    assert not memory.is_doubtful("1")
    time.now += DOUBT
    assert memory.is_doubtful("1")


def test_a_settled_server_is_remembered_for_a_while_from_when_it_was_seen(memory, time):
    memory.runs(SERVER, settled=True)
    time.now += SETTLED
    memory.runs(SERVER, settled=True)
    assert memory.settled("1") == SERVER
    time.now += 1
    assert memory.settled("1") is None
    memory.runs(SERVER, settled=True)
    assert memory.settled("1") == SERVER


def test_what_has_not_settled_is_not_remembered(memory):
    memory.runs(SERVER, settled=False)
    assert memory.settled("1") is None


def test_what_we_change_is_forgotten(memory):
    memory.runs(SERVER, settled=True)
    memory.touch("1")
    assert memory.settled("1") is None


def test_a_server_is_young_until_it_runs_or_something_is_asked_of_it(memory):
    memory.made("1")
    memory.made("2")
    assert memory.is_young("1")
    memory.runs(SERVER, settled=False)
    memory.asked("2", "stop")
    assert not memory.is_young("1")
    assert not memory.is_young("2")


def test_who_was_looked_at_in_vain_goes_behind_the_others(memory):
    for id_ in "123":
        memory.made(id_)
    memory.still_building("1")
    memory.still_building("9")
    assert memory.young(["1", "2", "3", "4"]) == ["2", "3", "1"]


def test_the_last_action_is_what_was_asked(memory):
    memory.asked("1", "stop")
    assert memory.was_asked("1", "stop")
    memory.asked("1", "start")
    assert not memory.was_asked("1", "stop")
    assert memory.was_asked("1", "start")


def test_a_server_that_was_asked_to_end_is_believed_to_do_so_for_a_while(memory, time):
    memory.made("1")
    memory.ends("1")
    assert not memory.is_young("1")
    time.now += ENDING - 1
    assert memory.is_ending("1")
    time.now += 2
    assert not memory.is_ending("1")
    assert not memory.is_ending("2")


def test_a_server_that_was_asked_to_stop_has_not_settled(memory):
    memory.asked("1", "stop")
    memory.runs(SERVER, settled=True)
    assert memory.settled("1") is None
    memory.asked("1", "start")
    memory.runs(SERVER, settled=True)
    assert memory.settled("1") == SERVER
