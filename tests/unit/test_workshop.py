"""Work that goes on beside other work, and never holds up the end of a client."""

import subprocess
import sys

import pytest

from im.workshop import begin

ENDS = """
import threading
from im.workshop import begin
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
