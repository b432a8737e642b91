"""Which tiers this machine can run: one that cannot says why in one line; CI refuses one that could but did not."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

PROGRAMS = ("mmdebstrap", "iptables", "ip", "ssh", "unshare", "nsenter")


def why_not_local() -> str:
    """Return why the local end-to-end tier cannot run here; empty when it can."""
    if os.geteuid() != 0:
        return "local end-to-end tier: needs root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"local end-to-end tier: not installed: {', '.join(missing)} (make system)" if missing else ""


def why_not_openstack() -> str:
    """Return why the OpenStack tier cannot run now; empty when it can."""
    clouds = os.environ.get("OS_CLIENT_CONFIG_FILE", "")
    return "" if Path(clouds).is_file() else "OpenStack tier: no test cloud is up (make test-openstack brings it up)"


TIERS: Mapping[str, Callable[[], str]] = {"e2e_local": why_not_local, "e2e_openstack": why_not_openstack}


def pytest_configure():
    """Let tests of Ctrl-C work in the background of a shell too, where it is ignored by all that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    for marker, why_not in TIERS.items():
        reason = why_not()
        for item in items if reason and not required() else ():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def required() -> bool:
    return bool(os.environ.get("IM_REQUIRE_TIERS")) and os.geteuid() == 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and required() and not _cannot(report) and _is_of_a_tier(item):
        report.outcome = "failed"
        report.longrepr = f"skipped although this machine can run it: {report.longrepr}"
    return report


def _is_of_a_tier(item) -> bool:
    return any(item.get_closest_marker(marker) for marker in TIERS)


def _cannot(report) -> bool:
    """Whether the provider does not claim to do this, or templates of others do not lie beside this checkout."""
    return any(reason in str(report.longrepr) for reason in ("has no capability", "no INDIGO templates"))
