"""What the client asks the front-end."""

from __future__ import annotations

from im_batch import cli

from im.jobs.batch.client import failure
from im.jobs.batch.request import Container, submission


def test_what_the_client_says_is_what_the_front_end_understands():
    wanted = Container(
        "lab/tools:1",
        ("run", "--fast", "a b"),
        name="fit",
        entrypoint="",
        directory="/run",
        variables={"A": "x=y z"},
        mounts=("/home/ann/in:/in:ro",),
        cpus=2,
        memory="2g",
        time="60",
    )
    words = submission(wanted, "im-0123")
    read = cli.parser().parse_args(words[1:])
    assert (read.verb, read.image, read.command) == ("submit", "lab/tools:1", ["run", "--fast", "a b"])
    assert (read.name, read.entrypoint, read.workdir, read.env) == ("fit", "", "/run", ["A=x=y z"])
    assert (read.volume, read.cpus, read.memory, read.time) == (["/home/ann/in:/in:ro"], 2, "2g", "60")
    assert read.prepared == "im-0123"


class _Cluster:
    name = "lab"


def test_a_sub_cluster_without_batch_system_is_told_so():
    assert "no batch system" in failure(_Cluster(), 127, "sh: im-batch: not found").message


def test_the_front_ends_words_and_advice_are_passed_on():
    error = failure(_Cluster(), 125, "im-batch: /etc must not be mounted\n  next: what may be: /data\n")
    assert (error.message, error.hint) == ("/etc must not be mounted", "what may be: /data")
