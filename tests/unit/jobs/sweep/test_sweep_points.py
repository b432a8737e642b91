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


def test_a_value_in_quotes_may_have_line_breaks_and_every_value_what_else_ends_lines(tmp_path):
    path = tmp_path / "points.csv"
    path.write_bytes('a,b\r\n"x\ny",1\r\nu\u2028v\x0cw,2\r\n'.encode())
    assert points.read(path) == [{"a": "x\ny", "b": "1"}, {"a": "u\u2028v\x0cw", "b": "2"}]


def test_the_values_of_a_grid_are_as_they_were_written(tmp_path):
    found = points.read(file(tmp_path, "grid.yaml", "a: [010, yes, 1e-3, null, 2026-01-01, '']\n"))
    assert [point["a"] for point in found] == ["010", "yes", "1e-3", "null", "2026-01-01", ""]


@pytest.mark.parametrize(
    ("ends", "values"),
    [
        ("from: 1e-15, to: 3e-15, steps: 3", ["1e-15", "2e-15", "3e-15"]),
        ("from: -1, to: 1, steps: 21", ["-1.0", "-0.9", "0.0", "1.0"]),
        ("from: 0, to: 1, steps: 4", ["0.0", "0.3333333333333333", "1.0"]),
        ("from: 5, to: 9, steps: 1", ["5.0"]),
    ],
)
def test_a_range_is_spaced_evenly_however_small(tmp_path, ends, values):
    found = [point["a"] for point in points.read(file(tmp_path, "grid.yaml", f"a: {{{ends}}}\n"))]
    assert set(values) <= set(found)
    assert (found[0], found[-1]) == (values[0], values[-1])


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
        ("p.csv", f"a\n{'x' * 200_000}\n", "field larger than field limit"),
        ("p.csv", "a\nx\0y\n", "zero byte"),
        ("p.yaml", 'a: "x\\0y"\n', "zero byte"),
        ("p.yaml", "a: [[1, 2], {x: 1}]\n", "each value of a must be a number or text"),
        ("p.yaml", "a: {from: null, to: 1, steps: 2}\n", "could not convert string to float: 'null'"),
        ("p.yaml", "a: {from: [1], to: 1, steps: 2}\n", "a range has from, to and steps"),
        ("p.yaml", "a: {from: .inf, to: 1, steps: 2}\n", "could not convert string to float: '.inf'"),
        ("p.yaml", "a: {from: nan, to: 1, steps: 2}\n", "a range has no end nan"),
        ("p.yaml", "a: {from: 0, to: 1, steps: 2.5}\n", "is no list of points"),
        ("p.yaml", "a: {from: 0, to: 1, steps: 1000000000}\n", "the steps of a must be 1 to 1,000,000"),
        ("p.yaml", f"a: &x [{'1, ' * 2000}]\nb: *x\n", "more than 1,000,000 points"),
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
