"""Slurm and container batch on real nodes: what users see, what is counted, and what is left: nothing."""

from __future__ import annotations

import json
import time

import pytest
from subcluster import User

from im.api import LocalManager

pytestmark = pytest.mark.e2e_local


@pytest.fixture(scope="session")
def image(batch_cluster, mpi_image):
    """The image's archive where all users of the sub-cluster can read it."""
    with LocalManager(batch_cluster.settings) as im:
        im.put(batch_cluster.name, None, mpi_image, "/srv/mpi.tar", user="root")
    return "/srv/mpi.tar"


@pytest.fixture(scope="session")
def ann(batch_cluster, image):
    return User(batch_cluster.cluster, "ann", image)


@pytest.fixture(scope="session")
def ben(batch_cluster, image):
    return User(batch_cluster.cluster, "ben", image)


def test_the_nodes_have_the_processors_and_the_memory_that_they_were_given(ann):
    lines = ann.do("sinfo -hN -o '%N %c %m %T'")[1].splitlines()
    assert [line.split()[:2] for line in lines] == [["worker-1", "2"], ["worker-2", "2"]]
    assert all(800 < int(line.split()[2]) < 1024 for line in lines)


def test_mpi_programs_start_by_srun_with_pmix(ann):
    program = (
        "import ctypes;m=ctypes.CDLL('libmpi.so.40',mode=ctypes.RTLD_GLOBAL);m.MPI_Init(None,None);n=ctypes.c_int()"
    )
    size = "m.MPI_Comm_size(ctypes.byref(ctypes.c_void_p.in_dll(m,'ompi_mpi_comm_world')),ctypes.byref(n))"
    code, output, errors = ann.do(
        f'srun --mpi=pmix -N2 -n4 python3 -c "{program};{size};print(n.value);m.MPI_Finalize()"'
    )
    assert (code, output.split()) == (0, ["4"] * 4), errors


def test_a_container_runs_as_its_user_with_its_outputs_apart_and_its_own_exit_code(ann):
    code, output, errors = ann.do("im-batch run -e COLOUR=red $I sh -c 'id -u; echo $COLOUR; echo wrong >&2; exit 42'")
    assert (code, output, errors) == (42, "3001\nred\n", "wrong\n")


def test_the_client_submits_and_attends_a_container(batch_cluster, mpi_image):
    words = ("--memory", "200m", mpi_image, "sh", "-c", "echo from $(hostname); exit 5")
    process = batch_cluster.client("batch", "run", batch_cluster.name, "--name", "mine", *words)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 5, errors
    assert output.startswith("from worker-")
    listing = batch_cluster.client("batch", "ps", batch_cluster.name, "--all", "--json").communicate(timeout=60)[0]
    assert ("mine", "Exited (5)") in [(row["name"], row["status"]) for row in json.loads(listing)]


def test_the_client_knows_every_verb(batch_cluster, mpi_image):
    def client(verb, *words):
        process = batch_cluster.client("batch", verb, batch_cluster.name, *words)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    code, output, errors = client("submit", "--name", "far", mpi_image, "sh", "-c", "echo begun; sleep 300")
    assert code == 0, errors
    identifier = output.strip()
    limit = time.monotonic() + 30
    while client("logs", identifier)[1] != "begun\n":
        assert time.monotonic() < limit, "the container does not start"
    assert "Running" in next(line for line in client("ps")[1].splitlines() if identifier in line)
    assert client("stop", "--time", "1", "far")[0] == 0
    assert identifier not in client("ps")[1]
    assert client("rm", identifier)[1] == f"{identifier}\n"
    assert client("logs", identifier)[0] == 125
    assert "worker-2" in client("info")[1]
    limit = time.monotonic() + 30
    while not json.loads(client("acct", "--json", identifier)[1]):
        assert time.monotonic() < limit, "no record was written"


def test_mounts_show_what_was_given_and_read_only_ones_stay_as_they_are(ann):
    ann.do("mkdir -p in out; echo data > in/file")
    script = "cat /in/file; echo new > /out/file; echo new > /in/file; ls /home"
    code, output, errors = ann.do(
        f'im-batch run -v $HOME/in:/in:ro -v $HOME/out:/out $I sh -c "{script}"; cat out/file in/file'
    )
    assert (code, output) == (0, "data\nnew\ndata\n"), errors
    assert "Read-only file system" in errors


def test_a_container_that_wants_more_memory_than_it_has_ends_and_is_counted(ann):
    code, _, _ = ann.do("im-batch run --name greedy -m 60m $I sh -c 'x=a; while :; do x=$x$x; done'")
    record = ann.record("greedy")
    assert code == 137
    assert (record["state"], record["code"], record["oom_kills"]) == ("OUT_OF_MEMORY", 137, 1)
    assert 40 << 20 < record["peak_memory"] <= 60 << 20


WORK = "i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done"
"""More than 0.3 seconds of a processor."""


def test_what_a_container_used_is_recorded(ann):
    write = "dd if=/dev/zero of=/tmp/f bs=1M count=20 conv=fsync"
    assert ann.do(f"im-batch run --name worker $I sh -c '{WORK}; {write}'")[0] == 0
    record = ann.record("worker")
    assert record["cpu_seconds"] > 0.3
    assert record["written_bytes"] >= 20 << 20
    assert (record["user"], record["image"], record["code"]) == ("ann", "/srv/mpi.tar", 0)
    assert record["started"] <= record["ended"]


def test_jobs_that_wait_begin_as_soon_as_others_end(ann):
    begun = time.monotonic()
    job = ann.do("sbatch --parsable --array=0-11 --output=/dev/null --wrap true")[1].strip()
    while ann.do(f"squeue --noheader --jobs {job}")[1]:
        assert time.monotonic() - begun < 45, "Slurm starts no job before its next round"
        time.sleep(0.5)


WAITING = "touch started; sleep 300 & wait"


def test_stop_is_polite_at_first_and_the_program_may_end_as_it_likes(ann):
    identifier = ann.start(f'trap "echo bye; exit 7" TERM; {WAITING}')
    ann.do(f"im-batch stop {identifier}")
    assert ann.do(f"im-batch logs {identifier}")[1] == "bye\n"
    assert ann.do(f"im-batch attach {identifier}")[0] == 7


def test_a_program_that_does_not_listen_is_ended_by_force(ann):
    identifier = ann.start(f'trap "" TERM; {WAITING}; {WAITING}')
    ann.do(f"im-batch stop --time 1 {identifier}")
    assert ann.do(f"im-batch attach {identifier}")[0] == 137


def test_after_a_kill_nothing_is_left_and_everything_is_counted(ann, batch_cluster):
    program = f"setsid sleep 4242 & {WORK}; {WORK}; {WORK}; touch started; while :; do :; done"
    identifier = ann.start(program, "--name lost")
    job = ann.do(f"cat .im/batch/{identifier}/job")[1]
    for node in ("worker-1", "worker-2"):
        batch_cluster.on(node, "pkill -KILL -u ann")
    record = ann.record("lost")
    assert (record["code"], record["state"]) == (137, "FAILED")
    assert record["cpu_seconds"] > 0.7
    for node in ("worker-1", "worker-2"):
        assert batch_cluster.on(node, f"pgrep -x -f 'sleep 4242'; ls -d /var/lib/im/jobs/{job} 2>&-") == ""
        assert batch_cluster.on(node, f"ls -d /sys/fs/cgroup/*/slurm*/uid_3001/job_{job} 2>&-") == ""


def test_rm_forgets_a_container_and_its_output(ann):
    identifier = ann.do("im-batch run --name short $I true; im-batch ps --all | awk '/short/ { print $1 }'")[1].strip()
    assert ann.do(f"im-batch rm {identifier}; ls .im/batch/{identifier} 2>&-")[1] == f"{identifier}\n"
    assert ann.do("im-batch logs short")[0] == 125


# ------------------------------------------------------------------ the eight faults of the forerunner


def test_fault_1_a_set_user_id_program_of_root_gives_no_rights_in_a_container(ann, batch_cluster):
    """The kernel's own word counts: proot would make up any user id for a program that asks."""
    prepare = "cp /usr/bin/cat rootcat; chmod 4755 rootcat; echo hidden > secret; chmod 600 secret"
    batch_cluster.on("frontend", f"cd /home/ann; {prepare}")
    tries = "./rootcat /proc/self/status | grep -E '^(Uid|NoNewPrivs)'; ./rootcat secret"
    assert "\t0\t0\t" in ann.do(tries)[1]  # outside it works
    _, output, errors = ann.do(f'im-batch run -v $HOME:/mine -w /mine $I sh -c "{tries}"')
    batch_cluster.on("frontend", "cd /home/ann; rm rootcat secret")
    assert output == "Uid:\t3001\t3001\t3001\t3001\nNoNewPrivs:\t1\n", errors


def test_fault_2_a_folder_whose_name_only_begins_like_the_users_home_cannot_be_mounted(ann, batch_cluster):
    batch_cluster.on("frontend", "mkdir -p /home/ann2; echo secret > /home/ann2/file; chmod 777 /home/ann2")
    code, output, errors = ann.do("im-batch run -v /home/ann2:/x $I cat /x/file")
    assert (code, output) == (125, "")
    assert "/home/ann2 must not be mounted" in errors


def test_fault_3_root_follows_no_link_that_a_user_left(ann, batch_cluster):
    before = batch_cluster.on("frontend", "stat -c '%U %a %s %Y' /etc/shadow")
    script = (
        "im-batch submit --name links -v $HOME:/mine $I sh -c 'sleep 1; cd /mine/.im/batch; for d in */; do "
        "for f in result.json result.new stderr; do ln -sfn /etc/shadow $d/$f; done; done; ln -sfn /etc /tmp/etc'"
    )
    code, _, errors = ann.do(script)
    assert code == 0, errors
    ann.record("links")
    assert batch_cluster.on("frontend", "stat -c '%U %a %s %Y' /etc/shadow") == before
    for node in ("worker-1", "worker-2"):
        assert batch_cluster.on(node, "ls -A /var/lib/im/jobs; test -e /etc/passwd || echo gone") == ""
    ann.do("im-batch rm --force links; rm -rf .im/batch/*")


def test_fault_4_what_a_user_writes_in_roots_way_is_never_code(ann, batch_cluster):
    payload = "!!python/object/apply:os.system ['touch /var/lib/im/owned']"
    script = f'#!/bin/sh\necho "{payload}" > /var/lib/im/jobs/$SLURM_JOB_ID/report\n'
    ann.do(f"cat > evil.sh <<'X'\n{script}X\nsbatch --wait --job-name evil -o /dev/null evil.sh")
    assert ann.record("evil")["state"] == "COMPLETED"
    for node in ("frontend", "worker-1", "worker-2"):
        assert batch_cluster.on(node, "ls /var/lib/im/owned 2>&-") == ""


def test_fault_5_an_image_cannot_write_outside_of_its_container(ann, batch_cluster):
    make = (
        "import tarfile,io\n"
        "t=tarfile.open('evil.tar','w')\n"
        "for n in ('bin/x','etc/x','../../../../../../etc/im-evil','/etc/im-evil2','../../../../im-evil3'):\n"
        "  i=tarfile.TarInfo(n); i.size=1; t.addfile(i,io.BytesIO(b'x'))\n"
        "t.close()\n"
    )
    ann.do(f"python3 - <<'X'\n{make}X\nim-batch run $HOME/evil.tar true")
    found = "ls /etc/im-evil /etc/im-evil2 /im-evil3 /home/im-evil3 /home/ann/im-evil3 /home/ann/.udocker/im-evil3 2>&-"
    assert [batch_cluster.on(node, found) for node in ("frontend", "worker-1", "worker-2")] == [""] * 3


def test_fault_6_there_is_no_token_and_no_port_to_send_one_to(ann, ben, batch_cluster):
    identifier = ann.start(WAITING)
    for node in ("frontend", "worker-1"):
        listening = batch_cluster.on(node, "ss -Hltnp | sed -n 's/.*users:((\"\\([^\"]*\\).*/\\1/p' | sort -u").split()
        assert set(listening) <= {"sshd", "slurmctld", "slurmd", "slurmstepd"}
    job = ann.do(f"cat .im/batch/{identifier}/job")[1]
    # Whoever knows the number has no right by it.
    assert ben.do(f"scancel {job}; squeue -h -j {job}; scontrol show job {job}")[1] == ""
    assert ann.do(f"squeue -h -j {job} -o %T")[1] == "RUNNING\n"
    ann.do(f"im-batch rm --force {identifier}")


def test_fault_7_what_is_exchanged_behind_the_check_does_not_get_in(ann):
    """A mount is exchanged for a link to the system's files, for as long as containers start with it."""
    swap = "while :; do mv -T d e; ln -sfn /etc d; rm -f d; mv -T e d; done"
    runs = "for i in 1 2 3 4; do im-batch run -v $HOME/d:/x $I sh -c 'ls /x/passwd 2>&-; ls /x' 2>/dev/null; done"
    output = ann.do(f"mkdir -p d; touch d/mine; ({swap}) 2>/dev/null & p=$!; {runs}; kill $p; rm -rf d e")[1]
    assert set(output.split()) <= {"mine"}


def test_fault_8_every_failure_is_an_exit_code_and_a_reason(ann):
    for words, code, reason in (
        ("run $I sh -c 'exit 3'", 3, ""),
        ("run $I sh -c 'kill -9 $$'", 137, ""),
        ("run $I no_such_program", 127, "no_such_program"),
        ("run /no/such/image.tar true", 125, "image"),
        ("run -v /nowhere:/x $I true", 125, "/nowhere must not be mounted"),
        ("run --cpus 64 $I true", 125, "Slurm says:"),
        ("logs nobody", 125, "you have no container 'nobody'"),
        ("stop nobody", 125, "you have no container 'nobody'"),
    ):
        found, _, errors = ann.do(f"im-batch {words}")
        assert (words, found) == (words, code)
        assert reason in errors


# ------------------------------------------------------------------------------ users among themselves


def test_nobody_sees_stops_or_reads_the_containers_of_another(ann, ben):
    identifier = ann.start(f"echo private; {WAITING}", "--name hers")
    try:
        assert "hers" in ann.do("im-batch ps")[1]
        for words in ("ps --all", "acct", "info"):
            assert not {identifier, "hers"} & set(ben.do(f"im-batch {words}")[1].split())
        for words in ("logs", "stop", "rm --force", "attach"):
            assert ben.do(f"im-batch {words} {identifier}")[0] == 125
            assert ben.do(f"im-batch {words} hers")[0] == 125
        assert ben.do("squeue -h; cat /home/ann/.im/batch/*/stdout; ls /home/.im/batch /var/lib/im/batch")[1] == ""
        assert ben.do("cat /var/lib/im/jobs/*/report; ls /var/lib/im/jobs/*/tmp", node="worker-1")[1] == ""
        assert "hers" in ann.do("im-batch ps")[1]
    finally:
        ann.do(f"im-batch rm --force {identifier}")


def test_the_records_of_others_cannot_be_had_by_asking_for_them_differently(ann, ben):
    ann.do("im-batch run --name secret $I true")
    ann.record("secret")
    for words in ("sudo -n -u slurm cat /var/lib/im/batch/records.jsonl", "SUDO_UID=3001 im-batch records"):
        assert "secret" not in ben.do(words)[1]
    assert "secret" not in ben.do("SUDO_UID=3001 sudo -n -u slurm /usr/local/lib/im/im-batch-records")[1]


def test_nobody_puts_a_record_under_the_name_of_another(ann, ben):
    """A job's name and comment are its user's: they must not pass for what Slurm says."""
    words = "UserId=ann(3001) JobState=COMPLETED ExitCode=0:0"
    ben.do(f"sbatch --wait -o /dev/null -J 'forged {words}' --comment='im-batch x {words}' --wrap 'exit 3'")
    found = ben.record(f"'forged {words}'")
    assert (found["user"], found["state"], found["code"]) == ("ben", "FAILED", 3)
    assert "forged" not in ann.do("im-batch acct --json")[1]


# --------------------------------------------------------------------------------------------- growing


def test_a_sub_cluster_grows_while_jobs_run_on_it(ann, batch_cluster):
    identifier = ann.start("touch started; sleep 300")
    with LocalManager(batch_cluster.settings) as im:
        try:
            im.scale(batch_cluster.name, {"worker": 3})
            assert ann.do("sinfo -hN -o %N")[1].split() == ["worker-1", "worker-2", "worker-3"]
            code, output, errors = User(ann.cluster, ann.cluster.user, "").do("srun -w worker-3 hostname")
            assert (code, output) == (0, "worker-3\n"), errors
            assert identifier in ann.do("im-batch ps | grep Running")[1]
        finally:
            ann.do(f"im-batch rm --force {identifier}")
            im.scale(batch_cluster.name, {"worker": 2})
    assert ann.do("sinfo -hN -o %N")[1].split() == ["worker-1", "worker-2"]


def test_a_restart_brings_the_batch_system_back(ann, batch_cluster):
    with LocalManager(batch_cluster.settings) as im:
        im.restart(batch_cluster.name)
    code, output, errors = ann.do("im-batch run $I echo again")
    assert (code, output) == (0, "again\n"), errors
