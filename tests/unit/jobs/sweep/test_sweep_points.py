"""Where the points of a scan come from."""

from __future__ import annotations

import pytest

from im.errors import InputError
from im.jobs.sweep import points


def file(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_table_has_a_point_a_line_and_names_in_the_first(tmp_path):
    path = file(tmp_path, "points.csv", 'm0,m12\n1, 2\n\n"a, b",\n')
    assert points.read(path) == [{"m0": "1", "m12": "2"}, {"m0": "a, b", "m12": ""}]


def test_a_table_may_come_from_a_spreadsheet(tmp_path):
    assert points.read(file(tmp_path, "points.csv", "\ufeffm0\r\n1\r\n")) == [{"m0": "1"}]


def test_a_grid_is_every_combination_the_last_parameter_first(tmp_path):
    path = file(tmp_path, "grid.yaml", "m0: [1, 2]\nm12: {from: 0, to: 1, steps: 3}\nmodel: cmssm\n")
    found = points.read(path)
    assert len(found) == 6
    assert found[1] == {"m0": "1", "m12": "0.5", "model": "cmssm"}
    assert found[-1] == {"m0": "2", "m12": "1.0", "model": "cmssm"}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("p.csv", "", "holds no point"),
        ("p.csv", "a,b\n", "holds no point"),
        ("p.csv", "a,b\n1\n", "line 2 has 1 values, not 2"),
        ("p.csv", "a,a\n1,2\n", "'a' cannot be a parameter's name"),
        ("p.csv", "a b\n1\n", "'a b' cannot be"),
        ("p.csv", "point\n1\n", "'point' cannot be"),
        ("p.yaml", "- 1\n", "must be a mapping"),
        ("p.yaml", "a: {from: 1, to: 2}\n", "a range has from, to and steps"),
        ("p.yaml", "a: [1", "is no list of points"),
    ],
)
def test_what_is_no_list_of_points_is_refused_with_the_reason(tmp_path, name, text, reason):
    with pytest.raises(InputError) as caught:
        points.read(file(tmp_path, name, text))
    assert reason in str(caught.value)


def test_a_parameter_that_no_point_has_is_named():
    points.check_command(["./run.sh", "--m0={m0}", "{point}"], ["m0"])
    with pytest.raises(InputError, match="no parameter 'm1'"):
        points.check_command(["./run.sh", "{m1}"], ["m0"])
