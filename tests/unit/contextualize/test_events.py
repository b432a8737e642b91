import pytest

from im.contextualize.events import all_is_done, failure, failure_message, translate


def raw(event: str, **data) -> dict:
    return {
        "event": event,
        "event_data": {"host": "worker-1", "role": "openmpi", "play": "p", "task": "params", **data},
    }


def told(event: str, **data):
    return translate("1a2b3c4d", raw(event, **data))


def test_a_task_that_begins_is_told_with_node_role_and_name():
    event = told("runner_on_start")
    assert (event.scope, event.phase, event.kind) == ("task", "configure", "started")
    assert (event.subject, event.code, event.message) == ("worker-1", "openmpi", "params")


def test_a_task_that_ends_says_whether_it_changed_something():
    assert dict(told("runner_on_ok", res={"changed": True}).data) == {"changed": True}
    assert told("runner_on_ok", res={"changed": False}).kind == "finished"


def test_a_task_outside_of_roles_is_named_by_its_play():
    assert told("runner_on_ok", role=None, play="tool").code == "tool"


def test_a_failure_has_node_role_task_and_message():
    found = failure(told("runner_on_failed", res={"rc": 3, "msg": "non-zero return code", "stderr": "disk full\n"}))
    assert found.where == "node worker-1, role openmpi, task params"
    assert found.message == "disk full"


def test_a_failure_that_may_be_ignored_is_none():
    assert told("runner_on_failed", ignore_errors=True, res={}).kind == "finished"


def test_a_skipped_task_ends_too():
    assert told("runner_on_skipped").kind == "finished"
    assert dict(told("runner_on_skipped").data) == {"changed": False, "skipped": True}


@pytest.mark.parametrize("event", ["playbook_on_stats", "verbose", "runner_item_on_ok", "playbook_on_task_start"])
def test_what_is_not_about_a_task_on_a_node_is_left_out(event):
    assert told(event) is None


def test_an_event_without_a_host_is_left_out():
    assert translate("1a2b3c4d", {"event": "runner_on_ok", "event_data": {}}) is None


def test_hidden_output_stays_hidden():
    result = {"censored": "hidden", "msg": "password=secret", "stderr": "secret"}
    assert "secret" not in failure_message("runner_on_failed", result)


def test_an_unreachable_node_is_said_to_be_so():
    result = {"msg": "Failed to connect to the host via ssh: Connection timed out"}
    message = failure_message("runner_on_unreachable", result)
    assert (
        message == "the front-end cannot reach this node: Failed to connect to the host via ssh: Connection timed out"
    )


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"msg": "non-zero return code", "stderr": "", "stdout": "said\n\nthis\n"}, "said / this"),
        ({"msg": "non-zero return code", "stdout": "changed: /etc/x\nreason"}, "reason"),
        ({"msg": "No package matching 'x'"}, "No package matching 'x'"),
        ({"msg": "MODULE FAILURE", "module_stderr": "Traceback\nKeyError: 'a'"}, "Traceback / KeyError: 'a'"),
        ({"msg": "cannot", "stderr": "a\nb\nc\nd\ne\nf"}, "cannot / c / d / e / f"),
        ({"msg": "One or more items failed", "results": [{"msg": "fine"}, {"failed": True, "msg": "bad"}]}, "bad"),
        ({}, "failed"),
    ],
)
def test_the_message_is_what_the_task_said_itself(result, message):
    assert failure_message("runner_on_failed", result) == message


@pytest.mark.parametrize(
    ("event", "data", "done"),
    [
        ("playbook_on_stats", {"failures": {}, "dark": {}, "ok": {"n1": 3}}, True),
        ("playbook_on_stats", {"failures": {"n1": 1}, "dark": {}}, False),
        ("playbook_on_stats", {"failures": {}, "dark": {"n1": 1}}, False),
        ("runner_on_ok", {"failures": {}}, False),
    ],
)
def test_all_is_done_when_the_statistics_have_no_failure(event, data, done):
    assert all_is_done({"event": event, "event_data": data}) is done
