"""The guest image: see ``image/build.sh``."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from im.providers.local.sources import apt_settings, machine_sources
from testcloud.settings import Cloud
from testcloud.steps import StackError, Steps

BUILD = Path(__file__).parent / "image" / "build.sh"
RELEASE = "bookworm"


def ensure(cloud: Cloud, steps: Steps) -> None:
    """Make the image unless it is there. Raises :class:`StackError`."""
    if cloud.image.exists():
        return
    with tempfile.TemporaryDirectory(prefix="image-", dir=cloud.cache) as folder:
        work = Path(folder)
        (work / "sources").write_text(machine_sources(RELEASE))
        (work / "settings").write_text(apt_settings())
        log = cloud.cache / "image.log"
        with log.open("wb") as out:
            done = subprocess.run([BUILD, work, RELEASE], stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise StackError(f"the guest image cannot be made: {''.join(last)} (all of it: {log})")
        (work / "disk.qcow2").replace(cloud.image)
    steps.done(f"guest image made ({cloud.image.stat().st_size >> 20} MiB)")
