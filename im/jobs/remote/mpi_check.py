"""One rank of the smallest MPI program, without a compiler: calls the node's Open MPI, from inside a container.

``mpi_check.py MARKER`` prints one JSON line: ``rank``, ``size``, ``sum`` (of all ranks' rank + 1), ``host``, ``marker``
(whether the file MARKER, which only the container has, is there); or ``error``.
"""

from __future__ import annotations

import ctypes
import json
import socket
import sys
from pathlib import Path

LIBRARIES = ("libmpi.so.40", "libmpi.so.80", "libmpi.so")


def load() -> ctypes.CDLL:
    """Return Open MPI's library. Raises ``OSError``."""
    errors = []
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            errors.append(str(error))
            continue
        if hasattr(library, "ompi_mpi_comm_world"):
            return library
        errors.append(f"{name} is not Open MPI's")
    raise OSError(errors[0])


def handle(library: ctypes.CDLL, name: str) -> ctypes.c_void_p:
    """Return a predefined handle: in Open MPI the address of a global."""
    return ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(library, name)))


def allreduce(library: ctypes.CDLL) -> dict[str, int]:
    """Find out who we are, and sum over all ranks."""
    world = handle(library, "ompi_mpi_comm_world")
    rank, size, total = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    library.MPI_Init(None, None)
    library.MPI_Comm_rank(world, ctypes.byref(rank))
    library.MPI_Comm_size(world, ctypes.byref(size))
    mine = ctypes.c_int(rank.value + 1)
    integer, plus = handle(library, "ompi_mpi_int"), handle(library, "ompi_mpi_op_sum")
    library.MPI_Allreduce(ctypes.byref(mine), ctypes.byref(total), 1, integer, plus, world)
    library.MPI_Finalize()
    return {"rank": rank.value, "size": size.value, "sum": total.value}


def main(marker: str) -> int:
    """Tell what this rank saw."""
    report: dict[str, object] = {"host": socket.gethostname(), "marker": Path(marker).exists()}
    try:
        report.update(allreduce(load()))
    except OSError as error:
        report["error"] = str(error)
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
