"""Inputs come from files and from the command line, which wins."""

from __future__ import annotations

import pytest

from im.data_files import data_folder
from im.errors import InputError
from im.sources.load import load, read_inputs


def test_values_are_read_as_yaml():
    pairs = ["n=3", "f=1.5", "b=true", "t=1 GB", "l=[ 1, a ]", 'q="3"', "e=", "x=a=b", "z=007", "u=http://h:1/p"]
    assert read_inputs(pairs, []) == {
        "n": 3,
        "f": 1.5,
        "b": True,
        "t": "1 GB",
        "l": [1, "a"],
        "q": "3",
        "e": "",
        "x": "a=b",
        "z": "007",
        "u": "http://h:1/p",
    }


def test_pairs_win_over_files_and_later_over_earlier(tmp_path):
    (tmp_path / "a.yaml").write_text("x: 1\ny: 1\nz: 1\n")
    (tmp_path / "b.yaml").write_text("y: 2\nz: 2\n")
    assert read_inputs(["z=3", "z=4"], [tmp_path / "a.yaml", tmp_path / "b.yaml"]) == {"x": 1, "y": 2, "z": 4}


def test_an_empty_file_gives_nothing(tmp_path):
    (tmp_path / "a.yaml").write_text("# nothing\n")
    assert read_inputs([], [tmp_path / "a.yaml"]) == {}


@pytest.mark.parametrize("pair", ["workers", "=3", " =3", "x=[1", "x={a"])
def test_a_pair_that_is_none_is_refused(pair):
    with pytest.raises(InputError):
        read_inputs([pair], [])


@pytest.mark.parametrize("content", ["- a\n", "text\n", "a: [\n", "a: 1\na: 2\n"])
def test_a_file_that_holds_no_inputs_is_refused_with_its_name(tmp_path, content):
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(InputError) as caught:
        read_inputs([], [tmp_path / "a.yaml"])
    assert str(tmp_path / "a.yaml") in caught.value.where


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read"):
        read_inputs([], [tmp_path / "none.yaml"])


def test_a_number_may_be_given_for_a_text():
    topology = load(data_folder("tosca_templates") / "mpi_cluster.yaml", read_inputs(["image=24.10"], []))
    assert topology.front_end.os.image == "24.10"
