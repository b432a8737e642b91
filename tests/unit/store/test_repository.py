"""What the client remembers."""

import multiprocessing
import shutil
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from im.errors import InputError, StoreError, UnknownName
from im.events import Event
from im.plan.model import InfrastructureState, Node, NodeState
from im.store.repository import InfrastructureRecord, Store
from im.topology.model import (
    Hardware,
    InputDefinition,
    Network,
    NodeGroup,
    Operation,
    Output,
    Port,
    Software,
    Topology,
)

TOPOLOGY = Topology(
    description="all kinds of values",
    groups=(
        NodeGroup("front", front_end=True, hardware=Hardware(4, 8 << 30), ports=(Port(80, 81),), shared=("/home",)),
    ),
    networks=(Network("private", cidr="10.0.0.0/24"),),
    software=(
        Software(
            "mpi",
            "im.nodes.OpenMPI",
            "front",
            1,
            (Operation("mpi", "configure", "role", "openmpi", {"slots": {"get_attribute": ["SELF", "cpus"]}}),),
            {"mpi": {"family": "openmpi", "pmix": True, "version": 4.1, "none": None}},
        ),
    ),
    outputs=(Output("address", {"concat": ["http://", {"get_attribute": ["front", "public_address"]}]}),),
    inputs={"count": 3, "names": ["a", "b"], "on": False},
    input_definitions=(InputDefinition("count", "integer", default=1),),
)


@pytest.fixture
def store(tmp_path, database):
    shutil.copy(database, tmp_path)
    store = Store(tmp_path / "im.db", busy_timeout=0.05)
    yield store
    store.close()


def record(name="demo", id_="0000000a", **more):
    return InfrastructureRecord(id_, name, "fake", **more)


def node(name="worker-1", infrastructure="0000000a", **more):
    return Node(infrastructure, name, "worker", 1, f"token-{infrastructure}-{name}", **more)


def event(**more):
    return Event("0000000a", "node", "worker-1", "boot", "started", **more)


def test_a_record_comes_back_as_it_was_written(store):
    written = record(
        state=InfrastructureState.DEGRADED,
        reason="lost",
        message="worker-2 is lost",
        topology=TOPOLOGY,
        counts={"worker": 3},
        outputs={"address": "http://192.0.2.1", "list": [1, None]},
        expires=datetime(2030, 1, 1, tzinfo=UTC),
    )
    store.write(written)
    assert store.infrastructure("demo") == written


def test_a_node_comes_back_as_it_was_written(store):
    written = node(state=NodeState.READY, id="x", host_public_key="ssh-ed25519 AAAA", front_end=True, configured="d")
    written = replace(written, requested=datetime(2030, 1, 1, 12, 30, tzinfo=UTC), memory=8 << 40)
    store.write(record(), nodes=[written])
    assert store.infrastructure("demo").nodes == (written,)


def test_times_are_kept_whatever_their_zone(store):
    paris = timezone(timedelta(hours=1))
    store.write(record(expires=datetime(2030, 1, 1, 1, tzinfo=paris)))
    assert store.infrastructure("demo").expires == datetime(2030, 1, 1, 0, tzinfo=UTC)


def test_writing_again_changes_what_is_there(store):
    store.write(record(), nodes=[node()])
    store.write(record(message="new"), nodes=[node(message="new")])
    assert store.infrastructure("demo").message == store.infrastructure("demo").nodes[0].message == "new"


def test_the_front_end_comes_first_then_groups_and_indices(store):
    nodes = [
        Node("0000000a", "b-10", "b", 10, "1"),
        Node("0000000a", "b-9", "b", 9, "2"),
        Node("0000000a", "z", "z", 1, "3", front_end=True),
        Node("0000000a", "a-1", "a", 1, "4"),
    ]
    store.write(record(), nodes=nodes)
    assert [one.name for one in store.nodes("0000000a")] == ["z", "a-1", "b-9", "b-10"]


def test_an_infrastructure_is_found_by_name_and_by_id(store):
    store.write(record())
    assert store.infrastructure("demo").id == store.infrastructure("0000000a").id
    assert store.find("other") is None


def test_an_unknown_name_is_told_with_those_that_are_known(store):
    store.write(record())
    with pytest.raises(UnknownName, match="no infrastructure 'dmeo'"):
        store.infrastructure("dmeo")


def test_a_name_is_used_once_at_a_time(store):
    store.write(record())
    with pytest.raises(InputError, match="exists already"):
        store.write(record(id_="0000000b"))


def test_a_name_is_free_again_after_its_deletion(store):
    store.write(record(state=InfrastructureState.DELETED))
    store.write(record(id_="0000000b"))
    assert store.infrastructure("demo").id == "0000000b"
    assert [one.id for one in store.infrastructures()] == ["0000000b"]
    assert {one.id for one in store.infrastructures(deleted=True)} == {"0000000a", "0000000b"}


def test_events_get_numbers_that_only_grow(store):
    first, second = store.write(record(), events=[event(code="a"), event(code="b")])
    third = store.add_event(event(code="c"))
    assert first.seq < second.seq < third.seq
    assert [one.code for one in store.events("0000000a")] == ["a", "b", "c"]


def test_events_can_be_followed_from_any_number(store):
    written = store.write(events=[event(code=str(n)) for n in range(10)])
    assert store.events("0000000a", after=written[6].seq) == written[7:]
    assert store.events("0000000a", after=written[2].seq, limit=2) == written[3:5]


def test_an_event_comes_back_as_it_was_written(store):
    written = store.add_event(event(data={"done": 3, "total": 4, "log": "/x"}, message="ä"))
    assert store.events("0000000a") == (written,)


def test_all_of_a_change_is_written_or_nothing(store):
    store.write(record())
    orphan = node(infrastructure="ffffffff")
    with pytest.raises(StoreError, match="refuses"):
        store.write(record(message="changed"), nodes=[orphan], events=[event()])
    assert store.infrastructure("demo").message == ""
    assert store.events("0000000a") == ()


def test_a_node_that_is_gone_is_forgotten(store):
    store.write(record(), nodes=[node("a"), node("b")])
    store.write(gone=[node("a")])
    assert [one.name for one in store.nodes("0000000a")] == ["b"]


def test_several_threads_write_at_once(store):
    store.close()
    patient = Store(store.path)
    threads = [threading.Thread(target=lambda: [patient.add_event(event()) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.seq for one in patient.events("0000000a")}) == 160
    patient.close()


def _append(path):
    store = Store(path)
    for _ in range(20):
        store.add_event(event())


def test_several_processes_open_a_new_store_and_write_at_once(tmp_path):
    path = tmp_path / "new.db"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_append, args=(path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(Store(path).events("0000000a")) == 80


def test_a_reader_does_not_wait_for_a_writer(store):
    store.write(record())
    with store._writing() as connection:
        connection.exec_driver_sql("delete from infrastructures")
        assert store.infrastructure("demo").id == "0000000a"


# what can go wrong


def test_a_locked_database_is_told_as_such(store):
    other = sqlite3.connect(store.path)
    other.execute("begin exclusive")
    with pytest.raises(StoreError, match="database is locked") as caught:
        store.write(record())
    assert "another program has held it" in caught.value.hint
    other.close()


def test_a_full_disk_is_told_as_such_and_nothing_is_half_written(store):
    store.write(record())
    with store._reading() as connection:
        pages = connection.exec_driver_sql("pragma page_count").scalar()
    import sqlalchemy

    sqlalchemy.event.listen(store._engine, "begin", lambda c: c.exec_driver_sql(f"pragma max_page_count = {pages}"))
    with pytest.raises(StoreError, match="full") as caught:
        store.write(record(message="x" * 10_000_000))
    assert "free some disk space" in caught.value.hint
    assert store.infrastructure("demo").message == ""


def test_a_file_that_is_no_database_is_told_as_such(tmp_path):
    (tmp_path / "im.db").write_text("no database " * 1000)
    with pytest.raises(StoreError, match="file is not a database") as caught:
        Store(tmp_path / "im.db")
    assert str(tmp_path / "im.db") in caught.value.message


def test_a_folder_that_cannot_be_made_is_told_as_such(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="File exists"):
        Store(tmp_path / "file" / "im.db")


def test_only_the_owner_may_read_it(tmp_path):
    store = Store(tmp_path / "new" / "im.db")
    store.write(record())
    assert oct((tmp_path / "new").stat().st_mode & 0o777) == "0o700"
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "new").glob("im.db*")} == {"0o600"}
