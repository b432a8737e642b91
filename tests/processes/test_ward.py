"""What a job has left on a node is found by its mark, and ended."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

from im.jobs.remote import ward


def test_root_may_end_what_carries_the_mark_of_a_job():
    name = secrets.token_hex(8)
    process = subprocess.Popen(["sh", "-c", "trap '' TERM; exec sleep 300"], env={**os.environ, "IM_JOB": name})
    assert subprocess.run([sys.executable, ward.__file__, "end", name, "0.1"], check=False).returncode == 1
    assert process.wait(10) == -9
    assert not ward.marked(name)


def test_the_mark_covers_descendants_that_have_lost_it_but_no_strangers(tmp_path):
    def process(number, parent, environment, state=b"S"):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "stat").write_bytes(b"%d (a ) b) %s %d 1 1" % (number, state, parent))
        (folder / "environ").write_bytes(environment)

    process(900001, 1, b"A=1\0IM_JOB=j1\0")
    process(900002, 900001, b"A=1\0")
    process(900003, 900002, b"")
    process(900004, 1, b"IM_JOB=j12\0")
    process(900005, 900001, b"", state=b"Z")
    assert ward.marked("j1", str(tmp_path)) == {900001, 900002, 900003}
