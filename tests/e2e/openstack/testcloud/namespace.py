"""The namespaces that hold the cloud, the one link between them and the host, and the way out for guests."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from im.providers.local import machine
from testcloud.processes import Process
from testcloud.settings import Cloud
from testcloud.steps import StackError

HERE = Path(__file__).parent
Found = TypeVar("Found")


def holder(cloud: Cloud) -> Process:
    """Return the process whose life is the namespaces' life."""
    return Process(cloud, "namespace")


def inside(cloud: Cloud, command: Sequence[str]) -> list[str]:
    """Return the command line that runs a command in the cloud's namespaces."""
    return ["nsenter", "--target", str(first_process(cloud)), "--net", "--mount", "--pid", "--", *command]


def first_process(cloud: Cloud) -> int:
    """Return the first process of the namespace, as the host numbers it: unshare's child."""
    pid = holder(cloud).pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    if not children:
        raise StackError("the test cloud is not up")
    return int(children[0])


def up(cloud: Cloud) -> None:
    """Make the namespaces, their link to the host, and the rules that let guests out."""
    (cloud.run / "ready").unlink(missing_ok=True)
    near, far = _links(cloud)
    script = [str(HERE / "namespace.sh"), str(cloud.folder), far, cloud.address, f"{cloud.subnet}.1"]
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    holder(cloud).start([*unshare, *script])
    pid = _wait_for(lambda: first_process(cloud))
    _ip(f"link add {near} type veth peer name {far} netns {pid}")
    _ip(f"address add {cloud.subnet}.1/24 dev {near}")
    _ip(f"link set {near} up")
    _wait_for((cloud.run / "ready").stat)
    _open_the_way_out(cloud)


def down(cloud: Cloud) -> None:
    """End everything in the namespaces; take rules and settings back."""
    with suppress(StackError):
        first = Path(f"/proc/{first_process(cloud)}")
        holder(cloud).end()
        while first.exists():
            time.sleep(0.02)
    holder(cloud).end()
    near, _ = _links(cloud)
    subprocess.run(["ip", "link", "delete", near], check=False, capture_output=True)
    for rule in _rules(cloud):
        while (
            subprocess.run(["iptables", "-w", *_changed(rule, "-D")], check=False, capture_output=True).returncode == 0
        ):
            pass
    with machine.machine_lock():
        machine.leave(cloud.name)


def _links(cloud: Cloud) -> tuple[str, str]:
    short = cloud.name[:11]
    return f"{short}-h", f"{short}-n"


def _rules(cloud: Cloud) -> list[list[str]]:
    """Return what lets guests out; first in FORWARD, so that a policy of DROP does not cut them off."""
    near, _ = _links(cloud)
    note = f"-m comment --comment {cloud.name}"
    return [
        shlex.split(f"-t nat -A POSTROUTING -s {cloud.subnet}.0/24 ! -o {near} {note} -j MASQUERADE"),
        shlex.split(f"-I FORWARD -i {near} {note} -j ACCEPT"),
        shlex.split(f"-I FORWARD -o {near} -m conntrack --ctstate RELATED,ESTABLISHED {note} -j ACCEPT"),
    ]


def _changed(rule: list[str], action: str) -> list[str]:
    return [action if word in {"-A", "-I"} else word for word in rule]


def _open_the_way_out(cloud: Cloud) -> None:
    for rule in _rules(cloud):
        if subprocess.run(["iptables", "-w", *_changed(rule, "-C")], check=False, capture_output=True).returncode:
            subprocess.run(["iptables", "-w", *rule], check=True)
    way = subprocess.run(["ip", "-o", "route", "show", "default"], capture_output=True, text=True, check=True).stdout
    links = [_links(cloud)[0], *(words[words.index("dev") + 1] for words in map(str.split, way.splitlines()))]
    with machine.machine_lock():
        machine.enter(cloud.name, tuple(links), ())


def _ip(words: str) -> None:
    done = subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"ip {words}: {done.stderr.strip()}")


def _wait_for(look: Callable[[], Found]) -> Found:
    """Return what ``look`` finds, as soon as it finds it; at most 10 s."""
    end = time.monotonic() + 10
    while True:
        try:
            return look()
        except (OSError, StackError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
