"""Sizes are bytes, times are seconds."""

from __future__ import annotations

import pytest

from im.topology.units import scalar, seconds, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 GB", 1_000_000_000),
        ("1 GiB", 1_073_741_824),
        ("512 MiB", 536_870_912),
        ("1.5 kB", 1500),
        ("10B", 10),
        ("2 gb", 2_000_000_000),
        ("  3   TB ", 3_000_000_000_000),
    ],
)
def test_sizes_become_bytes(text, expected):
    assert size(text) == expected


@pytest.mark.parametrize("value", ["1", "GB", "-1 GB", "1 GX", 1024, None, "1 GB 2", True])
def test_what_is_no_size_becomes_nothing(value):
    assert size(value) is None


def test_times_become_seconds():
    assert [seconds(text) for text in ("2 h", "10 m", "500 ms", "1 d")] == [7200, 600, 0.5, 86_400]


def test_bits_and_bytes_of_a_rate_are_not_the_same():
    assert (scalar("1 Mbps", "bitrate"), scalar("1 MBps", "bitrate")) == (1e6, 8e6)
    assert scalar("2.4 GHz", "frequency") == 2.4e9
