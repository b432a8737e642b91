"""A shell, or one command, in a container on one node of a cluster."""

from __future__ import annotations

import secrets
import shlex
import sys
from typing import TYPE_CHECKING, TypedDict, Unpack

from im.jobs.engines import Inside, Mount, choose
from im.jobs.facts import survey
from im.jobs.images import recognise
from im.jobs.preparation import ensure
from im.ssh.connection import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from im.events import Emit
    from im.jobs.engines import ContainerEngine
    from im.plan.model import Cluster, Node

LOGIN = ("/bin/sh", "-c", "if command -v bash >/dev/null; then exec bash; else exec sh; fi")
"""The image's best shell."""


class ShellOptions(TypedDict, total=False):
    """What may be said of a shell besides node and image."""

    engine: str
    mounts: tuple[Mount, ...]
    folder: str
    user: str


def shell_command(
    cluster: Cluster, node: Node, image: str, words: Sequence[str], *, emit: Emit, **options: Unpack[ShellOptions]
) -> list[str]:
    """Make the image ready, and return the command line that runs ``words`` (a shell if there are none) in a container.

    The user's home is there, and what is done in it stays. The container goes when the program, or its client, ends.
    """
    known = recognise(image)
    facts = survey(cluster)
    chosen = choose(options.get("engine", ""), facts.engines)
    ensure(cluster, facts, chosen, known, nodes=(node.name,), emit=emit)
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    inside = Inside(
        known.container,
        facts.home,
        options.get("folder") or facts.home,
        options.get("mounts", ()),
        options.get("user", ""),
        attached=True,
        terminal=terminal,
    )
    line = remote_line(chosen, inside, words, f"shell-{secrets.token_hex(4)}")
    return [*command(cluster, node, user=cluster.user, tty=terminal), "--", line]


def remote_line(engine: ContainerEngine, inside: Inside, words: Sequence[str], name: str) -> str:
    """Return what the node's shell runs: the container, and afterwards, whatever happens, what removes it."""
    start = shlex.join(["env", f"IM_JOB={name}", *engine.run(inside), *(words or LOGIN)])
    clean = engine.clean(name)
    return f"trap {shlex.quote(shlex.join(clean) + ' >&- 2>&-')} EXIT HUP TERM; {start}" if clean else start
