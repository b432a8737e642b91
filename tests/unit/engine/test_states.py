"""The transition table."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from im.engine import states
from im.engine.journal import INFRASTRUCTURE_EVENTS, NODE_EVENTS, Journal, Move
from im.engine.states import INFRASTRUCTURE, NODE, IllegalTransition, check
from im.plan.model import InfrastructureState, Node, NodeState
from im.store.repository import InfrastructureRecord


def test_every_state_is_in_the_table():
    assert set(NODE) == set(NodeState)
    assert set(INFRASTRUCTURE) == set(InfrastructureState)


def test_every_state_but_the_last_can_be_deleted():
    for table, deleting, last in (
        (NODE, NodeState.DELETING, {NodeState.GONE, NodeState.DELETING}),
        (INFRASTRUCTURE, InfrastructureState.DELETING, {InfrastructureState.DELETED, InfrastructureState.DELETING}),
    ):
        assert all(deleting in table[state] for state in table.keys() - last)


def test_nothing_follows_the_end():
    assert NODE[NodeState.GONE] == INFRASTRUCTURE[InfrastructureState.DELETED] == frozenset()


def test_every_change_of_a_node_has_an_event():
    assert set(NODE_EVENTS) == set(NodeState)
    assert set(INFRASTRUCTURE_EVENTS) == set(InfrastructureState) - {InfrastructureState.FAILED}


@given(before=st.sampled_from(list(NodeState)), after=st.sampled_from(list(NodeState)))
def test_what_the_table_does_not_have_raises(before, after):
    if after is before or after in NODE[before]:
        check(NODE, "worker-1", before, after)
    else:
        with pytest.raises(IllegalTransition, match=f"worker-1 cannot go from {before} to {after}"):
            check(NODE, "worker-1", before, after)


def test_an_illegal_change_is_not_written(lab):
    record = InfrastructureRecord("0000000a", "demo", "fake")
    node = Node("0000000a", "worker-1", "worker", 1, "t", NodeState.READY)
    lab.store.write(record, nodes=[node])
    journal = Journal(lab.store, lab.events.append, record)
    with pytest.raises(states.IllegalTransition):
        journal.advance([Move(node, NodeState.BUILDING)])
    assert lab.store.nodes("0000000a") == (node,)
    assert lab.events == []


def test_a_change_is_a_row_and_an_event_with_reason_and_message(lab):
    record = InfrastructureRecord("0000000a", "demo", "fake")
    node = Node("0000000a", "worker-1", "worker", 1, "t", NodeState.BOOTING)
    lab.store.write(record, nodes=[node])
    journal = Journal(lab.store, lab.events.append, record)
    journal.advance([Move(node, NodeState.FAILED, "ssh-timeout", "no answer")])
    (row,) = lab.store.nodes("0000000a")
    (event,) = lab.events
    assert (row.state, row.reason, row.message) == (NodeState.FAILED, "ssh-timeout", "no answer")
    assert (event.scope, event.subject, event.kind, event.code, event.message) == (
        "node",
        "worker-1",
        "failed",
        "ssh-timeout",
        "no answer",
    )
    assert event.seq > 0


@pytest.mark.parametrize("table", [NODE, INFRASTRUCTURE])
def test_the_table_is_documented_as_it_is(table):
    text = (Path(__file__).parents[3] / "docs" / "engine.md").read_text()
    for state, following in table.items():
        names = ", ".join(f"`{name}`" for name in sorted(following)) or "nothing"
        assert f"| `{state}` | {names} |" in text
