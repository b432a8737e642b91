from __future__ import annotations

import pytest

from im.errors import InputError
from im.plan.model import Cluster, Node

WORKER = Node("1234abcd", "worker", "worker-1", 1, "t")


def test_a_cluster_whose_front_end_is_stopped_says_so_and_how_to_start_it():
    cluster = Cluster("1234abcd", "lab", "hpc", "/keys", (WORKER,))
    with pytest.raises(InputError, match=r"lab: the front-end is not running") as raised:
        _ = cluster.front_end
    assert raised.value.hint == "im_client start lab"
