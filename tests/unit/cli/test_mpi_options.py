"""What may be said on the command line of `mpi run`, and what is refused before anything is opened."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from im.cli.mpi import command, parse_mount, parse_time, parse_variable
from im.cli.sweep import parse_memory
from im.jobs.engines import Mount


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("30m", 1800), ("2h", 7200), ("0", 0)])
def test_a_time_has_a_unit_or_is_seconds(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "1d", "1h30m"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(click.BadParameter):
        parse_time(text)


def test_a_mount_has_two_absolute_paths_and_may_be_protected():
    assert parse_mount("/data:/in") == Mount("/data", "/in")
    assert parse_mount("/a b:/in:ro") == Mount("/a b", "/in", read_only=True)


@pytest.mark.parametrize("text", ["/data", "data:/in", "/data:in", "/data:/in:rw", ""])
def test_what_is_no_mount_is_refused(text):
    with pytest.raises(click.BadParameter):
        parse_mount(text)


def test_a_variable_may_have_any_value():
    assert parse_variable("A_1=a b=c") == ("A_1", "a b=c")
    assert parse_variable("A=") == ("A", "")


@pytest.mark.parametrize("text", ["A", "=x", "A B=x", "--privileged -e A=x", "1A=x", "A;b=x"])
def test_what_is_no_variable_is_refused(text):
    with pytest.raises(click.BadParameter):
        parse_variable(text)


@pytest.mark.parametrize("text", ["0", "0M", "5bananas", "-1", "1.5G"])
def test_what_is_no_size_is_refused(text):
    assert parse_memory("500M") == "500M"
    with pytest.raises(click.BadParameter):
        parse_memory(text)


def test_a_wrong_option_is_named_before_a_sub_cluster_is_looked_for():
    words = ["run", "no-such", "-n", "2", "--image", "x", "--time", "soon", "--", "true"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 2
    assert "--time: 'soon' is not a time: 90, 90s, 30m or 2h" in result.output
