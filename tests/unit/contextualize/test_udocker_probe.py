"""The probe of udocker's modes, with an udocker whose modes differ as real ones do; the real one: tests/e2e."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from im.data_files import data_folder

PROBE = data_folder("recipes") / "udocker" / "templates" / "probe.py"

UDOCKER = """\
#!/bin/sh
# A container is a folder; modes do well, or fail as those of the real udocker do.
shift
mode=$(cat "$UDOCKER_DIR/mode" 2>/dev/null)
case $1 in
  import) mkdir -p "$UDOCKER_DIR/root"; for last; do :; done; tar -C "$UDOCKER_DIR/root" -xf "$last" ;;
  setup) [ "$2" != --execmode=NONE ] || { echo "no such mode" >&2; exit 1; }; echo "${2#*=}" > "$UDOCKER_DIR/mode" ;;
  run)
    root=$UDOCKER_DIR/root code=0
    for word; do case $word in --volume=*) seen=${word#*=}; seen=${seen%:*} ;; esac; done
    [ $mode != BLIND ] || { echo elsewhere; exit 7; }
    [ $mode != SLOW ] || sleep 0.4
    cat "$root/im-marker"
    [ $mode = UNMOUNTED ] || cat "$seen/file"
    if [ $mode = OTHER ]; then echo 12345; else id -u; fi
    [ $mode != CODELESS ] || exit 1
    exit 7 ;;
esac
"""


@pytest.fixture
def probe(tmp_path):
    udocker = tmp_path / "udocker"
    udocker.write_text(UDOCKER)
    udocker.chmod(0o755)

    def probe(*modes):
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        line = [sys.executable, PROBE, *modes]
        return subprocess.run(line, env=environment, capture_output=True, check=False, text=True)

    return probe


def test_the_fastest_mode_that_can_be_used_is_found(probe):
    found = json.loads(probe("SLOW", "QUICK").stdout)
    assert found["mode"] == "QUICK"
    assert found["seconds"]["QUICK"] < found["seconds"]["SLOW"]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("NONE", "cannot be set up: no such mode"),
        ("BLIND", "runs nothing in the image: elsewhere"),
        ("UNMOUNTED", "does not show what is mounted"),
        ("CODELESS", "makes 1 of the exit code 7"),
        ("OTHER", "changes the user"),
    ],
)
def test_a_mode_that_cannot_be_used_is_told_with_the_reason(probe, mode, reason):
    found = json.loads(probe("SLOW", mode).stdout)
    assert (found["mode"], found["unusable"]) == ("SLOW", {mode: reason})


def test_where_no_mode_is_of_use_the_reasons_are_told(probe):
    done = probe("BLIND")
    assert (done.returncode, done.stdout) == (1, "")
    assert "BLIND" in done.stderr
