"""Slurm's configuration: what nodes have, and nothing that is not there."""

from __future__ import annotations

import jinja2

from im.data_files import data_folder

GIB = 1 << 30


def rendered(*nodes, database=False):
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["bool"] = bool
    text = (data_folder("recipes") / "slurm/templates/slurm.conf.j2").read_text()
    members = [
        {"name": name, "address": f"10.0.0.{i}", "slots": slots, "memory": memory}
        for i, (name, slots, memory) in enumerate(nodes, 2)
    ]
    lines = environment.from_string(text).render(im_front_end="front", im_nodes=members, slurm_has_database=database)
    return [line for line in lines.splitlines() if line]


def only(lines, key):
    return [line for line in lines if line.startswith(f"{key}=")]


def test_a_worker_offers_its_processors_and_nine_tenths_of_its_memory():
    lines = rendered(("front", 0, GIB), ("worker-1", 4, 4 * GIB), ("worker-2", 2, GIB))
    assert only(lines, "NodeName") == [
        "NodeName=worker-1 NodeAddr=10.0.0.3 CPUs=4 RealMemory=3686 State=UNKNOWN",
        "NodeName=worker-2 NodeAddr=10.0.0.4 CPUs=2 RealMemory=921 State=UNKNOWN",
    ]


def test_a_job_that_asks_for_no_memory_gets_the_share_that_every_node_has():
    lines = rendered(("worker-1", 4, 4 * GIB), ("worker-2", 2, GIB))
    assert only(lines, "PartitionName")[0].endswith("DefMemPerCPU=460")


def test_a_front_end_that_works_is_a_node_as_well():
    assert len(only(rendered(("front", 2, GIB), ("worker-1", 2, GIB)), "NodeName")) == 2


def test_a_sub_cluster_may_have_no_worker_yet():
    lines = rendered(("front", 0, GIB))
    assert only(lines, "NodeName") == ["NodeName=none CPUs=1 State=FUTURE"]
    assert only(lines, "PartitionName")


def test_of_a_node_whose_memory_nobody_told_little_is_promised():
    assert "RealMemory=921" in only(rendered(("worker-1", 1, 0)), "NodeName")[0]


def test_accounts_are_kept_in_the_database_where_there_is_one_else_in_a_file():
    workers = [("worker-1", 1, GIB)]
    assert only(rendered(*workers), "JobCompType") == ["JobCompType=jobcomp/filetxt"]
    assert only(rendered(*workers, database=True), "AccountingStorageType") == [
        "AccountingStorageType=accounting_storage/slurmdbd"
    ]
