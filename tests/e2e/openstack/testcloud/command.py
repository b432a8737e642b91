"""The command ``stack``."""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from im.contextualize import recipes
from testcloud import configuration, database, image, namespace, packages, resources, services
from testcloud.processes import Process
from testcloud.settings import Cloud, configured
from testcloud.steps import StackError, Steps


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    commands = {
        "install": install,
        "image": make_image,
        "mpi-image": add_mpi_image,
        "up": up,
        "down": down,
        "status": status,
        "why-not": why_not,
        "clouds": clouds,
    }
    if len(words) != 1 or words[0] not in commands:
        print(f"usage: stack {' | '.join(commands)}", file=sys.stderr)
        return 2
    cloud = configured()
    try:
        return commands[words[0]](cloud)
    except StackError as error:
        print(f"stack {words[0]}: {error}", file=sys.stderr)
        return 1


def why_not(cloud: Cloud) -> int:
    """Print why this machine cannot run the cloud."""
    reason = packages.why_not()
    print(reason or "it can")
    return 1 if reason else 0


def clouds(cloud: Cloud) -> int:
    """Print the path of the cloud's clouds.yaml."""
    print(cloud.clouds_yaml)
    return 0


def install(cloud: Cloud) -> int:
    """Install the packages and make the guest image, as far as they are missing."""
    _demand()
    with _held(cloud):
        steps = Steps()
        cloud.cache.mkdir(parents=True, exist_ok=True)
        packages.install(cloud, steps)
        image.ensure(cloud.image, steps)
    return 0


def make_image(cloud: Cloud) -> int:
    """Make the guest image again; the next ``up`` uses it."""
    _demand()
    with _held(cloud):
        image.remove(cloud)
        image.ensure(cloud.image, Steps())
    return 0


def add_mpi_image(cloud: Cloud) -> int:
    """Put a second image on the running cloud: what the recipes of an MPI cluster install is in it already."""
    _demand()
    folder = cloud.cache / "debian-12-mpi"
    with _held(cloud), resources.connect(cloud) as admin:
        steps = Steps()
        image.ensure(folder, steps, recipes.packages(("base", "udocker", "openmpi", "nfs"), front_end=True))
        if admin.image.find_image(folder.name) is None:
            image.upload(admin, folder)
            steps.done(f"{folder.name} is in glance")
    return 0


def up(cloud: Cloud) -> int:
    """Start everything, unless it runs."""
    _demand()
    if packages.missing() or not cloud.ooi.exists() or not cloud.image.exists():
        raise StackError("packages or the guest image are missing: run stack install")
    with _held(cloud):
        if _is_up(cloud):
            print(f"up already: OS_CLIENT_CONFIG_FILE={cloud.clouds_yaml}")
            return 0
        _clear(cloud)
        try:
            _start(cloud)
        except BaseException:
            namespace.down(cloud)
            raise
    print(f"OS_CLIENT_CONFIG_FILE={cloud.clouds_yaml}  (clouds: stack, stack-small, stack-admin)")
    return 0


def down(cloud: Cloud) -> int:
    """End everything and remove all but the cache."""
    _demand()
    with _held(cloud):
        steps = Steps()
        _clear(cloud)
        steps.done("down")
    return 0


def status(cloud: Cloud) -> int:
    """Print which daemons run; 0 when all do."""
    for service in services.everything(cloud) if cloud.run.exists() else ():
        process = Process(cloud, service.name)
        print(f"{service.name:18}{f'runs  {service.port or str()}' if process.alive() else 'ended'}")
    running = _is_up(cloud)
    print(f"up: OS_CLIENT_CONFIG_FILE={cloud.clouds_yaml}" if running else "down")
    return 0 if running else 1


def _start(cloud: Cloud) -> None:
    steps = Steps()
    configuration.write(cloud)
    namespace.up(cloud)
    steps.done("namespaces")
    database.install(cloud)
    services.start(cloud, services.base(cloud))
    database.ready(cloud)
    steps.done("mariadb")
    known = database.load(cloud)
    if not known:
        database.migrate(cloud)
    steps.done("databases as they were saved" if known else "databases migrated")
    services.start(cloud, services.interfaces(cloud))
    services.wait(cloud, services.interfaces(cloud)[:1])
    steps.done("keystone")
    if not known:
        resources.identity(cloud)
        steps.done("accounts and endpoints")
    services.start(cloud, services.workers(cloud))
    services.wait(cloud, services.interfaces(cloud))
    steps.done("placement, glance, neutron, nova, cinder, ooi")
    if not known:
        resources.resources(cloud)
        steps.done("flavors, images, networks, zones")
    with resources.connect(cloud) as admin:
        resources.computes_up(admin)
        resources.agents_up(admin)
    steps.done("computes and agents")
    if not known:
        database.save(cloud)
        steps.done("saved, for the next time")
    for service in services.everything(cloud):
        Process(cloud, service.name).check()
    shutil.copy(cloud.etc / "clouds.yaml", cloud.clouds_yaml)


def _is_up(cloud: Cloud) -> bool:
    return cloud.clouds_yaml.exists() and all(
        Process(cloud, service.name).alive() for service in services.everything(cloud)
    )


def _clear(cloud: Cloud) -> None:
    """End what runs, forget what it left: everything but the cache and the lock."""
    cloud.clouds_yaml.unlink(missing_ok=True)
    namespace.down(cloud)
    for name in configuration.FOLDERS:
        shutil.rmtree(cloud.folder / name, ignore_errors=True)


def _demand() -> None:
    if reason := packages.why_not():
        raise StackError(reason)


class _held:  # noqa: N801 -- reads as a statement
    """Only one command works on a cloud at a time."""

    def __init__(self, cloud: Cloud) -> None:
        cloud.folder.mkdir(parents=True, exist_ok=True)
        self.lock: Path = cloud.folder / "lock-of-stack"

    def __enter__(self) -> None:
        self.file = self.lock.open("w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()
