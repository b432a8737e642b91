"""Our mark, in the one thing that every OCCI site keeps from the call that creates something: its title.

``worker-1:im:INFRASTRUCTURE:INDEX:TOKEN:GROUP`` for a server, ``imn`` for a network, ``imv`` for a volume; each part is
percent-encoded, so that a colon only ever separates.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from im.errors import InputError
from im.plan.model import Instance, NodeSpec
from im.providers.occi.dialects import Status

LONGEST = 255
SERVER, NETWORK, VOLUME = "im", "imn", "imv"


@dataclass(frozen=True, slots=True)
class ServerMark:
    """What a server's title says."""

    infrastructure: str
    group: str
    index: int
    name: str
    token: str

    @classmethod
    def of(cls, spec: NodeSpec) -> ServerMark:
        """Return the mark of a server that is to be made."""
        return cls(spec.infrastructure, spec.group, spec.index, spec.name, spec.token)

    def instance(self, id: str, status: Status = "building", message: str = "") -> Instance:  # noqa: A002
        """Return the server with this mark, of which no more is known."""
        whose = (self.infrastructure, self.group, self.index, self.name, self.token)
        return Instance(id, *whose, status, message=message)

    def __str__(self) -> str:
        return _written(self.name, SERVER, self.infrastructure, str(self.index), self.token, self.group)


@dataclass(frozen=True, slots=True)
class NetworkMark:
    """What the title of a private network says."""

    infrastructure: str
    name: str

    def __str__(self) -> str:
        return _written(self.name, NETWORK, self.infrastructure)


@dataclass(frozen=True, slots=True)
class VolumeMark:
    """What the title of a volume says: whose it is (the server's token), and the template's name for it."""

    infrastructure: str
    token: str
    name: str

    def __str__(self) -> str:
        return _written(self.name, VOLUME, self.infrastructure, self.token)


Mark = ServerMark | NetworkMark | VolumeMark


def read_mark(title: str) -> Mark | None:
    """Return the mark that a title is; None for everybody else's titles."""
    match [unquote(part) for part in title.split(":")]:
        case [name, "im", infrastructure, index, token, group] if index.isdecimal() and infrastructure and token:
            return ServerMark(infrastructure, group, int(index), name, token)
        case [name, "imn", infrastructure] if infrastructure:
            return NetworkMark(infrastructure, name)
        case [name, "imv", infrastructure, token] if infrastructure and token:
            return VolumeMark(infrastructure, token, name)
        case _:
            return None


def server_mark(title: str) -> ServerMark | None:
    """Return the mark of a server."""
    mark = read_mark(title)
    return mark if isinstance(mark, ServerMark) else None


def network_mark(title: str) -> NetworkMark | None:
    """Return the mark of a network."""
    mark = read_mark(title)
    return mark if isinstance(mark, NetworkMark) else None


def volume_mark(title: str) -> VolumeMark | None:
    """Return the mark of a volume."""
    mark = read_mark(title)
    return mark if isinstance(mark, VolumeMark) else None


def _written(*parts: str) -> str:
    title = ":".join(quote(part, safe="") for part in parts)
    if len(title) > LONGEST:
        hint = "give the group a shorter name"
        raise InputError(f"{parts[0]!r} and its group need {len(title)} characters, OCCI has {LONGEST}", hint=hint)
    return title
