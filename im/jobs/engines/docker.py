"""Docker, and Podman, which takes the same words: images on every node, processes in the node's own namespaces."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from im.jobs.engines.base import LOADED, PASSED, Inside, Steps, demand

if TYPE_CHECKING:
    from im.jobs.images import Image

_FILES = ("/etc/passwd", "/etc/group", "/etc/hosts")
_SHARED = ("/tmp", "/dev/shm")  # noqa: S108
_FLAGS = '--rm --pull=never --entrypoint= --label "im.job=$IM_JOB"'
_UNNAME = 'case $1 in sha256:*) ;; *) exec {} rmi "$1" ;; esac'
"""Takes away a name that an image has besides ours. An archive may have none: then its id would be the whole image."""
IN_SLURM = r"s@^([0-9]+:([^:]*,)?memory(,[^:]*)?|0:):(.*/job_[0-9]+/step_[^/]+(/user)?)(/.*)?$@--cgroup-parent=\4@p"
"""For sed: of our control groups, the one in which Slurm counts and limits our step."""
_PLACE = "/tmp/im-"  # noqa: S108
_MARK = 'echo $$ 2> /dev/null > "$0"; exec "$@"'
"""Inside: leaves the rank's process id, if its user may, and becomes the rank."""
_SPACES = "--network=host --ipc=host --pid=host --uts=host --security-opt seccomp=unconfined"


class Docker:
    """A daemon of root on every node; processes run as the user."""

    name = "docker"
    per_node = True
    read_only_mounts = True
    client = "sudo -E docker"
    rights = "--cap-add SYS_PTRACE"
    without_tls: tuple[str, ...] = ()
    """Its daemon's configuration says which registries have no TLS."""
    myself = '--user="$(id -u):$(id -g)"'
    place = f"$(sed -nE '{IN_SLURM}' /proc/self/cgroup | head -n 1) ${{SLURM_JOB_ID:+--label im.slurm=$SLURM_JOB_ID}}"
    """What the daemon starts for a job of Slurm has the limits of the job, and is counted and ended with it."""

    def prepare(self, image: Image, archive: str, mode: str) -> Steps:  # noqa: ARG002
        """Load, import or pull, and give the image our name alone: what has no other goes with it."""
        engine = tuple(self.client.split())
        name = f"{image.container}:latest"
        if image.kind == "rootfs":
            return ((*engine, "import", archive, name),)
        if image.kind == "registry":
            scheme, _, reference = image.reference.rpartition("://")
            options = self.without_tls if scheme == "http" else ()
            first, given = (*engine, "pull", *options, reference), reference
        else:
            first, given = (*engine, "load", "--quiet", "-i", archive), LOADED
        return first, (*engine, "tag", given, name), ("sh", "-c", _UNNAME.format(self.client), "unname", given)

    def discard(self, image: Image) -> Steps:
        """Remove the image."""
        return ((*self.client.split(), "rmi", "--force", f"{image.container}:latest"),)

    def present(self, container: str) -> tuple[str, ...]:
        """Ask for the image."""
        return (*self.client.split(), "image", "inspect", f"{container}:latest")

    def run(self, inside: Inside) -> tuple[str, ...]:
        """Share the node's namespaces: MPI's ranks find each other by address, process id and shared memory."""
        own = [f"{at}:{at}" for at in (inside.home, *_SHARED)] + [f"{at}:{at}:ro" for at in _FILES]
        volumes = shlex.join(word for mount in [*own, *map(str, inside.mounts)] for word in ("-v", mount))
        names = f"$(env | sed -nE 's/^(({PASSED})[A-Za-z0-9_]*|HOME|USER|TERM)=.*/-e \\1/p') $IM_JOB_ENV"
        user = f"--user={shlex.quote(inside.user)}" if inside.user else self.myself
        terminal = "-it" if inside.terminal else "-i" if inside.attached else ""
        options = f"{_FLAGS} {self.place} {user} {self.rights} {_SPACES} {volumes}"
        shared = _shared(self.client, options, names) if inside.together else ""
        line = f'{demand(inside.mounts)}{shared}exec {self.client} run {options} {terminal} {names} "$@"'
        return "sh", "-c", line, "rank", f"--workdir={inside.folder}", f"{inside.container}:latest"

    def clean(self, job: str) -> tuple[str, ...]:
        """Remove the container that the ranks share, or what has the job's label, and all that is in it."""
        find = f"{self.client} ps --all --quiet --filter label=im.job={job}"
        shared = f'read -r left 2> /dev/null < {_PLACE}{job}/container && [ "$left" != none ]'
        remove = f'{{ {shared} || left=$({find}); }} && [ -z "$left" ] || {self.client} rm --force $left'
        return "sh", "-c", f"{remove}; rm -rf {_PLACE}{job}"


class Podman(Docker):
    """No daemon: containers are the user's own processes, in a namespace where ids are what they are outside."""

    name = "podman"
    client = "podman"
    rights = "--userns=keep-id"
    without_tls = ("--tls-verify=false",)
    myself = ""
    place = ""


def _shared(client: str, options: str, names: str) -> str:
    """Return lines of shell for a rank in the container that its job has on the node; whoever is there first makes it.

    The container has no mark of the job, only its label: it goes after the ranks. Podman's monitor of it lives as long,
    and must not hold the lock. A shell of the image waits in the container; if there is none, the lines end, and what
    follows them runs. ``exec`` does not pass on signals as ``run`` does: the rank's process leaves its id for that.
    """
    make = f'{client} run --detach --interactive {options} "$1" "$2" /bin/sh -c \'read end\''
    return f"""\
place={_PLACE}$IM_JOB
mkdir -p "$place"
(
    trap '' TERM
    flock 9
    [ -s "$place/container" ] || {make} > "$place/container" 2> /dev/null 9>&- || echo none > "$place/container"
) 9> "$place/lock"
read -r container < "$place/container" || container=none
if [ "$container" != none ]; then
    shift 2
    setsid {client} exec {names} "$container" /bin/sh -c '{_MARK}' "$place/$$" "$@" &
    for name in HUP INT QUIT TERM USR1 USR2; do
        trap "kill -$name \\$(cat $place/$$) 2> /dev/null" $name
    done
    while wait $!; code=$?; kill -0 $! 2> /dev/null; do :; done
    exit $code
fi
"""
