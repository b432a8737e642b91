"""``im-batch``: Docker's words for containers that the batch system runs."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path

from im_batch import places, slurm, verbs
from im_batch.faults import BatchError
from im_batch.mounts import Mount, check, parse

OUR_FAULT = 125
ENGINES = ("udocker", "podman", "docker")


def parser() -> argparse.ArgumentParser:
    """Return the reader of command lines."""
    top = argparse.ArgumentParser(prog="im-batch", description="Containers under the batch system.")
    commands = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    run = commands.add_parser("run", help="run a container and wait for its end; its exit code is ours")
    run.add_argument("-d", "--detach", action="store_true", help="only print the container's id")
    run.add_argument("--rm", action="store_true", help="forget the container when it has ended")
    submit = commands.add_parser("submit", help="the same as run --detach")
    for each in (run, submit):
        _container_options(each)
    for name, text in (("attach", "show the output until the end"), ("stop", "end a container, politely at first")):
        commands.add_parser(name, help=text).add_argument("container", nargs="+" if name == "stop" else None)
    commands.choices["stop"].add_argument("-t", "--time", type=float, default=10, help="seconds before force")
    logs = commands.add_parser("logs", help="what a container wrote")
    logs.add_argument("container")
    logs.add_argument("-f", "--follow", action="store_true")
    remove = commands.add_parser("rm", help="forget containers")
    remove.add_argument("container", nargs="+")
    remove.add_argument("-f", "--force", action="store_true", help="end them first")
    pull = commands.add_parser("pull", help="make an image ready before a container needs it")
    pull.add_argument("--engine", choices=ENGINES, default="udocker")
    pull.add_argument("image")
    rmi = commands.add_parser("rmi", help="remove images")
    rmi.add_argument("--engine", choices=ENGINES, default="", help="only this one's; Podman and Docker share theirs")
    rmi.add_argument("image", nargs="+")
    ps = commands.add_parser("ps", help="your containers")
    ps.add_argument("-a", "--all", action="store_true", help="those that have ended as well")
    acct = commands.add_parser("acct", help="what your jobs used")
    acct.add_argument("container", nargs="*")
    listed = {"images": "your images", "info": "what there is to run on"}
    for each in (ps, acct, *(commands.add_parser(name, help=text) for name, text in listed.items())):
        each.add_argument("--json", action="store_true")
    return top


def _container_options(each: argparse.ArgumentParser) -> None:
    each.add_argument("--name", default="")
    each.add_argument("-e", "--env", action="append", default=[], metavar="K=V")
    each.add_argument("-v", "--volume", action="append", default=[], metavar="SOURCE:TARGET[:ro]")
    each.add_argument("-w", "--workdir", default="")
    each.add_argument("--entrypoint")
    each.add_argument("--cpus", type=int, default=1)
    each.add_argument("-m", "--memory", default="", help="as 512m or 2g; more is not to be had")
    each.add_argument("--time", default="", help="limit: minutes, or days-hours:minutes:seconds")
    each.add_argument("--engine", choices=ENGINES, default="udocker")
    each.add_argument("--prepared", default="", help=argparse.SUPPRESS)
    each.add_argument("image")
    each.add_argument("command", nargs=argparse.REMAINDER)


def main(arguments: list[str] | None = None) -> int:
    """Read and obey one command line; what goes wrong is a message and an exit code, never a silence."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return _internal(words) if words[:1] and words[0] in _INTERNAL else _obey(parser().parse_args(words))
    except BatchError as error:
        print(f"im-batch: {error}", file=sys.stderr)  # noqa: T201
        if error.hint:
            print(f"  next: {error.hint}", file=sys.stderr)  # noqa: T201
        return OUR_FAULT
    except OSError as error:
        print(f"im-batch: {error.filename or ''}: {(error.strerror or str(error)).lower()}", file=sys.stderr)  # noqa: T201
        return OUR_FAULT
    except KeyboardInterrupt:
        return 130


_INTERNAL = ("job", "podman", "keeper", "prolog", "epilog", "collect", "records")


def _internal(words: list[str]) -> int:
    from im_batch import hooks, job, keeper, podman, records

    if words[0] == "job":
        return job.main(Path(words[1]))
    if words[0] == "podman":
        return podman.inside()
    if words[0] == "keeper":
        return keeper.main()
    if words[0] == "records":
        return records.print_own()
    return hooks.hook(words[0])


def _obey(wanted: argparse.Namespace) -> int:
    if wanted.verb in {"run", "submit"}:
        return _run(wanted)
    if wanted.verb == "pull":
        print(_ready(wanted.engine, wanted.image))  # noqa: T201
        return 0
    if wanted.verb == "rmi":
        _remove(wanted.image, wanted.engine)
        return 0
    if wanted.verb in {"attach", "logs"}:
        container = verbs.find(wanted.container)
        code = verbs.follow(container, wait=wanted.verb == "attach" or wanted.follow)
        return int(code or 0) if wanted.verb == "attach" else 0
    if wanted.verb in {"stop", "rm"}:
        for text in wanted.container:
            container = verbs.find(text)
            if wanted.verb == "stop":
                verbs.stop(container, wanted.time)
            else:
                verbs.remove(container, force=wanted.force)
            print(text)  # noqa: T201
        return 0
    show(wanted.verb, _rows(wanted), as_json=wanted.json)
    return 0


def _ready(engine: str, image: str) -> str:
    from im_batch import images

    return (images.prepared if engine == "udocker" else images.keep)(image)


def _remove(names: list[str], engine: str) -> None:
    from im_batch import images

    used = {str(each.wanted["container"]) for each in verbs.mine() if verbs.ended(each) is None}
    for name in names:
        images.remove(name, used, engine)
        print(name)  # noqa: T201


def _run(wanted: argparse.Namespace) -> int:
    request = verbs.Wanted(
        image=wanted.image,
        container="",
        engine=wanted.engine,
        command=wanted.command,
        name=wanted.name,
        entrypoint=wanted.entrypoint,
        directory=wanted.workdir,
        variables=dict(_variable(text) for text in wanted.env),
        mounts=_mounts(wanted.volume),
        cpus=wanted.cpus,
        memory=memory(wanted.memory),
        time=wanted.time,
    )
    container = wanted.prepared or _ready(wanted.engine, wanted.image)
    identifier = verbs.submit(verbs.Wanted(**{**request.__dict__, "container": container}))
    if wanted.verb == "submit" or wanted.detach:
        print(identifier)  # noqa: T201
        return 0
    return _attend(identifier, forget=wanted.rm)


def _attend(identifier: str, *, forget: bool) -> int:
    container = verbs.find(identifier)
    try:
        code = int(verbs.follow(container) or 0)
    except KeyboardInterrupt:
        verbs.stop(container)
        verbs.follow(container)
        code = 130
    if forget:
        verbs.remove(container)
    return code


def _mounts(texts: list[str]) -> tuple[Mount, ...]:
    """Read the mounts and look at them here already; the job looks again, and holds what it saw."""
    found = tuple(parse(text) for text in texts)
    for mount in found:
        os.close(check(mount, places.mount_roots(), os.getuid()))
    return found


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise BatchError(f"{text!r} is no variable", "NAME=value")
    return name, value


def memory(text: str) -> str:
    """Return Slurm's form of Docker's sizes.

    >>> memory("512m"), memory("2g"), memory("")
    ('512M', '2G', '')
    """
    found = re.fullmatch(r"(\d+)([kKmMgGtT]?)[bB]?", text)
    if text and (not found or not int(found[1])):  # none at all means all that there is to Slurm
        raise BatchError(f"{text!r} is no size", "as 512m or 2g")
    if not found:
        return ""
    number, unit = found.groups()
    return f"{number}{unit.upper()}" if unit else f"{max(1, int(number) >> 10)}K"


def _rows(wanted: argparse.Namespace) -> list[dict[str, object]]:
    from im_batch import records

    if wanted.verb == "images":
        from im_batch import images

        return [dict(each) for each in images.listing()]
    if wanted.verb == "ps":
        return verbs.listing(everything=wanted.all)
    if wanted.verb == "acct":
        return [
            each
            for each in records.own()
            if not wanted.container
            or any(text in {str(each["container"]), str(each["job"]), str(each["name"])} for text in wanted.container)
        ]
    return information()


def information() -> list[dict[str, object]]:
    """Return the nodes with what they have, as Slurm sees them."""
    lines = slurm.ask("sinfo", "--noheader", "--Node", "--format=%N|%T|%c|%C|%m|%e").splitlines()
    names = ("node", "state", "cpus", "allocated/idle/other/total", "memory_mb", "free_mb")
    return [dict(zip(names, line.split("|"))) for line in lines]  # noqa: B905 - Python 3.9


_COLUMNS = {
    "images": ("image", "engine", "container"),
    "ps": ("id", "image", "command", "created", "status", "job", "name"),
    "acct": (
        *("job", "container", "image", "state", "code", "started", "ended", "cpu_seconds", "peak_memory"),
        *("read_bytes", "written_bytes", "oom_kills"),
    ),
    "info": ("node", "state", "cpus", "allocated/idle/other/total", "memory_mb", "free_mb"),
}


def show(verb: str, rows: list[dict[str, object]], *, as_json: bool) -> None:
    """Print rows as aligned columns, or as JSON."""
    if as_json:
        print(json.dumps(rows, indent=2))  # noqa: T201
        return
    columns = _COLUMNS[verb]
    table = [[name.upper() for name in columns], *([_cell(name, row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(line[index]) for line in table) for index in range(len(columns))]
    for line in table:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())  # noqa: B905, T201


def _cell(name: str, value: object) -> str:
    if value in {None, ""}:
        return "-"
    if name == "created":
        return f"{_age(time.time() - float(str(value)))} ago"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
