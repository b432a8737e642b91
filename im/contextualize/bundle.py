"""Everything that Ansible needs on the front-end, as one archive: the front-end itself needs only Python and sshd."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from im.errors import ContextualizationError

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = 7
"""Changes when the archive's layout does."""

UDOCKER = "udocker==1.3.17"
_CORES = {(3, 9): "2.15", (3, 10): "2.17", (3, 11): "2.19", (3, 12): "2.19", (3, 13): "2.19"}
_NEWER_CORE = "2.20"
_UNUSED_WHEELS = ("cryptography-", "cffi-", "pycparser-", "resolvelib-")
"""Only vaults and galaxy need them, and nobody could type a vault's password there: half of the archive."""
_UNUSED_FOLDERS = ("ansible_test/", "ansible/galaxy/", "ansible/cli/galaxy", "ansible/cli/doc", "ansible/cli/pull")
_SENT_AS_SOURCE = r"/(modules|csharp|facts|galaxy|httpapi|cliconf|netconf|terminal)/"

_ROUTING = "ansible/config/ansible_builtin_runtime.yml"
"""Where modules went that left Ansible: 10,000 lines, which it reads at every start."""

_LAUNCHER = """\
#!/usr/bin/python3
import gc, sys
from pathlib import Path
gc.set_threshold(100_000)  # the search for cyclic garbage costs a tenth of a short run
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "site"))
{before}from {module} import main
sys.exit(main())
"""
_READ_JSON = """\
import json
from ansible.utils.collection_loader import _collection_finder as finder
read_yaml = finder._meta_yml_to_dict
finder._meta_yml_to_dict = lambda text, name: (json.loads(text) if text[:1] in ("{", b"{") else read_yaml(text, name))
"""
"""The routing is kept as JSON, which is YAML too, and read as such: a twentieth of the time."""

_COMMANDS = {
    "ansible-runner": ("ansible_runner.__main__", ""),
    "ansible-playbook": ("ansible.cli.playbook", _READ_JSON),
    "ansible-inventory": ("ansible.cli.inventory", _READ_JSON),
    "ansible": ("ansible.cli.adhoc", _READ_JSON),
}


@dataclass(frozen=True, slots=True)
class Target:
    """The interpreter that a bundle is for."""

    python: tuple[int, int]
    machine: str
    glibc: tuple[int, int] = (2, 17)


def requirements(target: Target) -> tuple[str, ...]:
    """Return what pip is asked for: the newest ansible-core that runs on the target's Python."""
    if target.python < min(_CORES):
        found = ".".join(map(str, target.python))
        raise ContextualizationError(
            f"the front-end has Python {found}; Ansible needs 3.9 or newer", hint="choose a newer image"
        )
    major, minor = map(int, _CORES.get(target.python, _NEWER_CORE).split("."))
    return (f"ansible-core>={major}.{minor},<{major}.{minor + 1}", "ansible-runner>=2.4,<3")


def digest(target: Target) -> str:
    """Return the name of the bundle for a target: what decides over its content."""
    text = json.dumps([FORMAT, target.python, target.machine, requirements(target), UDOCKER])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ensure(target: Target, cache: Path, report: Callable[[str], None]) -> Path:
    """Return the archive for ``target`` from the cache; it is made (with pip, from its index) when it is not there."""
    path = cache / "bundles" / f"{digest(target)}.tar.gz"
    if path.exists():
        return path
    report("fetching Ansible for the front-end (once)")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
        content = Path(folder) / "bundle"
        _download(requirements(target), target, Path(folder) / "wheels", content / "site")
        _download((UDOCKER,), target, Path(folder) / "udocker", Path(folder) / "site")
        _write_json(content / "site" / _ROUTING)
        write_launchers(content / "bin")
        (content / "digest").write_text(digest(target), encoding="ascii")
        if target.python == sys.version_info[:2]:
            _compile(content)
            _compile(Path(folder) / "site")
        with tarfile.open(content / "udocker.tar", "w") as tar:
            tar.add(Path(folder) / "site", arcname="site", filter=_anonymous)
        archive = Path(folder) / "bundle.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=3) as tar:
            tar.add(content, arcname="bundle", filter=_anonymous)
        archive.replace(path)
    return path


def _download(wanted: tuple[str, ...], target: Target, wheels: Path, site: Path) -> None:
    """Fetch wheels for the target and unpack them into one folder."""
    line = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    line += ["--only-binary=:all:", "--dest", str(wheels)]
    line += ["--python-version", ".".join(map(str, target.python)), "--implementation", "cp"]
    for tag in platforms(target):
        line += ["--platform", tag]
    done = subprocess.run([*line, *wanted], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [each for each in done.stderr.splitlines() if each.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        message = lines[-1].removeprefix("ERROR: ") if lines else "pip failed"
        hint = "pip must reach its package index once; what it fetched is kept in the cache"
        raise ContextualizationError(f"cannot fetch {', '.join(wanted)}: {message}", where="this machine", hint=hint)
    for wheel in sorted(wheels.glob("*.whl")):
        if wheel.name.startswith(_UNUSED_WHEELS):
            continue
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if not name.startswith(_UNUSED_FOLDERS):
                    archive.extract(name, site)


def platforms(target: Target) -> list[str]:
    """Return the platform tags of wheels that run on the target, the newest first."""
    tags = [f"manylinux_2_{minor}_{target.machine}" for minor in range(target.glibc[1], 16, -1)]
    return [*tags, f"manylinux2014_{target.machine}"]


def _write_json(file: Path) -> None:
    """Write a YAML file as JSON; its scalars are strings, as Ansible reads them there."""
    content = yaml.load(file.read_bytes(), Loader=yaml.BaseLoader)  # noqa: S506 - makes strings only
    file.write_text(json.dumps(content), encoding="ascii")


def write_launchers(folder: Path) -> None:
    """Unpacked wheels have no commands: make those that are used."""
    folder.mkdir()
    for name, (module, before) in _COMMANDS.items():
        (folder / name).write_text(_LAUNCHER.format(module=module, before=before), encoding="ascii")
        (folder / name).chmod(0o755)


def _compile(content: Path) -> None:
    """Ship byte code where our Python is the target's: the first run on the front-end saves seconds."""
    line = [sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    line += ["-x", _SENT_AS_SOURCE]
    subprocess.run([*line, "-s", str(content), "-p", "/opt/im/bundle", str(content)], capture_output=True, check=False)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
