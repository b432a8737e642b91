"""Makes the front-end the control node: Ansible's bundle, the inner keys, the tools that recipes need."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from im.contextualize import bundle, recipes, tools
from im.contextualize.inventory import REMOTE_KEYS, SSH_CONFIG, known_hosts, shell_functions
from im.data_files import data_folder
from im.errors import ContextualizationError
from im.events import Event
from im.ssh.connection import Completed, run
from im.ssh.keys import KeyRing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from im.config import Settings
    from im.events import Emit, Kind
    from im.plan.model import Cluster

REMOTE_BUNDLE = "/opt/im/bundle"
REMOTE_WORKER = "/opt/im/worker.py"
TOOLS = "/opt/im/udocker"
TOOLED = frozenset({"udocker"})
"""Engines whose own tools are brought from outside."""
_PUSH_TIMEOUT = 600.0

_LOOK = """\
import json, os, platform, sys
def read(path):
    return open(path).read().strip() if os.path.exists(path) else ""
libc = platform.libc_ver()[1] or "2.17"
system = dict(line.split("=", 1) for line in read("/etc/os-release").splitlines() if "=" in line)
print(json.dumps({"python": sys.version_info[:2], "machine": platform.machine(), "glibc": libc,
    "system": "-".join(system.get(key, "").strip('"') for key in ("ID", "VERSION_ID")),
    "kernel": " ".join([platform.release(), platform.version(), read("/proc/sys/kernel/yama/ptrace_scope")]),
    "bundle": read("/opt/im/bundle/DIGEST"), "tools": read("/opt/im/udocker/STAMP")}))
"""


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """What the front-end is and has: its interpreter, and the digests of what was pushed before."""

    target: bundle.Target
    system: str
    kernel: str
    bundle: str
    tools: str


def as_root(cluster: Cluster, argv: Sequence[str]) -> list[str]:
    """Return the command line that runs as root on the front-end."""
    return list(argv) if cluster.front_end.user == "root" else ["sudo", "-n", *argv]


def run_as_root(cluster: Cluster, argv: Sequence[str], *, stdin: bytes | None = None, timeout: float = 60) -> Completed:
    """Run a command as root on the front-end. Raises :class:`im.errors.ContextualizationError` if it fails."""
    done = run(cluster, cluster.front_end, as_root(cluster, argv), stdin=stdin, timeout=timeout)
    if done.status != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ContextualizationError(
            lines[-1] if lines else f"{argv[0]} ended with status {done.status}",
            where=f"node {cluster.front_end.name}",
            hint=_hint(done.status),
        )
    return done


def look(cluster: Cluster) -> FrontEnd:
    """Ask the front-end what it is and has."""
    done = run_as_root(cluster, ["python3", "-c", _LOOK])
    facts = json.loads(done.stdout)
    python, glibc = tuple(facts["python"]), tuple(int(part) for part in facts["glibc"].split(".")[:2])
    target = bundle.Target((python[0], python[1]), facts["machine"], (glibc[0], glibc[1]))
    return FrontEnd(target, facts["system"], facts["kernel"], facts["bundle"], facts["tools"])


def prepare_front_end(cluster: Cluster, settings: Settings, emit: Emit) -> None:
    """Push what the front-end lacks; cheap when it lacks nothing. May run while the workers boot."""
    report = reporter(cluster, emit)
    has = look(cluster)
    if has.bundle != bundle.digest(has.target):
        archive = bundle.ensure(has.target, settings.cache, lambda text: report("progress", text))
        report("progress", "bringing Ansible to the front-end")
        _push_bundle(cluster, archive)
    if TOOLED & set(cluster.engines):
        _ensure_tools(cluster, settings, has, report)


def push_keys(cluster: Cluster, packages: Sequence[str]) -> None:
    """Bring the inner key, the host keys and our scripts to the front-end, and begin to install its ``packages``.

    They are the longest part of the work, and need nothing of what is brought later. The recipe ``base`` begins those
    of the other nodes, waits for all and does what is left, so nothing is lost if this fails.
    """
    ring = KeyRing(Path(cluster.keys))
    install = (recipes.folder(recipes.BASE) / "files" / "packages.sh").read_text(encoding="utf-8")
    files = {
        "/opt/im/packages.sh": (shell_functions() + install, 0o644),
        f"{REMOTE_KEYS}/cluster": (ring.cluster_private, 0o600),
        f"{REMOTE_KEYS}/known_hosts": (known_hosts(cluster), 0o644),
        f"{REMOTE_KEYS}/config": (SSH_CONFIG, 0o644),
        REMOTE_WORKER: ((data_folder("contextualization") / "worker.py").read_text(encoding="utf-8"), 0o755),
    }
    script = (
        "set -e; tar -x --no-same-owner -f - -C /; mkdir -p -m 700 /run/im/cp; "
        f"setsid flock -o /run/im-packages.lock sh /opt/im/packages.sh {shlex.join(packages)} "
        "> /run/im-early.log 2>&1 < /dev/null &"
    )
    run_as_root(cluster, ["sh", "-c", script], stdin=_tar(files))


def reporter(cluster: Cluster, emit: Emit) -> Callable[[Kind, str], None]:
    """Return a function that emits events about the preparation of the front-end."""

    def report(kind: Kind, text: str) -> None:
        emit(
            Event(
                infrastructure=cluster.infrastructure,
                scope="node",
                subject=cluster.front_end.name,
                phase="configure",
                kind=kind,
                code="front-end",
                message=text,
            )
        )

    return report


def _ensure_tools(cluster: Cluster, settings: Settings, has: FrontEnd, report: Callable[[Kind, str], None]) -> None:
    """Bring udocker's tools; they are made for the machine and distribution of the front-end."""

    def build(script: Path) -> bytes:
        # The throw-away root lies over the node's own: no package may be installed below it meanwhile.
        build_it = "flock -o /run/im-packages.lock sh"
        run_it = f'file=$(mktemp) && cat > "$file" && {build_it} "$file"; status=$?; rm -f "$file"; exit $status'
        argv = ["sh", "-c", run_it]
        return run_as_root(cluster, argv, stdin=script.read_bytes(), timeout=settings.task_timeout).stdout

    archive = tools.ensure(settings, f"{has.target.machine}-{has.system}", build, report)
    stamp = f"{tools.digest(archive)} {bundle.digest(has.target)}"
    if stamp != has.tools:
        report("progress", "bringing udocker's tools to the front-end")
        place = hashlib.sha256(f"{stamp} {has.system} {has.kernel}".encode()).hexdigest()[:16]
        known = tools.known_modes(settings, place)
        script = (
            f"set -e; rm -rf {TOOLS} {TOOLS}.new; mkdir {TOOLS}.new; cd {TOOLS}.new; cat > tools.tar.gz; "
            f"echo {place} > PLACE; printf %s {shlex.quote(known)} > modes.json; "
            f"cp {REMOTE_BUNDLE}/udocker.tar .; echo '{stamp}' > STAMP; mv {TOOLS}.new {TOOLS}"
        )
        run_as_root(cluster, ["sh", "-c", script], stdin=archive.read_bytes(), timeout=_PUSH_TIMEOUT)


def keep_modes(cluster: Cluster, settings: Settings) -> None:
    """Keep how udocker's modes did on this front-end: a cluster on one like it need not try them again."""
    if TOOLED & set(cluster.engines):
        line = as_root(cluster, ["cat", f"{TOOLS}/PLACE", "/etc/im/engine.json"])
        done = run(cluster, cluster.front_end, line)
        place, _, facts = done.stdout.decode().partition("\n")
        if done.status == 0:
            tools.keep_modes(settings, place, json.loads(facts)["udocker"])


def _push_bundle(cluster: Cluster, archive: Path) -> None:
    """Unpack into memory where that can be had (some 20 MB; making 1600 files on a disk costs a second and more).

    The digest comes last: a broken push leaves nothing that looks complete. After a restart it is pushed again.
    """
    script = (
        "set -e; mkdir -p {0}; mountpoint -q {0} || mount -t tmpfs -o size=128m,mode=755 im-bundle {0} || true; "
        "find {0} -mindepth 1 -delete; tar -xzf - -C {0} --strip-components=1 --no-same-owner; mv {0}/digest {0}/DIGEST"
    )
    argv = ["sh", "-c", script.format(REMOTE_BUNDLE)]
    run_as_root(cluster, argv, stdin=archive.read_bytes(), timeout=_PUSH_TIMEOUT)


def _tar(files: Mapping[str, tuple[str, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in sorted({str(Path(name).parent) for name in files}):
            member = tarfile.TarInfo(folder.lstrip("/"))
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        for name, (text, mode) in files.items():
            data = text.encode()
            member = tarfile.TarInfo(name.lstrip("/"))
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _hint(status: int) -> str:
    return "the image must have Python 3.9 or newer as python3, and sudo without password" if status == 127 else ""
