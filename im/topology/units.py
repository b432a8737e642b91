"""TOSCA's scalars with units: sizes in bytes, times in seconds, frequencies in hertz, rates in bits per second."""

from __future__ import annotations

import re
from typing import Final, Literal

Kind = Literal["size", "time", "frequency", "bitrate"]

_SIZES: Final = {"B": 1} | {
    f"{letter}{'iB' if base == 1024 else 'B'}": base**power
    for base in (1000, 1024)
    for power, letter in enumerate("kMGTPEZY", start=1)
}
_TIMES: Final = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_FREQUENCIES: Final = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}
_RATES: Final = {
    f"{prefix}{unit}": scale * bits
    for prefix, scale in {
        "": 1, "K": 1e3, "Ki": 1024, "M": 1e6, "Mi": 1024**2, "G": 1e9, "Gi": 1024**3, "T": 1e12, "Ti": 1024**4,
    }.items()
    for unit, bits in {"bps": 1, "Bps": 8}.items()
}  # fmt: skip
UNITS: Final[dict[Kind, dict[str, float]]] = {
    "size": dict(_SIZES),
    "time": _TIMES,
    "frequency": _FREQUENCIES,
    "bitrate": dict(_RATES),
}
_FOLDED: Final = {kind: {unit.lower(): scale for unit, scale in units.items()} for kind, units in UNITS.items()}
_SCALAR: Final = re.compile(r"\s*([0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,2})?)\s*([A-Za-z]+)\s*")


def scalar(value: object, kind: Kind) -> float | None:
    """Return the number that ``value`` ("1.5 GB") means in the base unit of ``kind``, or None where it means none."""
    found = _SCALAR.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    scale = UNITS[kind].get(found[2]) or (None if kind == "bitrate" else _FOLDED[kind].get(found[2].lower()))
    return None if scale is None else float(found[1]) * scale


def size(value: object) -> int | None:
    """Return the bytes that ``value`` ("1 GB", "512 MiB") means, or None."""
    number = scalar(value, "size")
    return None if number is None else round(number)


def seconds(value: object) -> float | None:
    """Return the seconds that ``value`` ("10 m") means, or None."""
    return scalar(value, "time")
