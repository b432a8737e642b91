from __future__ import annotations

from pathlib import Path

from im.jobs.engines import ENGINES
from im.jobs.facts import ClusterFacts
from im.jobs.images import Image
from im.jobs.preparation import missing, names, request
from im.plan.model import Cluster, Node

FRONT = Node("1234abcd", "front", "front", 1, "token-1", front_end=True)
WORKER = Node("1234abcd", "w-1", "worker", 1, "token-2")
IMAGE = Image("debian:12", "registry", "ab" * 32)


def cluster(*nodes):
    return Cluster(infrastructure="1234abcd", name="lab", user="hpc", keys="/keys", nodes=nodes, shared=("/home",))


def test_an_image_in_the_shared_home_serves_all_nodes():
    assert set(names(cluster(FRONT, WORKER), ENGINES["udocker"], IMAGE, ("w-1",))) == {"front"}


def test_the_front_end_is_the_first_of_nodes_that_keep_their_own():
    assert list(names(cluster(FRONT, WORKER), ENGINES["podman"], IMAGE, ("w-1",))) == ["front", "w-1"]


def test_a_node_that_takes_the_place_of_another_does_not_have_its_images():
    before = names(cluster(FRONT, WORKER), ENGINES["podman"], IMAGE, ("w-1",))
    replaced = Node("1234abcd", "w-1", "worker", 1, "token-3")
    after = names(cluster(FRONT, replaced), ENGINES["podman"], IMAGE, ("w-1",))
    facts = ClusterFacts("/home/hpc", (), images={name: {} for name in before.values()})
    assert set(missing(facts, after)) == {"w-1"}


def test_an_account_is_asked_for_only_where_a_registry_is():
    facts = ClusterFacts("/home/hpc", ())
    archive = Image("mpi.tar", "oci", "ab" * 32, Path(__file__))
    assert request(facts, ENGINES["podman"], IMAGE, "w-1", "r")["account"] == "docker.io"
    assert request(facts, ENGINES["podman"], archive, "w-1", "r")["account"] == ""


def test_a_request_tells_no_secret_and_where_an_archive_goes():
    wanted = request(ClusterFacts("/home/hpc", ()), ENGINES["podman"], IMAGE, "w-1", "r")
    assert (wanted["record"], wanted["archive"]) == (".im/images/r.json", "")
    assert wanted["facts"]["node"] == "w-1"
