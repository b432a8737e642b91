"""What the faces call, where it is more than handing on."""

import pytest

from im.api import LocalManager
from im.config import Settings
from im.errors import InputError
from im.topology.model import Topology


def test_a_template_whose_playbooks_lack_roles_makes_no_machine(tmp_path):
    topology = Topology(roles={"owner.nfs": "", "owner.slurm": "/there"})
    with LocalManager(Settings(home=tmp_path / "home")) as im:
        with pytest.raises(
            InputError, match=r"lab: its playbooks use roles that cannot be had: owner\.nfs \(the"
        ) as told:
            im.deploy("lab", "nowhere", topology)
        assert "--until provisioned" in told.value.hint
        assert im.infrastructures() == ()
