from __future__ import annotations

from dataclasses import replace

import pytest

from im.errors import InputError
from im.jobs.build import Recipe, builder, digest_of, script
from im.jobs.facts import ClusterFacts

FACTS = ClusterFacts("/home/hpc", (), engines=("udocker", "podman", "docker"), registry="http://front:5000")


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM debian:12\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "tool").write_text("1")
    return Recipe("mpi", tmp_path)


def test_the_digest_changes_with_everything_that_the_image_is_made_of(recipe):
    digests = [digest_of(recipe)]
    (recipe.folder / "sub" / "tool").write_text("2")
    digests.append(digest_of(recipe))
    (recipe.folder / "sub" / "tool").chmod(0o755)
    digests.append(digest_of(recipe))
    (recipe.folder / "link").symlink_to("sub")
    digests += [digest_of(each) for each in (recipe, replace(recipe, arguments={"A": "1"}), replace(recipe, base="x"))]
    assert len(set(digests)) == len(digests)


def test_the_digest_does_not_change_by_itself(recipe, tmp_path):
    before = digest_of(recipe)
    (tmp_path / "Dockerfile").write_text("FROM debian:12\n")
    assert digest_of(recipe) == before


def test_a_folder_without_dockerfile_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no Dockerfile"):
        digest_of(Recipe("mpi", tmp_path))


def test_a_name_of_one_word_is_not_docker_hubs(recipe):
    assert (recipe.repository, replace(recipe, name="lab/mpi").repository) == ("im/mpi", "lab/mpi")


def test_the_first_engine_that_can_build_does():
    assert builder(FACTS) == "podman"
    assert builder(replace(FACTS, engines=("docker",))) == "docker"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (replace(FACTS, registry=""), r"no registry of its own \(add im\.nodes\.Registry"),
        (replace(FACTS, engines=("udocker",)), "no engine that builds images"),
    ],
)
def test_what_a_cluster_lacks_is_named(facts, message):
    with pytest.raises(InputError, match=message):
        builder(facts)


def test_words_reach_the_builder_whole_and_the_files_go_afterwards():
    text = script("podman", "front:5000/im/mpi:1", "/home/h p/b", {"A": "x y"})
    assert "--build-arg 'A=x y' '/home/h p/b' && podman push --tls-verify=false front:5000/im/mpi:1" in text
    assert text.startswith("trap ")
