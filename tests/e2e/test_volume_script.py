"""The script that formats and mounts volumes, on a real block device, in a mount namespace of its own."""

from __future__ import annotations

import shlex
import subprocess

import jinja2
import pytest

from im.contextualize.inventory import shell_functions
from im.data_files import data_folder

pytestmark = pytest.mark.e2e_local


@pytest.fixture
def device(tmp_path):
    """A blank block device of 64 MiB."""
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    made = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop device: {made.stderr.strip()}")
    yield made.stdout.strip()
    subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


@pytest.fixture
def run(tmp_path, device):
    """Run the script for one volume, and then ``check``, where nothing of it outlives the test."""
    folder = data_folder("recipes") / "base" / "templates"
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(folder), trim_blocks=True, autoescape=False)
    environment.filters["quote"] = shlex.quote
    (tmp_path / "fstab").write_text("# mine\n")

    def start(check="true", **changes):
        volume = {"name": "data", "device": device, "mount": str(tmp_path / "data"), "file_system": "ext4"}
        volume |= {"existing": False} | changes
        script = environment.get_template("volumes.sh.j2").render(im_volumes=[volume], im_uid=2000)
        whole = f"{shell_functions()}\nmount --bind {tmp_path}/fstab /etc/fstab\n{script}\n{check}\n"
        return subprocess.run(
            ["unshare", "--mount", "sh", "-s"], input=whole, capture_output=True, text=True, check=False
        )

    return start


def content(device):
    return subprocess.run(["blkid", "-p", device], capture_output=True, text=True, check=False).stdout


def test_a_blank_volume_is_formatted_and_mounted_for_the_user(run, device, tmp_path):
    done = run(check=f"stat -c %u {tmp_path}/data; echo kept > {tmp_path}/data/file")
    assert done.returncode == 0, done.stderr
    assert f"changed: file system on {device}" in done.stdout
    assert done.stdout.splitlines()[-1] == "2000"
    assert f"{device} {tmp_path}/data auto defaults,nofail" in (tmp_path / "fstab").read_text()


def test_a_second_run_formats_nothing(run, device, tmp_path):
    run(check=f"echo kept > {tmp_path}/data/file")
    done = run(check=f"cat {tmp_path}/data/file")
    assert done.stdout.splitlines() == [f"changed: mount of {tmp_path}/data", "kept"]


def test_what_the_folder_held_moves_to_the_volume(run, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "before").write_text("old")
    done = run(check=f"cat {tmp_path}/data/before")
    assert done.stdout.splitlines()[-1] == "old"


def test_a_device_with_anything_on_it_is_never_formatted(run, device):
    subprocess.run(["mkswap", device], check=True, capture_output=True)
    before = content(device)
    assert run().returncode != 0
    assert content(device) == before


def test_a_volume_that_existed_is_never_formatted(run, device):
    done = run(existing=True)
    assert done.returncode != 0
    assert "the volume data has no file system, and is not ours to format" in done.stderr
    assert content(device) == ""


def test_without_a_device_the_folder_is_made_for_the_user(run, tmp_path):
    done = run(device="", check=f"stat -c %u {tmp_path}/data")
    assert done.stdout.splitlines() == [f"changed: {tmp_path}/data", "2000"]
    assert run(device="").stdout == ""
