"""What a cloud says now, laid over what was written down."""

from dataclasses import replace

from im.engine.live import as_seen


def test_a_server_that_was_stopped_has_the_reason_of_its_cloud(lab):
    record = lab.deploy()
    servers = [replace(one, status="stopped", message="the machine was restarted") for one in lab.provider.list()]
    assert {node.message for node in as_seen(record, servers).nodes} == {"the machine was restarted"}
