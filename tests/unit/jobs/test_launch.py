from __future__ import annotations

import dataclasses
import json
from itertools import pairwise

import pytest

from im.errors import InputError
from im.jobs.choice import doubt, library
from im.jobs.command import command_line, control_files, description
from im.jobs.engines import Mount
from im.jobs.facts import parse
from im.jobs.launch import MpiJob, decide, with_mode
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
    "images": {"im-1-udocker": {"mpi": {"family": "openmpi"}}},
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
    assert (FACTS.network, FACTS.modes, set(FACTS.images)) == ("eth0", {"udocker": "P1"}, {"im-1-udocker"})


def test_a_front_end_that_knows_nothing_gives_empty_facts():
    facts = parse({"home": "/home/hpc", "cluster": {}, "engine": {}, "images": {}})
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
    assert told["env"] == {"A": "secret", "B": "1", "IM_JOB_ENV": "-e A -e B"}
    json.dumps(told)


def test_processes_of_another_user_are_ended_by_root():
    assert description(decide(CLUSTER, JOB, FACTS, "im-1"), "front")["clean"] == ()
    (line,) = description(decide(CLUSTER, dataclasses.replace(JOB, user="root"), FACTS, "im-1"), "front")["clean"]
    assert line == ("sudo", "-n", "python3", "/home/hpc/.im/jobs/j1/ward.py", "end", "j1", "0")


@pytest.mark.parametrize(
    ("job", "facts", "cluster", "message"),
    [
        (dataclasses.replace(JOB, argv=()), FACTS, CLUSTER, "there is no program to run"),
        (dataclasses.replace(JOB, mounts=(Mount("/a", "/a", True),)), FACTS, CLUSTER, "udocker cannot mount read-only"),
        (JOB, FACTS, dataclasses.replace(CLUSTER, shared=()), "do not share /home"),
        (dataclasses.replace(JOB, engine="docker"), FACTS, CLUSTER, "no container engine 'docker'"),
        (dataclasses.replace(JOB, ranks=5), FACTS, CLUSTER, "5 ranks do not fit"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(job, facts, cluster, message):
    with pytest.raises(InputError, match=message):
        decide(cluster, job, facts, "im-1")


HYDRA = {"family": "mpich", "version": "4.0.2", "launcher": "/usr/bin/mpirun"}
NEWER = {"family": "openmpi", "version": "5.0.1", "launcher": "/usr/bin/mpirun"}


def launch_of(known, job=JOB):
    return with_mode(decide(CLUSTER, job, FACTS, "im-1"), known)[0]


def test_the_same_library_in_the_image_is_started_by_the_nodes_launcher():
    assert launch_of({"family": "openmpi", "version": "4.1.2"}).mode == "hybrid"


@pytest.mark.parametrize("known", [HYDRA, NEWER], ids=["another family", "another major version"])
def test_another_library_is_started_by_its_own_launcher(known):
    launch = launch_of(known)
    assert (launch.mode, launch.family, launch.launcher) == ("inside", known["family"], "/usr/bin/mpirun")


def test_the_images_launcher_runs_in_a_container_and_asks_us_to_enter_nodes():
    line = command_line(launch_of(NEWER))
    assert line.index("im-1") < line.index("/usr/bin/mpirun")
    assert following(line, "plm_rsh_agent") == ["/home/hpc/.im/jobs/j1/agent"]
    assert "--leave-session-attached" in line
    assert line[-3:] == ("./program", "-x", "a b")


def test_ranks_of_the_nodes_launcher_may_share_a_container_which_a_daemon_of_the_images_has_anyway():
    assert launch_of({}).inside.together
    assert not launch_of(NEWER).inside.together


def test_mpichs_launcher_gets_the_same_places():
    line = command_line(launch_of(HYDRA))
    assert following(line, "-hosts") == ["w-1:2,w-2:1"]
    assert following(line, "-launcher-exec") == ["/home/hpc/.im/jobs/j1/agent"]


def test_only_a_job_inside_brings_an_agent_and_enters_containers():
    hybrid, inside = launch_of({}), launch_of(HYDRA)
    assert set(control_files(hybrid)) == {"supervisor.py", "ward.py"}
    assert "/home/hpc/.im/jobs/j1/mail" in control_files(inside)["agent"]
    assert description(hybrid, "front")["enter"] == ()
    assert "udocker" in " ".join(description(inside, "front")["enter"])


def test_an_image_without_launcher_and_with_another_library_cannot_run():
    with pytest.raises(InputError, match=r"has no MPI launcher.*image: MPICH 3, nodes: Open MPI 4\.1\.4"):
        launch_of({"family": "mpich", "version": "3"})


def test_ranks_of_another_family_are_not_started_to_be_alone():
    with pytest.raises(InputError, match=r"each rank would believe that it is alone.*MPICH 4\.0\.2.*leave out --mode"):
        launch_of(HYDRA, dataclasses.replace(JOB, mode="hybrid"))


def test_a_mode_may_be_asked_for():
    known = {"family": "openmpi", "version": "4.1.4", "launcher": "/usr/bin/mpirun"}
    assert launch_of(known, dataclasses.replace(JOB, mode="inside")).mode == "inside"
    with pytest.raises(InputError, match="has no MPI launcher"):
        launch_of({}, dataclasses.replace(JOB, mode="inside"))


@pytest.mark.parametrize(
    ("family", "version", "network", "nodes", "doubtful"),
    [
        ("mpich", "4.0.2", "ucx", 2, True),
        ("mpich", "3.4.1", "ucx", 2, True),
        ("mpich", "4.0.2", "ucx", 1, False),
        ("mpich", "4.0.2", "", 2, False),
        ("mpich", "4.2.1", "ucx", 2, False),
        ("mpich", "5.0", "ucx", 2, False),
        ("openmpi", "4.1.4", "ucx", 2, False),
    ],
)
def test_a_library_that_may_hang_at_the_end_is_told_beforehand(family, version, network, nodes, doubtful):
    known = {"family": family, "version": version, "network": network}
    warning = doubt(library(known), nodes)
    assert (f"MPICH {version} over UCX can hang in MPI_Finalize" in warning) is doubtful
    assert bool(warning) is doubtful


QUEUED = dataclasses.replace(FACTS, slurm=True)


def test_under_slurm_ranks_go_where_it_says_for_as_long_as_the_job_may_take():
    launch = decide(CLUSTER, dataclasses.replace(JOB, limit=90), QUEUED, "im-1")
    told = description(launch, "front")
    assert following(told["argv"], "--host") == ["@hosts@"]
    names = ("--job-name=im-j1", f"--comment=im-batch j1 {JOB.image}")
    assert told["allocate"] == ("salloc", "--quiet", "--ntasks=3", *names, "--time=3")
    assert (told["nodes"], told["release"]) == ((), (("scancel", "--quiet", "--name=im-j1"),))
    assert launch.nodes == ("w-1", "w-2")


def test_without_slurm_nobody_is_asked_for_nodes():
    told = description(decide(CLUSTER, JOB, FACTS, "im-1"), "front")
    assert (told["allocate"], told["release"]) == ((), ())


def test_ranks_start_where_they_are_told_to():
    assert decide(CLUSTER, dataclasses.replace(JOB, folder="run 1"), FACTS, "c").start == "/home/hpc/jobs/j1/run 1"
    assert decide(CLUSTER, dataclasses.replace(JOB, folder="/data"), FACTS, "c").start == "/data"
