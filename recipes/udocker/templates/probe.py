"""Finds the fastest mode of udocker in which a container is what jobs need, as the user who will run them.

``probe.py MODE...`` prints a JSON object: ``tried`` (the modes), ``mode`` (the fastest), ``seconds`` (of all that can
be used, for the same work) and ``unusable`` (mode: why). A mode can be used if two processes at once in one container
read a file that only the image has (proot without seccomp would run them on the node's own files, with exit status
0), see what is mounted, are who they are on the node, and end with the program's own exit code.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAMS = ("/bin/cat", "/bin/sh", "/usr/bin/id")
CODE = 7
PATIENCE = 30

WORK = f"""\
i=0
while [ $i -lt 300 ]; do read -r word < /im-marker; i=$((i+1)); done
while [ $i -lt 310 ]; do cat /im-marker > /dev/null; i=$((i+1)); done
cat /im-marker /im-seen/file
id -u
exit {CODE}
"""
"""Opens files and starts programs, which is what modes differ in."""


def make_image(folder: Path, marker: str) -> Path:
    """Write an archive of a root file system with three of the node's programs and the marker."""
    root = folder / "image"
    for program in PROGRAMS:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.split()
        for path in [program, *(word for word in listed if word.startswith("/"))]:
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    (root / "tmp").mkdir()
    (root / "im-marker").write_text(f"{marker}\n")
    archive = folder / "image.tar"
    subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
    return archive


def udocker(*words: str) -> subprocess.Popen[str]:
    """Start udocker with its output, and what it complains of, in one pipe."""
    line = ["udocker", "-q", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; return exit code and output. What hangs is killed, and has the code -9."""
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    return process.returncode, output


def last_line(output: str) -> str:
    """Return the last line, without its colours; it says why."""
    return (re.sub(r"\x1b\[[0-9;]*m", "", output).strip().splitlines() or ["it says nothing"])[-1][:200]


def fault(code: int, output: str, expected: list[str]) -> str:
    """Judge one process in a container by its exit code and output; ``expected``: marker, mounted word, user id."""
    lines = output.split()
    if code == -9:
        return "hangs"
    if expected[0] not in lines:
        return f"runs nothing in the image: {last_line(output)}"
    if expected[1] not in lines:
        return "does not show what is mounted"
    if expected[2] not in lines:
        return "changes the user"
    return "" if code == CODE else f"makes {code} of the exit code {CODE}"


def attempt(mode: str, mount: Path, expected: list[str]) -> tuple[str, float]:
    """Set the mode and run two processes at once; return what is wrong, and how long it took."""
    code, output = finish(udocker("setup", f"--execmode={mode}", "--force", "probe"))
    if code:
        return f"cannot be set up: {last_line(output)}", 0.0
    options = ("--nobanner", "--entrypoint=", "--hostenv", "--hostauth", f"--volume={mount}:/im-seen", "--workdir=/tmp")
    user = f"--user={os.environ['USER']}"
    begun = time.monotonic()
    both = [udocker("run", *options, user, "probe", "/bin/sh", "-c", WORK) for _ in range(2)]
    faults = [fault(*finish(process), expected) for process in both]
    return max(faults, key=len), time.monotonic() - begun


def rivals(seconds: dict[str, float]) -> list[str]:
    """Return the modes that may be the fastest: those that took no more than twice its time, if there are several."""
    close = [mode for mode, took in seconds.items() if took <= 2 * min(seconds.values())]
    return close if len(close) > 1 else []


def compare(modes: list[str], mount: Path, expected: list[str]) -> dict[str, tuple[str, float]]:
    """Try all modes, and those that may be the fastest once more."""
    found = {mode: attempt(mode, mount, expected) for mode in modes}
    for mode in rivals({mode: took for mode, (wrong, took) in found.items() if not wrong}):
        wrong, took = attempt(mode, mount, expected)
        found[mode] = wrong, min(took, found[mode][1])
    return found


def main(modes: list[str]) -> int:
    """Say which mode is the fastest, and what is wrong with those that cannot be used."""
    with tempfile.TemporaryDirectory(prefix="im-probe-") as name:
        folder = Path(name)
        marker, word = secrets.token_hex(16), secrets.token_hex(16)
        mount = folder / "mount"
        mount.mkdir()
        (mount / "file").write_text(f"{word}\n")
        os.chdir(folder)
        os.environ.update(HOME=name, UDOCKER_DIR=f"{name}/repository", USER=os.environ.get("USER") or "root")
        code, output = finish(udocker("import", "--tocontainer", "--name=probe", str(make_image(folder, marker))))
        if code:
            sys.exit(f"udocker makes no container: {last_line(output)}")
        found = compare(modes, mount, [marker, word, str(os.getuid())])
    seconds = {mode: round(took, 3) for mode, (wrong, took) in found.items() if not wrong}
    unusable = {mode: wrong for mode, (wrong, _) in found.items() if wrong}
    if not seconds:
        sys.exit(f"no mode of udocker is of use here: {unusable}")
    fastest = min(seconds, key=seconds.__getitem__)
    sys.stdout.write(json.dumps({"tried": " ".join(modes), "mode": fastest, "seconds": seconds, "unusable": unusable}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
