"""Batch jobs in each container engine, on a node that has all of them, with Slurm's database."""

from __future__ import annotations

import json
import re
import time

import pytest
from subcluster import ACCOUNTS, User, guarded_registry

from im.api import LocalManager

pytestmark = pytest.mark.e2e_local

ENGINES = ("udocker", "podman", "docker")
WAITING = "touch started; sleep 300 & wait"


@pytest.fixture(scope="session")
def users(full_batch_cluster, mpi_image):
    """Ann and Ben, with an image that both can read."""
    with LocalManager(full_batch_cluster.settings) as im:
        im.put(full_batch_cluster.name, None, mpi_image, "/srv/mpi.tar", user="root")
    return [User(full_batch_cluster.cluster, name, "/srv/mpi.tar") for name in ("ann", "ben")]


@pytest.fixture(scope="session")
def ann(users):
    return users[0]


@pytest.fixture(scope="session")
def ben(users):
    return users[1]


@pytest.fixture
def worker(full_batch_cluster):
    """Runs a script as root on the node that has all engines."""
    return lambda script: full_batch_cluster.on("worker-1", script)


def left(worker, job):
    """Return what a job left on its node: processes, containers, mounts, folders, control groups."""
    return worker(
        f"pgrep -u ann -a; docker ps -aq; grep -c /run/im/batch /proc/mounts | grep -v '^0'; "
        f"ls -d /run/im/batch/{job} /var/lib/im/jobs/{job} /var/tmp/im-batch-podman/{job} /tmp/im-batch-podman/{job} "
        f"/var/lib/im-batch-podman/{job} /sys/fs/cgroup/*/slurm*/uid_3001/job_{job} 2>&-"
    )


def wait_until_nothing_is_left(worker, job):
    limit = time.monotonic() + 30
    while found := left(worker, job):
        assert time.monotonic() < limit, found
        time.sleep(0.3)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_container_runs_as_its_user_with_its_outputs_apart_and_its_own_exit_code(ann, engine):
    script = "id -u; echo $COLOUR; pwd; hostname; echo ${SLURM_JOB_ID:+in a job}; echo wrong >&2; exit 42"
    code, output, errors = ann.do(f"im-batch run --engine {engine} -e COLOUR='dark red' -w /usr $I sh -c '{script}'")
    assert (code, output, errors) == (42, "3001\ndark red\n/usr\nworker-1\nin a job\n", "wrong\n")


@pytest.mark.long
def test_what_an_image_says_of_its_program_holds_in_every_engine(ann, worker):
    """The image is one that ``docker save`` wrote, with a program, a variable and a folder of its own."""
    ann.do("im-batch run --engine docker $I true")  # keeps the archive in the home
    says = """'ENTRYPOINT ["sh","-c","pwd; echo $COLOUR; echo $0"]' 'CMD ["own"]' 'ENV COLOUR=blue' 'WORKDIR /usr'"""
    changes = f'set --; for c in {says}; do set -- "$@" --change "$c"; done'
    make = 'docker import "$@" /home/ann/.im/images/*.tar said:1 && docker save said:1 > /home/ann/said.tar'
    worker(f"{changes}; {make}; docker rmi said:1; chown ann: /home/ann/said.tar")
    for engine in ENGINES:
        code, output, errors = ann.do(f"im-batch run --engine {engine} $HOME/said.tar")
        assert (code, output) == (0, "/usr\nblue\nown\n"), (engine, errors)
        code, output, errors = ann.do(f"im-batch run --engine {engine} -e COLOUR=red -w /etc $HOME/said.tar mine")
        assert (code, output) == (0, "/etc\nred\nmine\n"), (engine, errors)
        code, output, errors = ann.do(f"im-batch run --engine {engine} --entrypoint echo $HOME/said.tar other")
        assert (code, output) == (0, "other\n"), (engine, errors)
    ann.do("rm said.tar")


@pytest.mark.parametrize("engine", ENGINES)
def test_fault_1_a_set_user_id_program_of_root_gives_no_rights_in_a_container(ann, full_batch_cluster, engine):
    prepare = "cp /usr/bin/cat rootcat; chmod 4755 rootcat; echo hidden > secret; chmod 600 secret"
    full_batch_cluster.on("frontend", f"cd /home/ann; {prepare}")
    tries = "./rootcat /proc/self/status | grep -E '^(Uid|CapEff|NoNewPrivs)'; ./rootcat secret"
    code, output, errors = ann.do(f'im-batch run --engine {engine} -v $HOME:/mine -w /mine $I sh -c "{tries}"')
    full_batch_cluster.on("frontend", "cd /home/ann; rm rootcat secret")
    assert code == 1, errors
    assert output == "Uid:\t3001\t3001\t3001\t3001\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n", errors


@pytest.mark.parametrize("engine", ENGINES)
def test_a_container_lives_in_its_jobs_control_group(ann, worker, engine):
    identifier = ann.start("touch started; exec sleep 4321", f"--engine {engine}")
    job = ann.do(f"cat .im/batch/{identifier}/job")[1]
    try:
        groups = worker(
            "cat /proc/$(pgrep -x -f 'sleep 4321')/cgroup; grep ^Uid /proc/$(pgrep -x -f 'sleep 4321')/status"
        )
        assert f"/uid_3001/job_{job}/" in next(line for line in groups.splitlines() if ":memory:" in line)
        assert "\t3001\t3001\t3001\t3001" in groups
    finally:
        ann.do(f"im-batch rm --force {identifier}")
    wait_until_nothing_is_left(worker, job)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_container_that_wants_more_memory_than_it_has_ends_and_is_counted(ann, engine):
    name = f"greedy-{engine}"
    code, _, errors = ann.do(
        f"im-batch run --engine {engine} --name {name} -m 100m $I sh -c 'x=a; while :; do x=$x$x; done'"
    )
    record = ann.record(name)
    assert code == 137, errors
    assert (record["code"], record["oom_kills"]) == (137, 1)
    assert record["state"] == "OUT_OF_MEMORY" or engine == "docker"  # Slurm does not look into its groups
    assert 60 << 20 < record["peak_memory"] <= 100 << 20


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_container_used_is_recorded(ann, engine):
    work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; dd if=/dev/zero of=/tmp/f bs=1M count=20 conv=fsync"
    name = f"work-{engine}"
    assert ann.do(f"im-batch run --engine {engine} --name {name} $I sh -c '{work}'")[0] == 0
    record = ann.record(name)
    assert record["cpu_seconds"] > 0.1
    counted = engine != "docker" or (record["written_bytes"] is not None)  # version 1 of control groups cannot
    assert not counted or record["written_bytes"] >= 20 << 20
    assert (record["user"], record["image"], record["code"]) == ("ann", "/srv/mpi.tar", 0)
    assert record["started"] <= record["ended"]


@pytest.mark.parametrize("engine", ["udocker", pytest.param("podman", marks=pytest.mark.long), "docker"])
def test_stop_is_polite_at_first_and_then_by_force(ann, worker, engine):
    polite = ann.start(f'trap "echo bye; exit 7" TERM; {WAITING}', f"--engine {engine}")
    ann.do(f"im-batch stop {polite}")
    assert ann.do(f"im-batch logs {polite}")[1] == "bye\n"
    assert ann.do(f"im-batch attach {polite}")[0] == 7
    deaf = ann.start(f'trap "" TERM; {WAITING}; {WAITING}', f"--engine {engine}")
    ann.do(f"im-batch stop --time 1 {deaf}")
    assert ann.do(f"im-batch attach {deaf}")[0] == 137
    for identifier in (polite, deaf):
        wait_until_nothing_is_left(worker, ann.do(f"cat .im/batch/{identifier}/job")[1])


@pytest.mark.parametrize("engine", ENGINES)
def test_after_a_kill_nothing_is_left_and_everything_is_counted(ann, worker, engine):
    name = f"lost-{engine}"
    identifier = ann.start(
        "setsid sleep 4242 & touch started; while :; do :; done", f"--engine {engine} --name {name} -v $HOME:/mine"
    )
    time.sleep(1.5)
    job = ann.do(f"cat .im/batch/{identifier}/job")[1]
    worker("pkill -KILL -u ann")
    record = ann.record(name)
    assert (record["code"], record["state"]) == (137, "FAILED")
    assert record["cpu_seconds"] > 0.4
    wait_until_nothing_is_left(worker, job)
    assert ann.do("ls -d here .im")[1] == ".im\nhere\n"  # what was mounted is as it was


@pytest.mark.parametrize("engine", ENGINES)
def test_mounts_show_what_was_given_and_read_only_ones_stay_as_they_are(ann, engine):
    ann.do("mkdir -p in out; echo data > in/file; echo one > single")
    script = "cat /in/file /single; echo new > /out/file; echo new > /in/file; ls /home"
    mounts = "-v $HOME/in:/in:ro -v $HOME/out:/out -v $HOME/single:/single"
    code, output, errors = ann.do(
        f'im-batch run --engine {engine} {mounts} $I sh -c "{script}"; cat out/file in/file; rm -r in out single'
    )
    assert (code, output) == (0, "data\none\nnew\ndata\n"), errors
    assert "Read-only file system" in errors


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_fault_7_what_is_exchanged_behind_the_check_does_not_get_in(ann, engine):
    swap = "while :; do mv -T d e; ln -sfn /etc d; rm -f d; mv -T e d; done"
    runs = f"for i in 1 2 3 4; do im-batch run --engine {engine} -v $HOME/d:/x $I sh -c 'ls /x/passwd; ls /x'; done"
    output = ann.do(f"mkdir -p d; touch d/mine; ({swap}) 2>/dev/null & p=$!; {runs} 2>/dev/null; kill $p; rm -rf d e")[
        1
    ]
    assert set(output.split()) <= {"mine"}


@pytest.mark.parametrize("engine", ENGINES)
def test_fault_8_every_failure_is_an_exit_code_and_a_reason(ann, engine):
    for words, code, reason in (
        ("""$I sh -c 'sh -c "kill -9 \\$\\$"; exit $?'""", 137, ""),
        ("$I no_such_program", 127, "no_such_program"),
        ("-v /home/ben:/x $I true", 125, "/home/ben must not be mounted"),
    ):
        found, _, errors = ann.do(f"im-batch run --engine {engine} {words}")
        assert (words, found) == (words, code), errors
        assert reason in errors


def test_an_engine_that_the_node_lacks_is_named(ann, worker):
    worker("mv /etc/im/podman-storage.conf /etc/im/away")
    try:
        code, _, errors = ann.do("im-batch run --engine podman $I true")
    finally:
        worker("mv /etc/im/away /etc/im/podman-storage.conf")
    assert code == 125
    assert "this node has no Podman" in errors


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_nobody_sees_stops_or_reads_the_containers_of_another(ann, ben, engine):
    identifier = ann.start(f"echo private; {WAITING}", f"--engine {engine} --name hers")
    try:
        for words in ("logs", "stop", "rm --force", "attach"):
            assert ben.do(f"im-batch {words} {identifier}")[0] == 125
        places = "/run/im/batch/* /var/*/im-batch-podman/* /var/lib/docker"
        tries = f"docker ps -q; podman ps -aq; sudo -n docker ps -q; ls {places}"
        assert ben.do(f"{tries}; :", node="worker-1")[1] == ""
        assert "hers" in ann.do("im-batch ps")[1]
    finally:
        ann.do(f"im-batch rm --force {identifier}")


def test_roots_program_serves_jobs_only_and_opens_files_as_their_user_only(ben):
    code, _, errors = ben.do("echo '{}' | sudo -n /usr/local/lib/im/im-batch-keeper", node="worker-1")
    assert (code, "containers of Docker are for jobs" in errors) == (125, True), errors
    code, _, errors = ben.do("echo '{}' | sudo -n /usr/local/lib/im/im-batch-keeper job /etc", node="worker-1")
    assert code == 1, errors
    # A container that is written by hand, with mounts that nobody has looked at yet.
    forged = {
        "image": "x",
        "container": "im-0123456789abcdef",
        "command": ["ls"],
        "entrypoint": None,
        "directory": "",
        "variables": {},
        "mounts": [{"source": "/home/ann", "target": "/x", "read_only": False}],
    }
    script = "sudo -n /usr/local/lib/im/im-batch-keeper < order"
    code, _, errors = ben.do(f"cat > order <<'X'\n{json.dumps(forged)}\nX\nsrun sh -c '{script}'; rm order")
    assert "/home/ann must not be mounted" in errors


PRIVATE = "http://frontend:5000/lab/private:1"
COPIES = """\
docker images --quiet --no-trunc
driver=$(sed -n 's/^driver = "\\(.*\\)"/\\1/p' /etc/im/podman-storage.conf)
for store in $(ls -d /tmp/im-batch-podman/images-3001 /var/*/im-batch-podman/images-3001); do
  su - ann -c "/usr/bin/podman --root $store/store --runroot $store/run --storage-driver $driver images --quiet"
done
"""
"""Tells Docker's images on a node, and Ann's of Podman."""


@pytest.fixture
def private(full_batch_cluster):
    """The name of an image in a registry that asks for an account."""
    push = "docker import /srv/mpi.tar frontend:5000/lab/private:1 && docker push --quiet frontend:5000/lab/private:1"
    full_batch_cluster.on("frontend", push)
    with guarded_registry(full_batch_cluster):
        yield PRIVATE


@pytest.mark.parametrize("engine", ENGINES)
def test_a_private_image_is_had_by_who_has_an_account_and_goes_when_it_is_removed(ann, ben, worker, private, engine):
    run = f"im-batch run --engine {engine} {private} echo in"
    code, _, errors = ben.do(run)
    assert (code, "cannot be fetched" in errors) == (125, True), errors
    log_in = "skopeo login --tls-verify=false --authfile .docker/config.json --username ann --password-stdin"
    assert ann.do(f"mkdir -p .docker; head -n 1 /srv/secret | {log_in} frontend:5000")[0] == 0
    assert ann.do(run) == (0, "in\n", "")
    assert private in ann.do("im-batch images")[1]
    before = worker(COPIES).split()
    assert ann.do(f"im-batch rmi {private}") == (0, f"{private}\n", "")
    assert private not in ann.do("im-batch images")[1]
    assert ann.do(f"im-batch run --engine {engine} $I true")[0] == 0
    after = worker(COPIES).split()
    assert engine == "udocker" or len(after) < len(before)


def test_the_client_lends_its_account_for_batch_jobs_and_removes_their_images(
    full_batch_cluster, private, tmp_path, monkeypatch
):
    def client(*words):
        process = full_batch_cluster.client(*words)
        return (process.communicate(timeout=120)[0], process.returncode)

    (tmp_path / "auth.json").write_text(ACCOUNTS)
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    name, user = full_batch_cluster.name, full_batch_cluster.cluster.user
    for engine in ENGINES:
        assert client("batch", "run", name, "--engine", engine, private, "echo", "in") == ("in\n", 0)
    known = json.loads(client("image", "list", name, "--json")[0])
    assert [each["engine"] for each in known if each["reference"] == private] == ["batch", "udocker"]
    assert full_batch_cluster.on("frontend", f"grep -rlsf /srv/secret /home/{user}/.docker /home/{user}/.im /tmp") == ""
    assert client("image", "rm", name, private)[1] == 0
    assert private not in client("image", "list", name)[0]
    assert full_batch_cluster.on("frontend", f"ls /home/{user}/.im/images/{known[0]['digest']}.tar") == ""


def test_slurms_database_keeps_what_a_container_used_for_its_user_only(ann, ben):
    ann.do("im-batch run --engine podman --name kept $I sh -c 'exit 3'")
    ann.record("kept")
    ask = "sacct --name kept -X -n -P -o User,State,ExitCode,AdminComment%200"
    limit = time.monotonic() + 60
    while "image=" not in (told := ann.do(ask)[1]):
        assert time.monotonic() < limit, told
        time.sleep(1)
    user, state, code, comment = told.splitlines()[-1].split("|")
    assert (user, state, code) == ("ann", "FAILED", "3:0")
    known = dict(word.split("=") for word in comment.split())
    assert (known["image"], known["code"]) == ("/srv/mpi.tar", "3")
    assert float(known["cpu_seconds"]) > 0
    assert int(known["peak_memory"]) > 0
    assert ben.do(f"{ask} --allusers")[1] == ""


@pytest.fixture
def scan(full_batch_cluster, mpi_image, tmp_path):
    """Starts a scan in Docker, of this shell line; returns its id."""
    started = []

    def scan(line, *options, points=1):
        table = tmp_path / "points.csv"
        table.write_text("a\n" + "1\n" * points)
        words = ("--engine", "docker", "--image", mpi_image, "--params", table, *options, "--", "sh", "-c", line)
        started.append(full_batch_cluster.client("sweep", "run", full_batch_cluster.name, *words))
        sweep = started[-1].stdout.readline().strip()
        assert sweep, started[-1].stderr.read()
        return sweep

    yield scan
    for process in started:
        process.communicate(timeout=60)


def test_a_scan_in_docker_is_within_its_job_and_a_killed_one_leaves_nothing(scan, worker):
    scan("sleep 299")
    limit = time.monotonic() + 60
    while "/job_" not in (groups := worker("cat /proc/$(pgrep -x sleep)/cgroup 2>&-")):
        assert time.monotonic() < limit, groups
        time.sleep(0.3)
    assert re.search(r"memory:.*/job_\d+/step_batch/\w{64}|0::.*/job_\d+/step_batch/user/\w{64}", groups), groups
    worker("pkill -KILL -f '[s]weep.remote.worker'")
    limit = time.monotonic() + 30
    while found := worker("docker ps -aq; pgrep -x sleep; ls -d /sys/fs/cgroup/*/slurm*/uid_*/job_* 2>&-"):
        assert time.monotonic() < limit, found
        time.sleep(0.3)


def test_a_scan_in_docker_has_the_memory_that_its_job_was_given(full_batch_cluster, scan):
    sweep = scan("head -c 600M /dev/zero | tail -c 500M > /dev/null", "--memory", "200M")
    limit = time.monotonic() + 60
    while (known := status(full_batch_cluster, sweep))["state"] == "running":
        assert time.monotonic() < limit, known
        time.sleep(0.3)
    assert (known["done"], known["failed"]) == (0, 1)


WORK = """\
[ $COLOUR = red ] || exit 9
i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done
head -c 60M /dev/zero | tail -c 50M > /dev/null
"""


def test_what_a_scan_in_docker_used_is_in_the_records_and_beside_each_of_its_tasks_in_slurms_database(
    full_batch_cluster, scan, mpi_image
):
    sweep = scan(WORK, "--env", "COLOUR=red", points=2)
    records = f"im-batch acct --json {sweep} | tr -d '\\n'"
    ask = f"{records}; echo; sacct --name sweep-{sweep} -XnPo JobIDRaw,AdminComment%200"
    limit = time.monotonic() + 90
    while (told := full_batch_cluster.on("frontend", ask)).count("image=") < 2:
        assert time.monotonic() < limit, told
        time.sleep(1)
    records, *lines = told.splitlines()
    comments = dict(line.split("|") for line in lines)
    for record in json.loads(records):
        assert (record["container"], record["image"], record["code"]) == (sweep, str(mpi_image), 0)
        assert record["cpu_seconds"] > 0.3
        assert record["peak_memory"] > 50 << 20
        known = dict(word.split("=") for word in comments.pop(str(record["job"])).split())
        assert float(known["cpu_seconds"]) == record["cpu_seconds"]
        assert int(known["peak_memory"]) == record["peak_memory"]
    assert not comments


@pytest.mark.parametrize("mode", ["hybrid", "inside"])
def test_ranks_in_docker_are_within_their_job_of_slurm(full_batch_cluster, mpi_image, worker, mode):
    script = "mpi_hello && cat /proc/self/cgroup"
    words = ("-n", 2, "--engine", "docker", "--mode", mode, "--image", mpi_image, "--", "sh", "-c", script)
    process = full_batch_cluster.client("mpi", "run", full_batch_cluster.name, *words)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert len(re.findall(r"rank \d of 2 on worker-1, .* right", output)) == 2, output
    within = re.findall(r"(?:memory.*|0:):/.*/job_\d+/step_[^/]+(?:/user)?/\w{64}$", output, re.MULTILINE)
    assert len(within) >= 2, output
    assert worker("docker ps -aq") == ""


def test_ranks_in_docker_under_slurm_end_with_their_client(full_batch_cluster, mpi_image, worker):
    words = ("-n", 2, "--engine", "docker", "--image", mpi_image, "--", "mpi_hello", "300")
    process = full_batch_cluster.client("mpi", "run", full_batch_cluster.name, *words)
    process.stdout.readline()
    assert worker("docker ps -q") != ""
    process.kill()
    process.communicate(timeout=60)
    limit = time.monotonic() + 40
    while found := worker("docker ps -aq; squeue -h; ls -d /sys/fs/cgroup/*/slurm*/uid_*/job_* 2>&-"):
        assert time.monotonic() < limit, found
        time.sleep(0.5)


ENDED = """\
set -e
end() {
    PYTHONPATH=/usr/local/lib/im python3 -c 'from im_batch import hooks; hooks.for_docker("4000000")'
    find /sys/fs/cgroup -name "$container"
    docker ps --all --quiet
}
image=$(docker images --quiet | head -n 1)
for turn in 1 2 3; do
    container=$(docker run --detach --label im.slurm=4000000 "$image" sleep 300)
    end &
    end
    wait
done
echo three
"""
"""Makes two remove a job's container at once; prints what is still there when one of them goes on."""


def test_a_container_of_a_job_that_ends_is_gone_whoever_removes_it(worker):
    assert worker(ENDED) == "three\n"


def status(cluster, sweep):
    output, _ = cluster.client("sweep", "status", cluster.name, sweep, "--json").communicate(timeout=60)
    return json.loads(output)[0]
