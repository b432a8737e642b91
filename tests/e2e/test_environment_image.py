"""The environment image in the shape of MasterCode's, built in a sub-cluster on Debian's packages, and at work."""

from __future__ import annotations

import subprocess

import pytest

from im.data_files import data_folder

pytestmark = [pytest.mark.e2e_local, pytest.mark.long]

FORTRAN = """\
program solve
  double precision :: a(2,2), b(2)
  integer :: pivots(2), info
  a = reshape([2d0, 1d0, 1d0, 3d0], [2, 2])
  b = [3d0, 5d0]
  call dgesv(2, 1, a, 2, pivots, b, 2, info)
  print '(I0,2F6.2)', info, b
end program
"""
PYTHON = """\
import sqlite3
import numpy, scipy.linalg, matplotlib
count = 400_000
marks = ",".join("?" * count)
print(sqlite3.connect(":memory:").execute(f"SELECT {count} IN ({marks})", range(1, count + 1)).fetchone()[0])
print(*scipy.linalg.solve(numpy.array([[2.0, 1.0], [1.0, 3.0]]), numpy.array([3.0, 5.0])).round(6))
"""


@pytest.fixture(scope="module")
def image(engine_cluster, tmp_path_factory):
    """The image's name in the sub-cluster's registry."""
    base = tmp_path_factory.mktemp("base") / "debian.tar"
    subprocess.run(["mmdebstrap", "--variant=apt", "bookworm", base], check=True, capture_output=True)
    folder = data_folder("images") / "environment"
    process = engine_cluster.client("image", "build", engine_cluster.name, folder, "--base", base)
    reference, errors = process.communicate(timeout=1500)
    assert process.returncode == 0, errors[-3000:]
    return reference.strip()


@pytest.fixture
def work(engine_cluster, image, tmp_path):
    """Runs a script in the image on the worker, with a Fortran and a Python program beside it."""
    (tmp_path / "solve.f90").write_text(FORTRAN)
    (tmp_path / "check.py").write_text(PYTHON)
    engine_cluster.client("put", engine_cluster.name, tmp_path, "environment").communicate(timeout=60)

    def work(engine, script):
        words = ("--engine", engine, "--node", "worker-1", "--image", image, "--workdir", "/tmp")
        line = f"cp ~/environment/* . && {script}"
        process = engine_cluster.client("shell", engine_cluster.name, *words, "--", "sh", "-c", line)
        output, errors = process.communicate(timeout=900)
        assert process.returncode == 0, errors[-3000:]
        return output.splitlines()

    return work


@pytest.mark.parametrize("engine", ["docker", "udocker"])
def test_fortran_with_lapack_sqlite_with_many_variables_and_scientific_python_work(work, engine):
    script = "gfortran -o solve solve.f90 -llapack -lblas && ./solve && python3 check.py && command -v sqlite3"
    assert work(engine, script) == ["0  0.80  1.40", "1", "0.8 1.4", "/usr/local/bin/sqlite3"]
