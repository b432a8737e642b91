import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from im.contextualize import bundle
from im.contextualize.bundle import Target
from im.errors import ContextualizationError

LAUNCHERS = ("ansible-runner", "ansible-playbook")
HERE = Target((sys.version_info[0], sys.version_info[1]), "x86_64", (2, 36))


@pytest.mark.parametrize(
    ("python", "core"), [((3, 9), "2.15"), ((3, 10), "2.17"), ((3, 11), "2.19"), ((3, 13), "2.19"), ((3, 14), "2.20")]
)
def test_the_front_ends_python_decides_over_ansible(python, core):
    minor = int(core.split(".")[1])
    assert bundle.requirements(Target(python, "x86_64"))[0] == f"ansible-core>={core},<2.{minor + 1}"


def test_a_python_that_ansible_cannot_use_is_refused_with_a_hint():
    with pytest.raises(ContextualizationError, match=r"Python 3\.7") as caught:
        bundle.requirements(Target((3, 7), "x86_64"))
    assert "newer image" in caught.value.hint


def test_wheels_must_run_on_the_front_ends_glibc():
    tags = bundle.platforms(Target((3, 11), "aarch64", (2, 28)))
    assert tags[0] == "manylinux_2_28_aarch64"
    assert "manylinux_2_31_aarch64" not in tags
    assert tags[-1] == "manylinux2014_aarch64"


def test_other_front_ends_get_other_bundles():
    targets = [HERE, Target((3, 12), "x86_64"), Target((3, 11), "aarch64")]
    assert len({bundle.digest(target) for target in targets}) == 3


@pytest.fixture
def pip(monkeypatch):
    """A pip that fetches one wheel named after the request; ``calls`` tells how often it ran."""
    calls = []

    def run(line, **options):
        if "pip" in line:
            calls.append(line)
            folder = Path(line[line.index("--dest") + 1])
            folder.mkdir(parents=True)
            for name in (line[-1].partition(">")[0].partition("=")[0].replace("-", "_"), "cryptography"):
                with zipfile.ZipFile(folder / f"{name}-1-py3-none-any.whl", "w") as wheel:
                    wheel.writestr(f"{name}/__init__.py", "def main(): pass\n")
                    wheel.writestr("ansible_test/big.py", "")
                    wheel.writestr("ansible/config/ansible_builtin_runtime.yml", "a: {b: 2.10, c: 'd'}\n")
        return subprocess.CompletedProcess(line, 0, "", "")

    monkeypatch.setattr(bundle.subprocess, "run", run)
    return calls


def test_the_bundle_is_made_once_and_then_comes_from_the_cache(pip, tmp_path):
    told = []
    first = bundle.ensure(HERE, tmp_path, told.append)
    assert bundle.ensure(HERE, tmp_path, told.append) == first
    assert (len(pip), len(told)) == (2, 1)
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [f"{bundle.digest(HERE)}.tar.gz"]


def test_the_bundle_holds_ansible_its_commands_and_udocker_but_nothing_that_is_not_used(pip, tmp_path):
    with tarfile.open(bundle.ensure(HERE, tmp_path, print)) as archive:
        names = archive.getnames()
        assert {"bundle/digest", "bundle/udocker.tar", "bundle/bin/ansible-playbook"} <= set(names)
        assert archive.getmember("bundle/bin/ansible-runner").mode & 0o111
        assert {member.uname for member in archive} == {"root"}
    assert not [name for name in names if "cryptography" in name or "ansible_test" in name]


def test_what_ansible_reads_at_every_start_is_json_with_the_same_strings(pip, tmp_path):
    with tarfile.open(bundle.ensure(HERE, tmp_path, print)) as archive:
        routing = archive.extractfile("bundle/site/ansible/config/ansible_builtin_runtime.yml").read()
        assert json.loads(routing) == {"a": {"b": "2.10", "c": "d"}}
        launchers = {name: archive.extractfile(f"bundle/bin/{name}").read().decode() for name in LAUNCHERS}
    assert [name for name, text in launchers.items() if "json" in text] == ["ansible-playbook"]


def test_the_launcher_lets_ansible_read_json_as_json_and_anything_else_as_yaml(tmp_path):
    texts = {
        "__init__.py": "",
        "utils/__init__.py": "",
        "utils/collection_loader/__init__.py": "",
        "utils/collection_loader/_collection_finder.py": "def _meta_yml_to_dict(text, name): return (name, text)\n",
        "cli/__init__.py": "",
        "cli/playbook.py": "from ansible.utils.collection_loader._collection_finder import _meta_yml_to_dict as read\n"
        "def main(): print(read(b'{\"a\": \"b\"}', 'ours'), read(b'a: b', 'theirs'))\n",
    }
    for name, text in texts.items():
        path = tmp_path / "site" / "ansible" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    bundle.write_launchers(tmp_path / "bin")
    said = subprocess.check_output([sys.executable, tmp_path / "bin" / "ansible-playbook"], text=True)
    assert said == "{'a': 'b'} ('theirs', b'a: b')\n"


def test_a_pip_that_fails_is_told_with_its_reason_and_leaves_no_half_bundle(monkeypatch, tmp_path):
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: retrying\nERROR: No matching distribution found\nbye\n")
    monkeypatch.setattr(bundle.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(ContextualizationError, match="No matching distribution found") as caught:
        bundle.ensure(HERE, tmp_path, print)
    assert "package index" in caught.value.hint
    assert list((tmp_path / "bundles").iterdir()) == []
