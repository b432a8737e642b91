"""What the faces call, where it is more than handing on."""

import subprocess
import sys

import pytest

from im.api import LocalManager, begin
from im.config import Settings
from im.errors import InputError
from im.topology.model import Topology

ENDS = """
import threading
from im.api import begin
begin(threading.Event().wait)
"""


def test_work_that_was_begun_can_be_waited_for():
    done = []
    begin(lambda: done.append("it")).result(timeout=10)
    assert done == ["it"]


def test_its_failure_is_its_result():
    def fail():
        raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        begin(fail).result(timeout=10)


def test_a_client_that_ends_does_not_wait_for_it():
    assert subprocess.run([sys.executable, "-c", ENDS], timeout=30, check=False).returncode == 0


def test_a_template_whose_playbooks_lack_roles_makes_no_machine(tmp_path):
    topology = Topology(roles={"owner.nfs": "", "owner.slurm": "/there"})
    with LocalManager(Settings(home=tmp_path / "home")) as im:
        with pytest.raises(
            InputError, match=r"lab: its playbooks use roles that cannot be had: owner\.nfs \(the"
        ) as told:
            im.deploy("lab", "nowhere", topology)
        assert "--until provisioned" in told.value.hint
        assert im.infrastructures() == ()
