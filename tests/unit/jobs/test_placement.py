from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from im.errors import InputError
from im.jobs.facts import Member
from im.jobs.placement import Share, place, spread

TWO = (Member("w-1", "10.0.0.2", 2), Member("w-2", "10.0.0.3", 2))
SLOTS = st.lists(st.integers(0, 5), min_size=1, max_size=6)


def members(slots):
    return tuple(Member(f"n{index}", "", count) for index, count in enumerate(slots))


def test_nodes_are_filled_in_their_order():
    assert place(3, TWO) == (Share("w-1", 2), Share("w-2", 1))


def test_nodes_that_get_no_rank_are_left_out():
    assert place(2, TWO) == (Share("w-1", 2),)


def test_too_many_ranks_are_refused_with_the_slots_of_every_node():
    with pytest.raises(InputError) as caught:
        place(5, TWO)
    assert str(caught.value) == "-n: 5 ranks do not fit: the sub-cluster has 4 slots (slots: w-1 2, w-2 2)"
    assert caught.value.exit_status == 2


@given(SLOTS, st.integers(1, 40))
def test_every_rank_has_a_slot_or_none_starts(slots, ranks):
    if ranks > sum(slots):
        with pytest.raises(InputError):
            place(ranks, members(slots))
        return
    shares = place(ranks, members(slots))
    assert sum(share.ranks for share in shares) == ranks
    assert all(0 < share.ranks <= slots[int(share.node[1:])] for share in shares)


def test_two_ranks_are_spread_over_two_nodes_if_there_are_two():
    assert spread(2, TWO) == (Share("w-1", 1), Share("w-2", 1))
    assert spread(2, TWO[:1]) == (Share("w-1", 2),)
    assert spread(2, members([0])) == ()
