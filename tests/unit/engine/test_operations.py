"""Scale, stop, start, delete, gc, plan, refresh, why."""

from dataclasses import replace
from datetime import timedelta

import pytest
from engine_lab import cluster

from im.engine.locks import held
from im.engine.operations import Collected
from im.errors import ContextualizationError, InputError, NoCapacity, ProviderError, UnknownName
from im.plan.model import InfrastructureState, NodeState
from im.providers.base import Capability, Environment
from im.providers.fake import Fault
from im.topology.model import NodeGroup, Topology

# scale


def test_scaling_up_adds_nodes_and_configures_all(lab):
    lab.deploy()
    record = lab.engine().scale("demo", {"worker": 4})
    assert record.state is InfrastructureState.READY
    assert lab.servers == ["front-end", "worker-1", "worker-2", "worker-3", "worker-4"]
    assert lab.contextualizer.done.count("configure") == 2


def test_scaling_down_removes_the_highest_and_configures_the_rest(lab):
    lab.deploy(cluster(workers=4))
    lab.engine().scale("demo", {"worker": 2})
    assert lab.servers == ["front-end", "worker-1", "worker-2"]
    assert lab.contextualizer.done.count("configure") == 2
    assert len({node.configured for node in lab.record.nodes}) == 1


def test_scaling_down_removes_first_whom_the_template_names(lab):
    lab.deploy(cluster(workers=3, removal_list=("worker-1",)))
    lab.engine().scale("demo", {"worker": 2})
    assert lab.servers == ["front-end", "worker-2", "worker-3"]


def test_a_scaled_infrastructure_stays_so_until_its_template_is_deployed_again(lab):
    lab.deploy()
    lab.engine().scale("demo", {"worker": 3})
    lab.engine().stop("demo")
    lab.engine().start("demo")
    assert len(lab.servers) == 4
    lab.deploy()
    assert len(lab.servers) == 3


def test_a_scale_that_failed_is_continued_by_itself(lab):
    lab.deploy()
    lab.contextualizer.failures["configure"] = ContextualizationError("task failed")
    with pytest.raises(ContextualizationError):
        lab.engine().scale("demo", {"worker": 3})
    lab.contextualizer.failures.clear()
    assert lab.engine().scale("demo", {"worker": 3}).state is InfrastructureState.READY
    assert len(lab.servers) == 4


def test_a_group_does_not_get_more_nodes_than_its_template_allows(lab):
    lab.deploy(cluster(max_count=4))
    with pytest.raises(InputError, match="group worker cannot have 5 nodes"):
        lab.engine().scale("demo", {"worker": 5})


def test_a_group_that_is_not_there_cannot_be_scaled(lab):
    lab.deploy()
    with pytest.raises(InputError, match="groups: front_end, worker"):
        lab.engine().scale("demo", {"wroker": 5})


# stop and start


def test_a_stopped_infrastructure_keeps_its_servers_and_starts_again(lab):
    lab.deploy()
    ids = {server.id for server in lab.provider.servers()}
    assert lab.engine().stop("demo").state is InfrastructureState.STOPPED
    assert {server.status for server in lab.provider.servers()} == {"stopped"}
    record = lab.engine().start("demo")
    assert record.state is InfrastructureState.READY
    assert {server.id for server in lab.provider.servers()} == ids


def test_what_was_started_is_configured_for_its_services_may_not_have_come_back_by_themselves(lab):
    lab.deploy()
    lab.engine().stop("demo", "worker-1")
    lab.contextualizer.done.clear()
    lab.engine().start("demo", "worker-1")
    assert lab.contextualizer.done == ["prepare", "configure", "preflight"]


def test_one_node_can_be_stopped_and_started(lab):
    lab.deploy()
    record = lab.engine().stop("demo", "worker-1")
    assert record.state is InfrastructureState.DEGRADED
    assert record.message == "worker-1 is stopped"
    assert lab.node("worker-1").state is NodeState.STOPPED
    assert lab.engine().start("demo", "worker-1").state is InfrastructureState.READY


def test_one_node_can_be_restarted_and_the_others_run_on(lab):
    lab.deploy()
    (worker,) = [server.id for server in lab.provider.servers() if server.name == "worker-1"]
    assert lab.engine().restart("demo", "worker-1").state is InfrastructureState.READY
    assert (lab.provider.calls["stop"], lab.provider.calls["start"]) == (1, 1)
    assert worker in {server.id for server in lab.provider.servers()}


def test_an_interrupted_restart_is_continued_by_another(lab):
    lab.deploy()
    lab.engine().stop("demo")
    assert lab.engine().restart("demo").state is InfrastructureState.READY


def test_starting_one_of_two_stopped_nodes_leaves_the_other(lab):
    lab.deploy()
    lab.engine().stop("demo", "worker-1")
    lab.engine().stop("demo", "worker-2")
    record = lab.engine().start("demo", "worker-2")
    assert record.state is InfrastructureState.DEGRADED
    assert [node.state for node in record.nodes] == [NodeState.READY, NodeState.STOPPED, NodeState.READY]


def test_one_worker_is_not_started_while_the_front_end_is_stopped(lab):
    lab.deploy()
    lab.engine().stop("demo")
    with pytest.raises(InputError, match="im_client start demo"):
        lab.engine().start("demo", "worker-1")


def test_starting_does_not_repair_what_is_broken(lab):
    lab.behave(errors={"worker-2": 1})
    lab.deploy()
    lab.engine().stop("demo")
    lab.behave()
    assert lab.engine().start("demo").state is InfrastructureState.DEGRADED
    assert lab.provider.calls["create"] == 0


def test_stopping_twice_is_as_good_as_once(lab):
    lab.deploy()
    lab.engine().stop("demo")
    assert lab.engine().stop("demo").state is InfrastructureState.STOPPED
    assert lab.provider.calls["stop"] == 1


def test_a_deploy_starts_what_is_stopped(lab):
    lab.deploy()
    lab.engine().stop("demo")
    assert lab.deploy().state is InfrastructureState.READY
    assert lab.provider.calls["create"] == 2


def test_the_front_end_is_not_stopped_alone(lab):
    lab.deploy()
    with pytest.raises(InputError, match="stop the whole infrastructure"):
        lab.engine().stop("demo", "front-end")


def test_a_node_that_is_not_there_cannot_be_stopped(lab):
    lab.deploy()
    with pytest.raises(UnknownName, match="nodes: front-end, worker-1, worker-2"):
        lab.engine().stop("demo", "worker-9")


def test_a_cloud_that_cannot_stop_servers_says_so(lab):
    lab.deploy()
    lab.provider.capabilities -= {Capability.STOP_START}
    with pytest.raises(InputError, match="cannot stop and start"):
        lab.engine().stop("demo")


def test_what_does_not_run_yet_cannot_be_stopped(lab):
    lab.behave(capacity=0)
    with pytest.raises(NoCapacity):
        lab.deploy()
    with pytest.raises(InputError, match="demo does not run"):
        lab.engine().stop("demo")


# delete


def test_delete_leaves_nothing(lab):
    record = lab.deploy()
    lab.behave(leftovers=3)
    lab.engine().delete("demo")
    assert lab.servers == []
    assert lab.provider.infrastructures() == {}
    assert lab.store.infrastructures() == ()
    assert not (lab.settings.infrastructure_folder(record.id) / "ssh").exists()


def test_delete_looks_before_it_asks_for_anything(lab):
    lab.deploy()
    provider = lab.provider
    asked = []
    for name in ("list", "delete"):
        plain = getattr(provider, name)
        setattr(provider, name, lambda *words, name=name, plain=plain: asked.append(name) or plain(*words))
    lab.engine().delete("demo")
    assert asked[:2] == ["list", "delete"]


def test_what_need_not_wait_for_the_servers_is_released_while_they_go(lab):
    lab.deploy()
    release, there = lab.provider.release, []

    def watched(infrastructure):
        there.append(len(lab.provider.list(infrastructure)))
        return release(infrastructure)

    lab.provider.release = watched
    lab.engine().delete("demo")
    assert there == [3, 0]


def test_what_could_not_be_released_early_is_released_in_the_end(lab):
    lab.deploy()
    lab.behave(faults=(Fault("release", error=ProviderError("no")),))
    lab.engine().delete("demo")
    assert lab.provider.infrastructures() == {}


def test_nothing_is_released_while_a_create_without_an_answer_may_still_make_a_server(lab):
    record = lab.deploy()
    for node in record.nodes:
        lab.provider.forget(node.name)
    lab.store.write(nodes=[replace(node, id="", requested=lab.clock.now()) for node in record.nodes])
    began, release, released = lab.clock.monotonic(), lab.provider.release, []
    lab.provider.release = lambda infrastructure: (released.append(lab.clock.monotonic()), release(infrastructure))[1]
    lab.engine().delete("demo")
    assert min(released) - began >= lab.settings.absence_grace


def test_delete_notices_that_it_has_no_way_into_the_cloud_before_it_changes_anything(lab):
    before = lab.deploy()

    def refuse(infrastructure):
        raise InputError("clouds.yaml has no cloud 'mine'")

    lab.provider.list = refuse
    with pytest.raises(InputError, match="has no cloud 'mine'"):
        lab.engine().delete("demo")
    assert lab.record == before


def test_what_was_deleted_is_remembered_with_its_events(lab):
    record = lab.deploy()
    lab.engine().delete("demo")
    (deleted,) = lab.store.infrastructures(deleted=True)
    assert deleted.state is InfrastructureState.DELETED
    assert lab.store.events(record.id)[-1].code == "deleted"


def test_a_name_can_be_used_again(lab):
    first = lab.deploy()
    lab.engine().delete("demo")
    assert lab.deploy().id != first.id


def test_delete_works_by_the_id_with_the_store_lost(lab):
    record = lab.deploy()
    lab.store.write(gone=record.nodes)
    with lab.store._writing() as connection:
        connection.exec_driver_sql("delete from infrastructures")
    lab.engine().delete(record.id)
    assert lab.servers == []
    assert lab.provider.infrastructures() == {}


def test_delete_works_with_the_rows_of_the_nodes_lost(lab):
    record = lab.deploy()
    lab.store.write(gone=record.nodes)
    lab.engine().delete("demo")
    assert lab.servers == []


def test_delete_of_an_unknown_name_says_which_there_are(lab):
    lab.deploy()
    with pytest.raises(UnknownName, match="known: demo"):
        lab.engine().delete("dmeo")


def test_delete_says_what_is_left_if_the_cloud_does_not_let_go(lab):
    lab.deploy()
    lab.provider.release = lambda infrastructure: ("network im-demo: port 7 is in use",)
    with pytest.raises(ProviderError, match="network im-demo: port 7 is in use"):
        lab.engine().delete("demo")
    assert lab.record.state is InfrastructureState.DELETING


def test_a_deploy_does_not_mix_with_a_delete_that_was_interrupted(lab):
    lab.deploy()
    lab.provider.release = lambda infrastructure: ("a network",)
    with pytest.raises(ProviderError):
        lab.engine().delete("demo")
    with pytest.raises(InputError, match="im_client delete demo"):
        lab.deploy()


# gc


def test_gc_deletes_what_has_expired_and_nothing_else(lab):
    lab.engine().deploy("short", "fake", cluster(), ttl=timedelta(hours=1))
    lab.engine().deploy("long", "fake", cluster(), ttl=timedelta(hours=3))
    lab.deploy(name="forever")
    lab.clock.sleep(7200)
    assert lab.engine().gc().deleted == ("short",)
    assert [record.name for record in lab.store.infrastructures()] == ["forever", "long"]


def test_gc_lists_what_only_the_cloud_knows_and_deletes_it_if_asked(lab):
    lab.provider.prepare(Environment("0badf00d", "somebody's"), lambda event: None)
    assert lab.engine().gc().orphans == ("0badf00d",)
    assert lab.provider.infrastructures() == {"0badf00d": None}
    assert lab.engine().gc(orphans=True).orphans == ("0badf00d",)
    assert lab.provider.infrastructures() == {}


def test_gc_deletes_what_the_cloud_says_has_expired_whoever_made_it(lab):
    end = lab.clock.now() + timedelta(hours=1)
    lab.provider.prepare(Environment("0badf00d", "somebody's", expires=end), lambda event: None)
    assert lab.engine().gc() == Collected((), ("0badf00d",))
    lab.clock.sleep(7200)
    assert lab.engine().gc() == Collected(("0badf00d",), ())
    assert lab.provider.infrastructures() == {}


def test_a_longer_lifetime_is_told_to_the_cloud_at_the_next_deploy(lab):
    lab.engine().deploy("demo", "fake", cluster(), ttl=timedelta(hours=1))
    (first,) = lab.provider.infrastructures().values()
    lab.engine().deploy("demo", "fake", cluster(), ttl=timedelta(hours=3))
    (second,) = lab.provider.infrastructures().values()
    assert second - first > timedelta(hours=1, minutes=59)


def test_gc_passes_over_what_somebody_works_on(lab):
    lab.engine().deploy("demo", "fake", cluster(), ttl=timedelta(hours=1))
    lab.clock.sleep(7200)
    with held(lab.settings.home / "locks", "demo", "scale"):
        assert lab.engine().gc().deleted == ()
    assert lab.engine().gc().deleted == ("demo",)


# plan, refresh, why


def test_a_plan_of_a_new_infrastructure_creates_everything_and_touches_nothing(lab):
    plan = lab.engine().plan("demo", "fake", cluster())
    assert [(action.kind, action.node) for action in plan.changes] == [
        ("create", "front-end"),
        ("create", "worker-1"),
        ("create", "worker-2"),
    ]
    assert lab.store.infrastructures() == ()
    assert lab.provider.calls["create"] == 0


def test_a_plan_of_what_is_as_it_should_be_has_no_changes(lab):
    lab.deploy()
    assert lab.engine().plan("demo", "fake", cluster()).changes == ()


def test_a_plan_shows_what_the_deploy_then_does(lab):
    lab.deploy()
    lab.provider.stop([lab.node("worker-2").id])
    plan = lab.engine().plan("demo", "fake", cluster(workers=3))
    assert [(action.kind, action.node) for action in plan.changes] == [
        ("configure", "front-end"),
        ("configure", "worker-1"),
        ("start", "worker-2"),
        ("create", "worker-3"),
    ]


def test_refresh_shows_what_the_cloud_says_now_and_writes_nothing(lab):
    lab.deploy()
    lab.provider.forget("worker-1")
    lab.provider.stop([lab.node("worker-2").id])
    record = lab.engine().refresh("demo")
    assert [node.state for node in record.nodes] == [NodeState.READY, NodeState.LOST, NodeState.STOPPED]
    assert record.state is InfrastructureState.DEGRADED
    assert lab.record.state is InfrastructureState.READY


def test_why_says_what_is_not_ready_and_what_is_known_about_it(lab):
    lab.behave(errors={"worker-2": 1})
    lab.deploy()
    text = "\n".join(lab.engine().why("demo"))
    assert "demo is degraded since" in text
    assert "worker-2 is failed: no valid host was found" in text
    assert "the end of its console log" in text


def test_why_does_not_repeat_failures_that_were_mended(lab):
    lab.behave(errors={"worker-2": 1})
    lab.deploy()
    lab.behave()
    lab.deploy()
    lab.provider.stop([lab.node("worker-2").id])
    text = "\n".join(lab.engine().why("demo"))
    assert "worker-2 is stopped" in text
    assert "no valid host was found" not in text


def test_why_says_that_nobody_works_on_what_is_unfinished(lab):
    record = lab.deploy()
    lab.store.write(_with_state(record, InfrastructureState.PROVISIONING))
    (headline, *_) = lab.engine().why("demo")
    assert "no process works on it any more; run the same command again and it continues" in headline


def test_why_of_a_ready_infrastructure_is_one_line(lab):
    lab.deploy()
    assert len(lab.engine().why("demo")) == 1


def test_the_cluster_of_an_infrastructure_has_its_running_nodes_front_end_first(lab):
    record = lab.deploy(Topology(groups=(NodeGroup("a"), NodeGroup("z", front_end=True, works=False))))
    cluster_ = lab.engine().cluster(record)
    assert [node.name for node in cluster_.nodes] == ["z", "a-1"]
    assert cluster_.front_end.slots == 0
    assert not cluster_.via_front_end


def _with_state(record, state):
    return replace(record, state=state)
