"""System calls that Python 3.11 does not offer. Standard library only: the spawner loads this in a bare interpreter."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

_PR_CAPBSET_DROP = 24
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "ppc64le": 203, "s390x": 217, "riscv64": 41}
_DANGEROUS_CAPABILITIES = (16, 17, 22, 25, 32, 33, 35)
"""SYS_MODULE, SYS_RAWIO, SYS_BOOT, SYS_TIME, MAC_OVERRIDE, MAC_ADMIN, WAKE_ALARM: they reach the whole machine."""

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Move the calling process to new namespaces. Raises ``OSError``."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount. Raises ``OSError`` with the target as its file name."""
    result = _libc.mount(
        source.encode(), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None
    )
    _check(result, target)


def unmount(target: str) -> None:
    """Take a mount out of the tree at once; its users may keep it until they end. Raises ``OSError``."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), target)


def pivot_root(new: str, old: str) -> None:
    """Make ``new`` the root and put the old root at ``old``. Raises ``OSError``."""
    number = _SYS_PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(38, f"pivot_root is not known for {os.uname().machine}")
    _check(_libc.syscall(ctypes.c_long(number), os.fsencode(new), os.fsencode(old)), new)


def drop_dangerous_capabilities() -> None:
    """Give up for ever what would let a node change the machine: modules, the clock, raw devices."""
    for capability in _DANGEROUS_CAPABILITIES:
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def configure_link(name: str, address: str = "", netmask: str = "", gateway: str = "") -> None:
    """Give a link of this network namespace its address and default route, and set it up. Raises ``OSError``."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = name.encode().ljust(16, b"\0")
        if address:
            fcntl.ioctl(control, 0x8916, request + _sockaddr(address))  # SIOCSIFADDR
            fcntl.ioctl(control, 0x891C, request + _sockaddr(netmask))  # SIOCSIFNETMASK
        (flags,) = struct.unpack("16xH6x", fcntl.ioctl(control, 0x8913, request + bytes(8)))  # SIOCGIFFLAGS
        fcntl.ioctl(control, 0x8914, request + struct.pack("H14x", flags | 0x1))  # SIOCSIFFLAGS: up
        if gateway:
            fcntl.ioctl(control, 0x890B, _default_route(gateway))  # SIOCADDRT


def _default_route(gateway: str) -> bytes:
    up_and_gateway = 0x1 | 0x2
    anywhere = _sockaddr("0.0.0.0")  # noqa: S104 -- a route, not a listener
    return struct.pack("@L16s16s16sH", 0, anywhere, _sockaddr(gateway), anywhere, up_and_gateway).ljust(120, b"\0")


def _sockaddr(address: str) -> bytes:
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))


def _check(result: int, what: str) -> None:
    if result == 0:
        return
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), what)
