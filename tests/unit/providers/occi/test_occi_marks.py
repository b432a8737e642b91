"""A mark written into a title is found again in it, and nobody else's title is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from im.errors import InputError
from im.providers.occi.grammar import checked
from im.providers.occi.marks import NetworkMark, ServerMark, VolumeMark, network_mark, read_mark, server_mark

parts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)
marks = (
    st.builds(ServerMark, parts, parts, st.integers(0, 10**6), parts, parts)
    | st.builds(NetworkMark, parts, parts)
    | st.builds(VolumeMark, parts, parts, parts)
)


@given(mark=marks)
def test_a_mark_is_read_as_it_was_written(mark):
    assert read_mark(str(mark)) == mark


@given(mark=marks)
def test_a_mark_is_one_line_of_plain_letters(mark):
    title = str(mark)
    assert title.isascii()
    assert checked(title) == title
    assert not set(title) & set("\"',;\\<> ")


@given(title=st.text(max_size=60))
def test_somebody_elses_title_is_no_mark(title):
    mark = read_mark(title)
    assert mark is None or ":im" in title


@pytest.mark.parametrize("title", ["", "web", "a:im", "a:im:b:c:d:e", "a:im::1:t:g", "a:im:i:1::g", "a:imx:i", "b:im"])
def test_what_only_looks_like_a_mark_is_none(title):
    assert read_mark(title) is None


def test_a_network_is_no_server():
    title = str(NetworkMark("1234", "private"))
    assert server_mark(title) is None
    assert network_mark(title) == NetworkMark("1234", "private")


def test_a_mark_that_is_too_long_is_refused_in_words():
    with pytest.raises(InputError, match="OCCI has 255"):
        str(ServerMark("1234", "ж" * 60, 1, "worker-1", "abcd"))
