"""The base image: made once with mmdebstrap, cached in a folder whose name is a digest of all that went into it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from im.errors import NoCapacity, NotPermitted, ProviderError
from im.plan.model import Image
from im.providers.local.files import write_file
from im.providers.local.locks import locked

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what happens now."""

NEEDED_SPACE = 1 << 30
"""What making the image takes at most: packages, their lists, the unpacked files."""

PACKAGES = (
    "ca-certificates",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "netbase",
    "openssh-client",
    "openssh-server",
    "procps",
    "python3",
    "rsync",
    "sudo",
    "tini",
)
_EXPECTED_PACKAGES = 150
_STEP = re.compile(r"(Get:\d+ .* \[|Unpacking |Setting up )")
_COUNT = re.compile(r"\d+ upgraded, (\d+) newly installed")
_SETTINGS = {
    "Acquire::Languages": "none",
    "APT::Install-Recommends": "false",
    "APT::Keep-Downloaded-Packages": "true",
    "Binary::apt::APT::Keep-Downloaded-Packages": "true",
    "DPkg::Lock::Timeout": "120",
}
_ALONE = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_UNUSED_PATHS = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")

_SSHD = """\
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
HostKey /etc/ssh/ssh_host_ed25519_key
MaxStartups 200:30:400
MaxSessions 64
PrintMotd no
PrintLastLog no
"""
_INIT = """\
#!/bin/sh
# What a node runs for as long as it lives: its sshd, again if it ends.
while :; do
    /usr/sbin/sshd -D -e
    sleep 1
done
"""
_NO_SERVICES = """\
#!/bin/sh
# A node has no service manager: packages must not start services.
exit 101
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What goes into an image; its digest names the folder."""

    id: str
    release: str
    version: str
    sources: str
    apt_settings: str
    packages: tuple[str, ...] = PACKAGES

    @property
    def digest(self) -> str:
        """Short digest of everything that decides how the image looks."""
        parts = (self.release, self.sources, self.apt_settings, *self.packages, _SSHD, _INIT, _NO_SERVICES, *_SETTINGS)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class ImageCache:
    """The images below a cache folder."""

    folder: Path

    @property
    def packages(self) -> Path:
        """Packages that any node or image downloaded, for all that come after."""
        return self.folder / "debs"

    def root(self, recipe: Recipe) -> Path:
        """Where the image lies, or will lie."""
        return self.folder / "images" / f"{recipe.id}-{recipe.digest}"

    def describe(self, recipe: Recipe) -> Image:
        """Return the image as the catalog shows it."""
        return Image(
            id=recipe.id,
            name=f"Debian {recipe.version} ({recipe.release})",
            distribution="debian",
            version=recipe.version,
            architecture=os.uname().machine,
            present=self.root(recipe).is_dir(),
        )

    def ensure(self, recipe: Recipe, progress: Progress) -> Path:
        """Return the image's folder; make it if it is not there. Two processes never make it at once.

        Raises :class:`im.errors.NoCapacity` when the disk is full, :class:`im.errors.ProviderError` for anything else.
        """
        root = self.root(recipe)
        if root.is_dir():
            return root
        with locked(self.folder / "images" / f".{recipe.id}.lock") as lock:
            if not root.is_dir():
                self._make(recipe, root, progress, lock)
        return root

    def _make(self, recipe: Recipe, root: Path, progress: Progress, lock: int) -> None:
        for leftover in root.parent.glob(f"{recipe.id}-*.partial"):
            shutil.rmtree(leftover, ignore_errors=True)
        _require_space(root.parent)
        partial, scratch = (root.with_name(f"{root.name}.{kind}.partial") for kind in ("root", "scratch"))
        try:
            _debootstrap(recipe, partial, scratch, progress, lock)
            _finish(recipe, partial)
            keep_packages(partial / "var/cache/apt/archives", self.packages)
            partial.rename(root)
        finally:
            for folder in (partial, scratch):
                shutil.rmtree(folder, ignore_errors=True)


def keep_packages(source: Path, target: Path) -> None:
    """Move downloaded packages to the common folder, where the next node finds them."""
    target.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        for package in source.glob("*.deb"):
            if package.stat().st_size and not (target / package.name).exists():
                shutil.copyfile(package, target / f".{package.name}.{os.getpid()}")
                (target / f".{package.name}.{os.getpid()}").replace(target / package.name)
            package.unlink()


def _require_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_SPACE:
        raise NoCapacity(
            f"{folder} has {free >> 20} MiB free, and making the base image takes up to {NEEDED_SPACE >> 20} MiB",
            where="local",
            hint="free some space, or set IM_HOME to a larger disk",
        )


def _debootstrap(recipe: Recipe, target: Path, scratch: Path, progress: Progress, lock: int) -> None:
    """Run mmdebstrap in namespaces of its own, so that nothing of it outlives this process, however it ends.

    It inherits the lock: should this process be killed, nobody starts again before the last of it is gone.
    """
    sources = scratch / "debian.sources"
    write_file(sources, recipe.sources)
    last: deque[str] = deque(maxlen=40)
    with subprocess.Popen(
        [*_ALONE, *_mmdebstrap(recipe, target, sources)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        pass_fds=(lock,),
        env={**os.environ, "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8"},
    ) as process:
        try:
            _report(process.stdout or (), progress, last)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise _failure(last)


def _mmdebstrap(recipe: Recipe, target: Path, sources: Path) -> list[str]:
    settings = [f'{name} "{value}";' for name, value in _SETTINGS.items()]
    settings += recipe.apt_settings.splitlines()
    return [
        "mmdebstrap",
        "--verbose",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(recipe.packages)}",
        "--skip=cleanup/apt,cleanup/reproducible",
        *(f"--aptopt={setting}" for setting in settings),
        *(f"--dpkgopt=path-exclude={path}" for path in _UNUSED_PATHS),
        recipe.release,
        str(target),
        str(sources),
    ]


def _report(lines: Iterable[str], progress: Progress, last: deque[str]) -> None:
    """Turn APT's lines into progress, a step for each percent: each package is fetched, unpacked and set up."""
    done, known, told = 0, 0, 0
    for line in lines:
        last.append(line.rstrip())
        if match := _COUNT.match(line):
            known += int(match[1])
        elif _STEP.match(line):
            done += 1
            total = 3 * max(known, _EXPECTED_PACKAGES)
            percent = min(100 * done // total, 100)
            if percent > told:
                told = percent
                progress(min(done, total), total, line.strip()[:72])


def _failure(last: Sequence[str]) -> ProviderError:
    """Return the error that the last lines of mmdebstrap mean."""
    text = "\n".join(last)
    if "No space left on device" in text or "enough free space" in text:
        return NoCapacity(
            "the disk is full: the base image could not be made",
            where="local",
            hint=f"free {NEEDED_SPACE >> 20} MiB, or set IM_HOME to a larger disk",
        )
    if "Operation not permitted" in text:
        return NotPermitted("mmdebstrap is not permitted to make the base image", where="local", hint=_reason(last))
    return ProviderError(
        f"mmdebstrap could not make the base image: {_reason(last)}",
        where="local",
        hint="check that this machine's apt-get update works; IM_LOCAL_MIRROR sets other sources",
    )


def _reason(last: Sequence[str]) -> str:
    errors = [line for line in last if line.startswith(("E:", "W:", "dpkg: error", "mmdebstrap:"))]
    return " ".join((errors or list(last))[-3:])


def _finish(recipe: Recipe, root: Path) -> None:
    """Make the fresh system a node: own sshd settings, no host keys, an init."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    settings = "".join(f'{name} "{value}";\n' for name, value in _SETTINGS.items())
    write_file(root / "etc/ssh/sshd_config.d/im.conf", _SSHD)
    write_file(root / "usr/local/lib/im/node", _INIT, 0o755)
    write_file(root / "usr/sbin/policy-rc.d", _NO_SERVICES, 0o755)
    write_file(root / "etc/apt/apt.conf.d/90im", settings + recipe.apt_settings)
    for name in ("99mmdebstrap",):
        (root / "etc/apt/apt.conf.d" / name).unlink(missing_ok=True)
    for name in ("var/lib/docker", "var/lib/containerd", "var/cache/apt/archives/partial", "root/.ssh"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "root/.ssh").chmod(0o700)
    write_file(root / "etc/machine-id", "")
