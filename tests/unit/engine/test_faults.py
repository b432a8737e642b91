"""What goes wrong in a cloud, and what we do about it."""

from dataclasses import replace

import pytest
from engine_lab import cluster

from im.errors import NoCapacity, NotPermitted, ProviderError, ProviderUnavailable, SshError, StoreError
from im.plan.model import InfrastructureState, Instance, NodeState
from im.providers.base import Capability
from im.providers.fake import Fault
from im.store.repository import Store


def down(call, **more):
    return Fault(call, error=ProviderUnavailable("HTTP 503", where="cloud fake"), **more)


# a worker's sshd never answers


def test_a_front_end_that_is_the_only_way_in_and_never_answers_is_not_waited_for_for_ever(lab):
    lab.provider.capabilities -= {Capability.DIRECT}
    lab.behave(mute=frozenset({"front-end"}))
    began = lab.clock.monotonic()
    with pytest.raises(SshError, match=r"front-end.*for 300 s nobody could log in: .* refuses connections"):
        lab.deploy()
    assert lab.clock.monotonic() - began < 3600


def test_a_worker_that_never_answers_leaves_a_degraded_cluster_that_works(lab):
    lab.behave(mute=frozenset({"worker-2"}))
    record = lab.deploy()
    assert record.state is InfrastructureState.DEGRADED
    said = "worker-2 is failed: it runs, but for 300 s nobody could log in: 10.0.0.3 refuses connections to port 22"
    assert said in record.message
    assert any(said in line and "see its console log" in line for line in lab.engine().why("demo"))
    assert lab.node("worker-1").state is NodeState.READY
    assert lab.servers == ["front-end", "worker-1", "worker-2"]


def test_its_console_is_kept_as_evidence(lab):
    lab.behave(mute=frozenset({"worker-2"}))
    record = lab.deploy()
    log = lab.settings.infrastructure_folder(record.id) / "logs" / "worker-2-console.log"
    assert "the kernel of worker-2 has booted" in log.read_text()
    assert any("the kernel of worker-2 has booted" in line for line in lab.engine().why("demo"))


def test_the_next_deploy_does_not_replace_a_worker_that_answers_by_now(lab):
    lab.behave(mute=frozenset({"worker-2"}))
    lab.deploy()
    ids = {server.id for server in lab.provider.servers()}
    lab.behave()
    assert lab.deploy().state is InfrastructureState.READY
    assert {server.id for server in lab.provider.servers()} == ids


def test_the_next_deploy_replaces_a_worker_that_still_does_not_answer(lab):
    lab.behave(mute=frozenset({"worker-2"}))
    lab.deploy()
    before = lab.node("worker-2")
    assert lab.deploy().state is InfrastructureState.DEGRADED
    assert lab.node("worker-2").token != before.token
    assert len(lab.servers) == 3


def test_no_worker_at_all_is_a_failure(lab):
    lab.behave(mute=frozenset({"worker-1", "worker-2"}))
    with pytest.raises(SshError, match="node worker-1"):
        lab.deploy()
    assert lab.record.state is InfrastructureState.FAILED
    assert len(lab.servers) == 3


def test_fewer_workers_than_the_template_needs_are_a_failure(lab):
    lab.behave(mute=frozenset({"worker-3"}))
    with pytest.raises(SshError, match="node worker-3"):
        lab.deploy(cluster(workers=3, min_count=3))


def test_a_front_end_that_never_answers_is_a_failure(lab):
    lab.behave(mute=frozenset({"front-end"}))
    with pytest.raises(SshError, match="node front-end"):
        lab.deploy()
    assert len(lab.servers) == 3


def test_a_wrong_host_key_is_not_waited_for(lab):
    def reach(cluster, node):
        if node.name == "worker-1":
            raise SshError("the host key is not ours", where="node worker-1")

    lab.contextualizer.reach = reach
    assert lab.deploy().state is InfrastructureState.DEGRADED
    assert "the host key is not ours" in lab.node("worker-1").message
    assert lab.clock.monotonic() < 60


def test_a_front_end_that_does_not_come_back_after_a_stop_is_waited_for_again(lab):
    lab.deploy()
    before = lab.node("front-end")
    lab.engine().stop("demo")
    lab.behave(mute=frozenset({"front-end"}))
    for _ in range(2):
        with pytest.raises(SshError, match="node front-end"):
            lab.engine().start("demo")
    lab.behave()
    assert lab.deploy().state is InfrastructureState.READY
    assert lab.node("front-end").id == before.id


# a server in error


def test_a_server_in_error_is_kept_and_the_others_work(lab):
    lab.behave(errors={"worker-2": 1})
    record = lab.deploy(cluster(on_failure="keep"))
    assert record.state is InfrastructureState.DEGRADED
    assert "worker-2 is failed: no valid host was found" in record.message
    assert len(lab.servers) == 3


def test_a_server_in_error_is_replaced_if_the_template_says_so(lab):
    lab.behave(errors={"worker-2": 2})
    record = lab.deploy(cluster(on_failure="replace"))
    assert record.state is InfrastructureState.READY
    assert lab.servers == ["front-end", "worker-1", "worker-2"]
    assert lab.codes("worker-2").count("replace") == 2


def test_a_server_is_replaced_only_twice(lab):
    lab.behave(errors={"worker-2": 99})
    record = lab.deploy(cluster(on_failure="replace"))
    assert record.state is InfrastructureState.DEGRADED
    assert lab.codes("worker-2").count("requested") == 3
    assert len(lab.servers) == 3


def test_a_server_in_error_stops_everything_if_the_template_says_so(lab):
    lab.behave(errors={"worker-2": 1})
    with pytest.raises(ProviderError, match="node worker-2: no valid host was found"):
        lab.deploy(cluster(on_failure="abort"))
    assert lab.record.state is InfrastructureState.FAILED
    assert len(lab.servers) == 3


def test_the_next_deploy_repairs_what_failed(lab):
    lab.behave(errors={"worker-2": 1})
    lab.deploy()
    assert lab.deploy().state is InfrastructureState.READY
    assert lab.servers == ["front-end", "worker-1", "worker-2"]


def test_a_server_that_is_never_finished_is_given_up_after_the_boot_timeout(lab):
    lab.behave(build_time=10_000.0)
    with pytest.raises(ProviderError, match="nothing else has changed for 600 s"):
        lab.deploy()
    assert 600 < lab.clock.monotonic() < 700


def test_a_configured_front_end_in_error_is_neither_replaced_nor_waited_for(lab):
    lab.deploy(cluster(on_failure="replace"))
    before = lab.node("front-end")
    with lab.provider._cloud.open() as state:
        state.change(state.servers[before.id], broken=True)
    for _ in range(2):
        with pytest.raises(ProviderError, match="its disk may hold your data"):
            lab.deploy(cluster(on_failure="replace"))
    with lab.provider._cloud.open() as state:
        state.change(state.servers[before.id], broken=False)
    assert lab.deploy(cluster(on_failure="replace")).state is InfrastructureState.READY
    assert lab.node("front-end").id == before.id


# a create whose answer is lost


def test_a_cloud_that_never_takes_a_create_is_given_up(lab):
    lab.behave(faults=(down("create", first=2, times=1000),))
    with pytest.raises(ProviderError, match="nothing else has changed for 600 s"):
        lab.deploy()
    assert lab.record.state is InfrastructureState.FAILED


def test_a_cloud_that_does_not_delete_a_stray_is_told_and_given_up(lab):
    lab.deploy()
    lab.provider.delete = lambda ids: None
    with lab.provider._cloud.open() as state:
        original = state.servers[lab.node("worker-1").id]
        state.servers["copy"] = type(original)(**(_fields(original) | {"id": "copy"}))
    with pytest.raises(ProviderError, match="server copy is still there"):
        lab.deploy()


def test_a_create_that_timed_out_but_happened_is_found_and_not_repeated(lab):
    lab.behave(faults=(down("create", first=2, happens=True),))
    assert lab.deploy().state is InfrastructureState.READY
    assert lab.servers == ["front-end", "worker-1", "worker-2"]
    assert lab.provider.calls["create"] == 2


def test_a_create_that_timed_out_and_did_not_happen_is_repeated_with_the_same_token(lab):
    lab.behave(faults=(down("create", first=2),))
    assert lab.deploy().state is InfrastructureState.READY
    assert lab.servers == ["front-end", "worker-1", "worker-2"]
    assert lab.provider.calls["create"] == 3
    assert lab.codes("worker-1").count("requested") == 2


def test_a_create_that_happened_late_is_not_doubled_although_the_listings_are_stale(lab):
    lab.behave(staleness=8.0, faults=(down("create", first=2, happens=True),))
    assert lab.deploy().state is InfrastructureState.READY
    assert lab.servers == ["front-end", "worker-1", "worker-2"]


def test_servers_that_the_store_has_forgotten_are_found_by_their_mark(lab):
    lab.deploy()
    lab.store.write(gone=[lab.node("worker-2")])
    lab.provider.calls.clear()
    assert lab.deploy().state is InfrastructureState.READY
    assert lab.provider.calls["create"] == 0
    assert lab.servers == ["front-end", "worker-1", "worker-2"]


def test_a_duplicate_is_removed(lab):
    lab.deploy()
    spec = lab.node("worker-1")
    with lab.provider._cloud.open() as state:
        original = state.servers[spec.id]
        state.servers["copy"] = type(original)(**(_fields(original) | {"id": "copy"}))
    assert len(lab.servers) == 4
    lab.deploy()
    assert {server.id for server in lab.provider.servers()} == {node.id for node in lab.record.nodes}


def _fields(server):
    return {name: getattr(server, name) for name in type(server).__dataclass_fields__}


# no room


def test_a_group_without_room_fails_and_says_what_the_cloud_said(lab):
    lab.behave(capacity=1)
    with pytest.raises(NoCapacity, match="2 servers do not fit, there is room for 0"):
        lab.deploy()
    assert lab.record.state is InfrastructureState.FAILED
    assert lab.servers == ["front-end"]


def test_all_that_have_no_room_are_named(lab):
    lab.behave(capacity=1)
    with pytest.raises(NoCapacity, match="worker-2, worker-3 failed as well"):
        lab.deploy(cluster(workers=3))


def test_when_the_cloud_has_room_for_some_they_work_the_rest_is_named_and_the_same_command_continues(lab):
    message = "no valid host was found (request req-7)"
    create = lab.provider.create

    def partly(specs):
        if specs[0].group == "worker" and len(specs) > 2:
            made = create(specs[:2])
            refused = [Instance("", s.infrastructure, s.group, s.index, s.name, s.token, "error") for s in specs[2:]]
            return (*made, *(replace(one, message=message) for one in refused))
        return create(specs)

    lab.provider.create = partly
    record = lab.deploy(cluster(workers=4))
    assert record.state is InfrastructureState.DEGRADED
    assert record.message == f"worker-3 is failed: {message}; worker-4 is failed: {message}"
    assert any("req-7" in line for line in lab.engine().why("demo"))
    ids = {server.id for server in lab.provider.servers()}
    lab.provider.create = create
    assert lab.deploy(cluster(workers=4)).state is InfrastructureState.READY
    assert ids < {server.id for server in lab.provider.servers()}
    lab.engine().delete("demo")
    assert lab.servers == []
    assert lab.provider.infrastructures() == {}


def test_when_there_is_room_again_the_same_command_continues(lab):
    lab.behave(capacity=1)
    with pytest.raises(NoCapacity):
        lab.deploy()
    lab.behave()
    assert lab.deploy().state is InfrastructureState.READY
    assert lab.servers == ["front-end", "worker-1", "worker-2"]


# the cloud is away


@pytest.mark.parametrize("call", ["list", "prepare"])
def test_a_cloud_that_is_away_for_a_while_only_costs_time(lab, call):
    lab.behave(faults=(down(call, times=4),))
    assert lab.deploy().state is InfrastructureState.READY
    retries = [event for event in lab.events if event.kind == "retry"]
    assert [event.data["attempt"] for event in retries] == [2, 3, 4, 5]


def test_a_cloud_that_is_away_during_a_delete_only_costs_time(lab):
    lab.deploy()
    lab.behave(faults=(down("delete", times=3), down("release", times=3)))
    lab.engine().delete("demo")
    assert lab.servers == []


def test_what_a_provider_raises_by_mistake_is_told_as_an_error_of_the_cloud(lab):
    lab.behave(faults=(Fault("list", error=ValueError("not JSON")),))
    with pytest.raises(ProviderError, match="listing servers failed: ValueError: not JSON"):
        lab.deploy()
    assert lab.record.state is InfrastructureState.FAILED


def test_missing_permission_is_told_at_once(lab):
    lab.behave(faults=(Fault("create", error=NotPermitted("role member is missing")),))
    with pytest.raises(NotPermitted):
        lab.deploy()
    assert lab.record.state is InfrastructureState.FAILED
    assert lab.record.reason == "not-permitted"


def test_an_error_before_anything_is_touched_leaves_a_ready_infrastructure_ready(lab):
    lab.deploy()
    lab.behave(faults=(Fault("list", error=NotPermitted("token expired")),))
    with pytest.raises(NotPermitted):
        lab.deploy()
    assert lab.record.state is InfrastructureState.READY


# absence


def test_a_server_missing_from_one_listing_is_not_lost(lab):
    lab.deploy()
    everything = lab.provider.list
    answers = [()]
    lab.provider.list = lambda infrastructure=None: answers.pop() if answers else everything(infrastructure)
    assert lab.deploy().state is InfrastructureState.READY
    assert "lost" not in lab.codes("worker-1")
    assert lab.provider.calls["create"] == 2


def test_a_server_that_is_really_gone_is_created_again(lab):
    lab.deploy()
    lab.provider.forget("worker-1")
    assert lab.deploy().state is InfrastructureState.READY
    assert "lost" in lab.codes("worker-1")
    assert lab.servers == ["front-end", "worker-1", "worker-2"]


def test_a_new_server_missing_from_stale_listings_is_given_its_grace(lab):
    lab.behave(staleness=20.0)
    assert lab.deploy().state is InfrastructureState.READY
    assert "lost" not in lab.codes("worker-1")
    assert lab.provider.calls["create"] == 2


def test_a_server_stopped_by_somebody_else_is_started(lab):
    lab.deploy()
    lab.provider.stop([lab.node("worker-1").id])
    assert lab.deploy().state is InfrastructureState.READY
    assert lab.provider.calls["start"] == 1


# the store


def test_a_locked_database_is_a_store_error_and_the_same_command_continues(lab):
    store, lab.store = lab.store, Store(lab.store.path, busy_timeout=0.01)
    with store._writer.begin(), pytest.raises(StoreError, match="another program has held it") as caught:
        lab.deploy()
    assert "database is locked" in caught.value.message
    assert lab.deploy().state is InfrastructureState.READY


def test_a_full_disk_is_a_store_error_and_the_same_command_continues(lab):
    lab.deploy()
    pages = _pragma(lab.store, "page_count")
    room = {"pages": pages}
    import sqlalchemy as sa

    sa.event.listen(lab.store._engine, "begin", lambda c: c.exec_driver_sql(f"pragma max_page_count = {room['pages']}"))
    with pytest.raises(StoreError, match="free some disk space"):
        lab.deploy(cluster(workers=40))
    room["pages"] = 1_000_000
    assert lab.deploy(cluster(workers=40)).state is InfrastructureState.READY
    assert len(lab.servers) == 41


def _pragma(store, name):
    with store._reading() as connection:
        return connection.exec_driver_sql(f"pragma {name}").scalar()
