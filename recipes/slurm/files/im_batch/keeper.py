"""Runs as root for a job that wants a container of Docker, and grants what users may have, nothing else.

Who asks is known from ``sudo``, which job it is from our own control group: neither is told by the asker. What comes
on standard input is one line with the container that is wanted, then names of signals for it; its end means that
whoever asked is gone. Files are opened by a child that has become the user.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from im_batch import binding, dockerd, images, mounts, places, usage
from im_batch.faults import BatchError

_LONGEST_ORDER = 1 << 20
_GROUP = re.compile(r"(?P<place>.*/job_(?P<job>\d+))(?P<step>/step_\w+(/user)?)(/.*)?")


@dataclass(frozen=True)
class Asker:
    """Whose container it will be, in which job, below which control group."""

    user: pwd.struct_passwd
    job: str
    group: str


def main() -> int:
    """Run one container to its end and return its exit code. Raises :class:`BatchError`."""
    user = pwd.getpwuid(int(os.environ["SUDO_UID"]))
    asker = Asker(user, *own_job(Path("/proc/self/cgroup").read_text(), user.pw_uid))
    if (places.scratch(asker.job) / "tmp").stat().st_uid != user.pw_uid:
        raise BatchError(f"job {asker.job} is not yours")
    orders = open(0, "rb", buffering=0)  # noqa: SIM115 - a thread may still read it at our end
    wanted = read(orders.readline(_LONGEST_ORDER))
    held, archive, answer = as_user(user, wanted)
    image = dockerd.image(user.pw_uid, wanted["container"], archive, whole=answer["whole"], kept=answer["kept"])
    with binding.roots_places(asker.job) as folder:
        pairs = binding.bind_held(held, wanted["mounts"], folder)
        container = dockerd.create(request(asker, image, wanted, pairs))
        threading.Thread(target=obey, args=(container, orders), daemon=True).start()
        memory_ran_out = usage.watch_memory(usage.ROOT / "memory" / asker.group.lstrip("/"))
        code = dockerd.run(container)
    (places.scratch(asker.job) / "kept").write_text(json.dumps({"oom_kills": memory_ran_out()}))
    return code


def own_job(groups: str, user: int, root: Path = usage.ROOT) -> tuple[str, str]:
    """Return the number of the job that we are in, and the control group of its step. Raises :class:`BatchError`.

    Slurm watches a step's memory; in version 2, a step's processes are below its group ``user``. A group that is only
    named like a job's, which users can make where they have groups of their own, is none.
    """
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        found = _GROUP.fullmatch(path)
        if found and (not controllers or "memory" in controllers.split(",")):
            place = root / ("memory" if controllers else "") / found["place"].lstrip("/")
            if place in usage.groups(int(found["job"]), user, root):
                return found["job"], found["place"] + found["step"]
    raise BatchError("containers of Docker are for jobs", "submit it: im-batch run --engine docker")


def read(line: bytes) -> dict[str, Any]:
    """Read what is wanted; what is not as it must be is refused, and what we do not know is dropped."""
    try:
        given = json.loads(line)
        entry = given["entrypoint"]
        return {
            "image": str(given["image"]),
            "container": re.fullmatch(r"im-[0-9a-f]{16}", given["container"])[0],  # type: ignore[index]
            "command": [str(word) for word in given["command"]],
            "entrypoint": None if entry is None else str(entry),
            "directory": str(given["directory"]),
            "variables": {str(name): str(value) for name, value in given["variables"].items()},
            "mounts": [mounts.parse(str(mounts.Mount(**each))).as_dict() for each in given["mounts"]],
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BatchError("this is no container") from None


def as_user(user: pwd.struct_passwd, wanted: dict[str, Any]) -> tuple[list[int], int, dict[str, Any]]:
    """Let a child that has become the user open the mounts' sources and the image's archive; return descriptors.

    The last value tells an image from a root file system (``whole``), and which images he has (``kept``). Raises
    :class:`BatchError`.
    """
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            os.initgroups(user.pw_name, user.pw_gid)
            os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
            os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
            _open(theirs, wanted)
        except BatchError as error:
            theirs.sendall(json.dumps({"error": str(error), "hint": error.hint}).encode())
        finally:
            os._exit(0)
    theirs.close()
    text, held, _, _ = socket.recv_fds(ours, _LONGEST_ORDER, 64)
    os.waitpid(child, 0)
    answer = json.loads(text or b'{"error": "your files cannot be read"}')
    if "error" in answer:
        raise BatchError(answer["error"], answer.get("hint", ""))
    if len(held) != len(wanted["mounts"]) + 1:
        raise BatchError("these are too many mounts")
    return held[:-1], held[-1], answer


def _open(channel: socket.socket, wanted: dict[str, Any]) -> None:
    held = mounts.checked(wanted["mounts"])
    archive = images.kept(wanted["container"])
    if archive is None:
        raise BatchError("the image was removed", f"im-batch run {wanted['image']} again")
    held.append(os.open(archive, os.O_RDONLY | os.O_NOFOLLOW))
    answer = {"whole": images.is_image(archive), "kept": images.all_kept()}
    socket.send_fds(channel, [json.dumps(answer).encode()], held)


def request(asker: Asker, image: str, wanted: dict[str, Any], pairs: list[tuple[str, str, bool]]) -> dict[str, Any]:
    """Return what Docker is asked for; ``pairs`` are places of root's, targets, and whether they are read-only."""
    named = {"Cmd": wanted["command"], "WorkingDir": wanted["directory"]}
    entry, user = wanted["entrypoint"], asker.user
    temporary = (str(places.scratch(asker.job) / "tmp"), "/tmp", False)  # noqa: S108
    return {
        **{key: value for key, value in named.items() if value},
        **({} if entry is None else {"Entrypoint": [entry]}),
        "Image": image,
        "User": f"{user.pw_uid}:{user.pw_gid}",
        "Env": [f"{name}={value}" for name, value in wanted["variables"].items()],
        "Labels": {"im.slurm": asker.job, "im.user": str(user.pw_uid)},
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {
            "CgroupParent": asker.group,
            "NetworkMode": "host",
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "GroupAdd": [str(each) for each in os.getgrouplist(user.pw_name, user.pw_gid)],
            "LogConfig": {"Type": "none"},
            "Mounts": [
                {"Type": "bind", "Source": source, "Target": target, "ReadOnly": protected}
                for source, target, protected in [temporary, *pairs]
            ],
        },
    }


def obey(container: str, orders: IO[bytes]) -> None:
    """Pass signals on to the container; whoever gave them is gone when there are no more."""
    for line in orders:
        if (name := line.decode(errors="replace").strip()) in {"SIGTERM", "SIGKILL"}:
            dockerd.kill(container, name)
    dockerd.kill(container, "SIGKILL")
