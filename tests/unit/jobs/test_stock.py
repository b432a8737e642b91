from __future__ import annotations

import pytest

from im.errors import UnknownName
from im.jobs.facts import ClusterFacts
from im.jobs.stock import one, stocked


def record(engine, node="", **mpi):
    return {"image": "/x/mpi.tar", "engine": engine, "container": "im-1", "kind": "oci", "node": node, "mpi": mpi}


FACTS = ClusterFacts(
    "/home/hpc",
    (),
    images={
        "im-1-podman-w-2": record("podman", "w-2", family="openmpi", version="4.1.4", pmix="4.2"),
        "im-1-podman-front": record("podman", "front", family="openmpi", version="4.1.4", pmix="4.2"),
        "im-1-udocker": record("udocker"),
        "im-0-udocker": {"image": "from an older client"},
    },
)


def test_the_records_of_all_nodes_make_one_entry_for_each_engine():
    podman, udocker = stocked(FACTS)
    assert (podman.engine, podman.nodes) == ("podman", ("front", "w-2"))
    assert (udocker.engine, udocker.nodes) == ("udocker", ())


def test_an_entry_tells_its_mpi_library():
    podman, udocker = stocked(FACTS)
    assert (podman.mpi_text, podman.mpi_details) == ("Open MPI 4.1.4", {"pmix": "4.2"})
    assert (udocker.mpi_text, udocker.mpi_details) == ("", {})


@pytest.mark.parametrize("name", ["/x/mpi.tar", "mpi.tar", "im-1"])
def test_an_image_is_found_by_its_name_its_files_name_and_its_container(name):
    assert len(one(stocked(FACTS), name)) == 2


def test_an_image_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(UnknownName, match=r"has no image 'other' \(it has: /x/mpi.tar\)"):
        one(stocked(FACTS), "other")
