"""Volumes: made with our mark, linked to their servers, found and ended by the mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from im.errors import InputError, ProviderError
from im.plan.model import AttachedVolume, NodeSpec
from im.providers.occi.client import Client
from im.providers.occi.faults import Conflict, Missing
from im.providers.occi.instances import attached, storage_links
from im.providers.occi.marks import VolumeMark, volume_mark
from im.providers.occi.model import SOURCE, STORAGE, STORAGE_LINK, TARGET, TITLE, Resource
from im.topology.model import Volume

SIZE = "occi.storage.size"
STATE = "occi.storage.state"
GIB = 1 << 30


class Volumes:
    """The volumes of one site."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def attach(self, specs: Sequence[NodeSpec], servers: Mapping[str, Resource]) -> bool:
        """Make and link the volumes of these servers (by token). True when all are linked."""
        wanted = [(spec, volume) for spec in specs for volume in spec.volumes]
        if not wanted:
            return True
        known = self.listing()
        done = [self._attached(spec, volume, servers.get(spec.token), known) for spec, volume in wanted]
        return all(done)

    def of_server(self, server: Resource, known: Sequence[Resource]) -> tuple[AttachedVolume, ...]:
        """Return the volumes that a server shows."""
        dialect = self._client.site.dialect
        by_location = {one.location: one for one in known}
        found = []
        for link in storage_links(server):
            location = self._client.absolute(link.target)
            volume = by_location.get(location) or Resource(STORAGE, location)
            mark = volume_mark(volume.title)
            found.append(attached(mark.name if mark else volume.title or volume.id, volume.id, link, dialect))
        return tuple(found)

    def listing(self) -> tuple[Resource, ...]:
        """Return all volumes, with their titles."""
        try:
            return self._client.titled(STORAGE) if self._client.site.has(STORAGE) else ()
        except Missing:
            return ()

    def infrastructures(self) -> set[str]:
        """Return the ids of the infrastructures that have volumes."""
        return {mark.infrastructure for one in self.listing() if (mark := volume_mark(one.title))}

    def release(self, infrastructure: str) -> tuple[str, ...]:
        """Delete the volumes of an infrastructure; returns a line for each that is still there."""
        lines = []
        for one in self.listing():
            mark = volume_mark(one.title)
            if mark and mark.infrastructure == infrastructure:
                try:
                    self._client.delete(one.location)
                    lines.append(f"volume {mark.name}: is being deleted")
                except ProviderError as error:
                    lines.append(f"volume {mark.name}: {error.message}")
        return tuple(lines)

    def _attached(self, spec: NodeSpec, volume: Volume, server: Resource | None, known: Sequence[Resource]) -> bool:
        if server is None:
            return False
        location = self._location(spec, volume, known)
        if any(self._client.absolute(link.target) == location for link in storage_links(server)):
            return True
        link = Resource(STORAGE_LINK, attributes={SOURCE: server.location, TARGET: location})
        try:
            self._client.create(link)
        except Conflict:  # the volume is not ready yet
            return False
        return True

    def _location(self, spec: NodeSpec, volume: Volume, known: Sequence[Resource]) -> str:
        if volume.existing:
            for one in known:
                if volume.existing in {one.id, one.title}:
                    return one.location
            raise InputError(f"the site has no volume {volume.existing!r}", where=f"node {spec.name}")
        title = str(VolumeMark(spec.infrastructure, spec.token, volume.name))
        for one in known:
            if one.title == title:
                return one.location
        size = -(-volume.size // GIB)
        return self._client.create(Resource(STORAGE, attributes={TITLE: title, SIZE: size})).location
