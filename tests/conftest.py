"""Which tiers this machine can run: one that cannot says why in one line; CI refuses one that could but did not."""

from __future__ import annotations

import os
import shutil

import pytest

PROGRAMS = ("mmdebstrap", "iptables", "ip", "ssh", "unshare", "nsenter")


def why_not_local() -> str:
    """Return why the local end-to-end tier cannot run here; empty when it can."""
    if os.geteuid() != 0:
        return "local end-to-end tier: needs root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"local end-to-end tier: not installed: {', '.join(missing)} (make system)" if missing else ""


def pytest_collection_modifyitems(items):
    reason = why_not_local()
    if reason and not required():
        for item in items:
            if item.get_closest_marker("e2e_local"):
                item.add_marker(pytest.mark.skip(reason=reason))


def required() -> bool:
    return bool(os.environ.get("IM_REQUIRE_TIERS")) and os.geteuid() == 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and required() and item.get_closest_marker("e2e_local"):
        report.outcome = "failed"
        report.longrepr = f"skipped although this machine can run it: {report.longrepr}"
    return report
