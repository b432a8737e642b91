from __future__ import annotations

import json

import pytest

from im.jobs.diagnosis import mesh_problems, mpi_problem

ADDRESSES = {"front": "10.0.0.1", "w-1": "10.0.0.2"}


def report(node, **changes):
    good = {
        "time": 100.0,
        "asked": 99.9,
        "answered": 100.1,
        "hostname": node,
        "names": dict(ADDRESSES),
        "shared": {"/home/hpc/.im-preflight-1": True},
        "next": "",
    }
    return good | changes


def problems(**changes):
    """What is found when w-1 differs from a healthy node by ``changes``."""
    return [str(p) for p in mesh_problems(ADDRESSES, {"front": report("front"), "w-1": report("w-1", **changes)})]


def test_a_healthy_cluster_has_no_problems():
    assert problems() == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"error": "Connection refused"}, "node w-1, ssh: the front-end cannot log in: Connection refused"),
        ({"next": "Permission denied"}, "node w-1, ssh: cannot log in to front: Permission denied"),
        (
            {"names": {"front": "10.0.0.1", "w-1": "127.0.1.1"}},
            "node w-1, names: resolves w-1 to 127.0.1.1, not 10.0.0.2",
        ),
        ({"names": {"w-1": "10.0.0.2", "front": ""}}, "node w-1, names: cannot resolve front"),
        ({"shared": {"/home/hpc/x": False}}, "node w-1, shared directory: does not see /home/hpc/x"),
        ({"time": 107.5}, "node w-1, clock: differs by +7.4 s from the front-end's"),
        ({"time": 90.0}, "node w-1, clock: differs by -9.9 s from the front-end's"),
        ({"hostname": "debian"}, "node w-1, host name: calls itself debian"),
    ],
)
def test_each_problem_names_node_and_check(changes, line):
    assert problems(**changes) == [line]


def test_a_slow_answer_is_no_wrong_clock():
    assert problems(asked=90.0, answered=104.0, time=103.0) == []


def test_a_fully_qualified_host_name_is_fine():
    assert problems(hostname="w-1.cluster.example") == []


def test_a_node_without_a_report_is_a_problem():
    assert len(mesh_problems(ADDRESSES, {"front": report("front")})) == 1


def ranks(*changes):
    good = [{"host": f"w-{i + 1}", "marker": True, "rank": i, "size": 2, "sum": 3} for i in range(2)]
    return "".join(json.dumps(one | change) + "\n" for one, change in zip(good, changes, strict=False))


def verdict(output, code=0, errors=""):
    problem = mpi_problem(2, ["w-1", "w-2"], code, output, errors)
    return str(problem) if problem else None


def test_two_ranks_that_find_each_other_in_containers_are_fine():
    assert verdict("noise\n" + ranks({}, {})) is None


def test_ranks_that_believe_to_be_alone_are_told_apart_from_a_wrong_sum():
    alone = {"size": 1, "sum": 1, "rank": 0}
    assert verdict(ranks(alone, alone)) == "node w-1, w-2, mpi: every rank believes that it is alone"
    assert "the sum over all ranks is wrong: [3, 4]" in verdict(ranks({}, {"sum": 4}))


def test_a_library_that_does_not_load_names_the_node():
    output = ranks({}, {"error": "libmpi.so.40: cannot open shared object file"})
    assert verdict(output, 1).startswith("node w-2, mpi: the MPI library does not load in a container: libmpi.so.40")


def test_a_rank_outside_its_container_is_noticed_even_if_the_sum_is_right():
    assert (
        verdict(ranks({}, {"marker": False}))
        == "node w-2, mpi: a rank ran on the node's own files, not in its container"
    )


def test_ranks_that_hang_point_at_the_network():
    assert verdict("", -1) == "node w-1, w-2, mpi: 2 ranks did not find each other in time"


def test_a_launcher_that_fails_is_quoted_without_its_rulers():
    assert verdict("", 1, "-----\nORTE was unable to start a daemon\n-----\n").endswith(
        "mpi: ORTE was unable to start a daemon"
    )


CRASH = """\
[w-1:00572] *** Process received signal ***
[w-1:00572] Signal: Segmentation fault (11)
[w-1:00572] Failing at address: (nil)
[w-1:00572] *** End of error message ***
"""


def test_a_rank_that_crashes_is_told_with_its_signal():
    assert verdict("", 139, CRASH).endswith("mpi: [w-1:00572] Signal: Segmentation fault (11)")


def test_a_rank_that_says_nothing_is_a_problem():
    assert "exit code 0, 1 of 2 ranks reported" in verdict(ranks({}))


def test_everything_that_a_failed_run_wrote_is_kept_as_evidence():
    problem = mpi_problem(2, ["w-1", "w-2"], 139, "partly\n", "one line\nmpirun noticed signal 11\n")
    assert problem.evidence == "partly\none line\nmpirun noticed signal 11\n"
