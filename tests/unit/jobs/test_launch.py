from __future__ import annotations

import dataclasses
import json
from itertools import pairwise

import pytest

from im.errors import InputError
from im.jobs.facts import parse
from im.jobs.launch import MpiJob, command_line, decide, description
from im.plan.model import Cluster, Node

ANSWER = {
    "home": "/home/hpc",
    "cluster": {
        "nodes": [
            {"name": "front", "address": "10.0.0.1", "slots": 0},
            {"name": "w-1", "address": "10.0.0.2", "slots": 2},
            {"name": "w-2", "address": "10.0.0.3", "slots": 2},
        ],
        "interface": "eth0",
        "engines": ["udocker"],
        "mpi": {"family": "openmpi", "version": "4.1.4"},
    },
    "engine": {"udocker": {"mode": "P1"}},
    "images": ["im-1-udocker"],
}
FACTS = parse(ANSWER)
CLUSTER = Cluster(
    infrastructure="1234abcd",
    name="lab",
    user="hpc",
    keys="/keys",
    nodes=(Node("1234abcd", "front", "front", 1, "t", front_end=True),),
    shared=("/home",),
)
JOB = MpiJob(3, "mpi.tar", ("./program", "-x", "a b"), env={"B": "1", "A": "secret"}, identifier="j1")


def line_of(job=JOB, facts=FACTS):
    return command_line(decide(CLUSTER, job, facts, "im-1"))


def following(line, word):
    return [after for before, after in pairwise(line) if before == word]


def test_the_front_ends_answer_becomes_facts():
    assert [member.name for member in FACTS.workers] == ["w-1", "w-2"]
    assert (FACTS.network, FACTS.modes, FACTS.images) == ("eth0", {"udocker": "P1"}, ("im-1-udocker",))


def test_a_front_end_that_knows_nothing_gives_empty_facts():
    facts = parse({"home": "/home/hpc", "cluster": {}, "engine": {}, "images": []})
    assert (facts.members, facts.engines, facts.mpi) == ((), (), {})


def test_ranks_are_placed_and_counted():
    assert following(line_of(), "--host") == ["w-1:2,w-2:1"]
    assert following(line_of(), "-np") == ["3"]


def test_the_program_and_its_arguments_come_last_and_unchanged():
    assert line_of()[-3:] == ("./program", "-x", "a b")


def test_ranks_talk_over_the_clusters_own_network():
    assert following(line_of(), "btl_tcp_if_include") == ["eth0"]
    assert following(line_of(), "oob_tcp_if_include") == ["eth0"]
    assert "btl_tcp_if_include" not in line_of(facts=dataclasses.replace(FACTS, network=""))


def test_values_of_variables_never_stand_on_a_command_line():
    assert following(line_of(), "-x")[:4] == ["IM_JOB", "IM_JOB_ENV", "A", "B"]
    assert not any("secret" in word for word in line_of())


def test_everything_that_mpirun_starts_carries_the_jobs_mark():
    assert following(line_of(), "orte_launch_agent") == ["env IM_JOB=j1 orted"]


def test_the_supervisor_learns_nodes_variables_and_folder():
    told = description(decide(CLUSTER, JOB, FACTS, "im-1"), "front")
    assert (told["nodes"], told["here"], told["directory"]) == (("w-1", "w-2"), "front", "/home/hpc/jobs/j1")
    assert told["env"]["A"] == "secret"
    json.dumps(told)


@pytest.mark.parametrize(
    ("job", "facts", "cluster", "message"),
    [
        (dataclasses.replace(JOB, argv=()), FACTS, CLUSTER, "there is no program to run"),
        (JOB, dataclasses.replace(FACTS, mpi={}), CLUSTER, "has no Open MPI"),
        (JOB, FACTS, dataclasses.replace(CLUSTER, shared=()), "do not share /home"),
        (dataclasses.replace(JOB, engine="docker"), FACTS, CLUSTER, "no container engine 'docker'"),
        (dataclasses.replace(JOB, ranks=5), FACTS, CLUSTER, "5 ranks do not fit"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(job, facts, cluster, message):
    with pytest.raises(InputError, match=message):
        decide(cluster, job, facts, "im-1")
