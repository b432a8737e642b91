"""MariaDB, and what is in it: either a copy of a cloud that was set up before, or the services' own migrations."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testcloud import namespace, packages
from testcloud.processes import Process
from testcloud.settings import DATABASES, PASSWORD, Cloud
from testcloud.steps import StackError

PARTS = ("glance", "keystone")  # folders that belong to what the databases say


def install(cloud: Cloud) -> None:
    """Make MariaDB's own tables."""
    shutil.rmtree(cloud.folder / "mysql", ignore_errors=True)
    options = ["--user=root", "--skip-test-db", "--auth-root-authentication-method=normal"]
    _run(cloud, "mariadb-install", ["mariadb-install-db", f"--defaults-file={cloud.etc}/my.cnf", *options])


def ready(cloud: Cloud) -> None:
    """Wait until MariaDB answers, and make the databases."""
    end = time.monotonic() + 60
    while subprocess.run(["mariadb-admin", *_where(cloud), "ping"], capture_output=True, check=False).returncode:
        Process(cloud, "mariadb").check()
        if time.monotonic() > end:
            raise StackError("mariadb does not answer")
        time.sleep(0.1)
    for name in DATABASES:
        _sql(
            cloud,
            f"create database {name} character set utf8mb3;"
            f"grant all on {name}.* to 'os'@'127.0.0.1' identified by '{PASSWORD}';",
        )


def saved(cloud: Cloud) -> Path:
    """Return the folder of a copy that fits these packages, this code and this address."""
    text = packages.versions() + str(cloud.folder) + cloud.address + _image_mark(cloud)
    modules = [namespace.HERE / f"{name}.py" for name in ("configuration", "database", "resources", "settings")]
    sources = [*modules, *(namespace.HERE / "templates").iterdir()]
    code = b"".join(file.read_bytes() for file in sorted(sources))
    return cloud.cache / f"set-up-{hashlib.sha256(text.encode() + code).hexdigest()[:12]}"


def load(cloud: Cloud) -> bool:
    """Load the copy; False when there is none."""
    copy = saved(cloud)
    if not copy.exists():
        return False
    with gzip.open(copy / "databases.sql.gz") as dump:
        _sql(cloud, dump.read().decode())
    for part in PARTS:
        shutil.copytree(copy / part, cloud.folder / part, copy_function=_link, dirs_exist_ok=True)
    return True


def save(cloud: Cloud) -> None:
    """Keep a copy of the databases and what belongs to them."""
    copy = saved(cloud)
    new = copy.with_name(f"{copy.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    command = ["mariadb-dump", *_where(cloud), "--single-transaction", "--add-drop-database", "--databases", *DATABASES]
    dump = subprocess.run(command, capture_output=True, check=True).stdout
    (new / "databases.sql.gz").write_bytes(gzip.compress(dump, 3))
    for part in PARTS:
        shutil.copytree(cloud.folder / part, new / part, copy_function=_link)
    for old in cloud.cache.glob("set-up-*"):
        if old != new:
            shutil.rmtree(old)
    new.rename(copy)


def migrate(cloud: Cloud) -> None:
    """Let the services make their tables, and keystone its first account."""

    def nova() -> None:
        manage(cloud, "nova-manage", "nova", "api_db", "sync")
        manage(
            cloud, "nova-manage", "nova", "cell_v2", "map_cell0", "--database_connection", cloud.database("nova_cell0")
        )
        manage(cloud, "nova-manage", "nova", "db", "sync")
        manage(cloud, "nova-manage", "nova", "cell_v2", "create_cell", "--name", "cell1")

    def network() -> None:
        manage(cloud, "neutron-db-manage", "neutron", "upgrade", "heads")

    def others() -> None:
        manage(cloud, "keystone-manage", "keystone", "db_sync")
        for words in (["fernet_setup"], ["credential_setup"]):
            manage(cloud, "keystone-manage", "keystone", *words, "--keystone-user", "root", "--keystone-group", "root")
        urls = [
            word for kind in ("public", "internal", "admin") for word in (f"--bootstrap-{kind}-url", cloud.auth_url)
        ]
        password = ["--bootstrap-password", PASSWORD]
        manage(
            cloud, "keystone-manage", "keystone", "bootstrap", *password, *urls, "--bootstrap-region-id", "RegionOne"
        )
        manage(cloud, "glance-manage", "glance", "db_sync")
        manage(cloud, "placement-manage", "placement", "db", "sync")
        manage(cloud, "cinder-manage", "cinder", "db", "sync")

    with ThreadPoolExecutor() as pool:
        for running in [pool.submit(part) for part in (nova, network, others)]:
            running.result()


def manage(cloud: Cloud, program: str, service: str, *words: str) -> None:
    """Run a service's own administration program. Raises :class:`StackError` with its last line."""
    command = [program, "--config-file", f"{cloud.etc}/{service}.conf", *words]
    plugin = f"PYTHONPATH={namespace.HERE}/plugin"
    _run(cloud, f"manage-{service}", namespace.inside(cloud, ["env", plugin, *command]))


def _run(cloud: Cloud, name: str, command: Sequence[str]) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    log = cloud.log / f"{name}.log"
    with log.open("ab") as out:
        done = subprocess.run(command, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise StackError(f"{name}: {lines[-1] if lines else 'failed'} (all of it: {log})")


def _sql(cloud: Cloud, text: str) -> None:
    done = subprocess.run(["mariadb", *_where(cloud)], input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        raise StackError(f"mariadb: {done.stderr.decode().strip()}")


def _where(cloud: Cloud) -> list[str]:
    return ["--no-defaults", "--socket", f"{cloud.run}/mysql.sock", "--user=root"]


def _image_mark(cloud: Cloud) -> str:
    status = cloud.image.stat()
    return str(status.st_mtime_ns)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
