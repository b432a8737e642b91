"""Debian's packages, and ooi from PyPI with the edits that make it run on this release's Python and nova."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from testcloud.settings import Cloud
from testcloud.steps import StackError, Steps

CONTROL = (
    "keystone glance-api placement-api nova-api nova-conductor nova-scheduler nova-compute neutron-server"
    " cinder-api cinder-scheduler cinder-volume rabbitmq-server mariadb-server uwsgi-plugin-python3 iproute2 iptables"
)
MACHINES = (
    "nova-compute-kvm neutron-linuxbridge-agent neutron-dhcp-agent neutron-l3-agent python3-libvirt qemu-system-x86"
    " qemu-utils dnsmasq-base genisoimage bridge-utils conntrack ipset"
)
IMAGE = "mmdebstrap e2fsprogs busybox-static"
OCCI = "python3-routes python3-pip python3-setuptools python3-pbr"
PACKAGES = f"{CONTROL} {MACHINES} {IMAGE} {OCCI}".split()
VERSIONED = ("keystone", "glance", "placement", "nova", "neutron", "cinder")

EDITS = {
    "occi/core/attribute.py": (
        (r"^import collections$", "import collections.abc"),
        (r"collections\.(Mapping|Sequence)", r"collections.abc.\1"),
    ),
    "exception.py": ((r"\.iteritems\(\)", ".items()"),),
    # keystonemiddleware leaves None in the environment, http.client refuses it; neutron answers 406 to OCCI's Accept
    "api/helpers.py": (
        (
            r"copy\.copy\(req\.environ\)$",
            r'{**{k: v for k, v in req.environ.items() if v is not None}, "HTTP_ACCEPT": "application/json"}',
        ),
    ),
    "wsgi/parsers.py": (
        (r"in self\.body\.splitlines\(\)", "in getattr(self.body, 'decode', lambda: self.body)().splitlines()"),
    ),
}


def why_not() -> str:
    """Return why this machine cannot run the test cloud; empty when it can (packages can be installed)."""
    release = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    if "VERSION_CODENAME=bookworm" not in release:
        return "needs Debian 12, whose OpenStack packages it runs"
    if os.geteuid() != 0:
        return "needs root"
    return ""


def missing() -> list[str]:
    """Return the packages that are not installed."""
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *PACKAGES],
        capture_output=True,
        text=True,
        check=False,
    )
    there = {line.split()[0] for line in asked.stdout.splitlines() if line.endswith(" installed")}
    return [package for package in PACKAGES if package not in there]


def versions() -> str:
    """Return which versions of OpenStack's services are installed: their databases fit no others."""
    names = [f"python3-{name}" for name in VERSIONED]
    return subprocess.run(["dpkg-query", "-W", *names], capture_output=True, text=True, check=True).stdout


def install(cloud: Cloud, steps: Steps) -> None:
    """Install what is missing, without starting any service. Raises :class:`StackError`."""
    if wanted := missing():
        with _no_services():
            _apt("update", "-qq", check=False)
            _apt("install", "-qq", "-y", "--no-install-recommends", *wanted)
        steps.done(f"{len(wanted)} packages and what they need installed")
    if not cloud.ooi.exists():
        _install_ooi(cloud)
        steps.done("ooi installed")


def _apt(*words: str, check: bool = True) -> None:
    options = ["-oDPkg::Lock::Timeout=300", "-oDpkg::Options::=--force-unsafe-io", "-oDpkg::Options::=--force-confold"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *options, *words], env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise StackError(f"apt-get {words[0]}: {''.join(last)}")


class _no_services:  # noqa: N801 -- reads as a statement
    """While it holds, Debian's packages do not start their services (invoke-rc.d's own switch)."""

    policy = Path("/usr/sbin/policy-rc.d")

    def __enter__(self) -> None:
        self.made = not self.policy.exists()
        if self.made:
            self.policy.write_text("#!/bin/sh\nexit 101\n")
            self.policy.chmod(0o755)

    def __exit__(self, *_: object) -> None:
        if self.made:
            self.policy.unlink()


def _install_ooi(cloud: Cloud) -> None:
    made = cloud.ooi.with_suffix(".new")
    shutil.rmtree(made, ignore_errors=True)
    pip = ["/usr/bin/python3", "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--no-build-isolation"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [*pip, "--target", str(made), "ooi==1.2.0"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(f"pip install ooi: {done.stderr.strip().splitlines()[-1]}")
    for name, edits in EDITS.items():
        file = made / "ooi" / name
        text = file.read_text()
        for pattern, replacement in edits:
            text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
            if not count:
                raise StackError(f"ooi's {name} is not what we know: no {pattern}")
        file.write_text(text)
    made.rename(cloud.ooi)
