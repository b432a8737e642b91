"""Volumes: made with our mark, linked to their servers, found and ended by the mark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from im.errors import InputError, ProviderError
from im.plan.model import AttachedVolume, NodeSpec
from im.providers.occi.client import Client
from im.providers.occi.faults import Conflict, Missing
from im.providers.occi.instances import attached, storage_links
from im.providers.occi.marks import VolumeMark, volume_mark
from im.providers.occi.model import SOURCE, STORAGE, STORAGE_LINK, TARGET, TITLE, Resource
from im.topology.model import Volume

SIZE = "occi.storage.size"
GIB = 1 << 30


class Volumes:
    """The volumes of one site. Remembers their titles, and what templates call those that existed before."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._titles: dict[str, str] = {}
        self._existing: dict[tuple[str, str], str] = {}

    def attach(self, specs: Sequence[NodeSpec], servers: Mapping[str, Resource]) -> bool:
        """Make and link the volumes of these servers (by token). True when all are linked."""
        wanted = [(spec, volume) for spec in specs for volume in spec.volumes]
        if not wanted:
            return True
        known = self.listing()
        done = [self._attached(spec, volume, servers.get(spec.token), known) for spec, volume in wanted]
        return all(done)

    def learn(self, servers: Iterable[Resource]) -> None:
        """Look at the volumes of these servers that were not seen yet."""
        places = {self._client.absolute(link.target) for server in servers for link in storage_links(server)}
        new = sorted(places - self._titles.keys())
        titles = {one.location: one.title for one in self._client.show_all(new, STORAGE)}
        self._titles |= {place: titles.get(place, "") for place in new}

    def of_server(self, server: Resource) -> tuple[AttachedVolume, ...]:
        """Return the volumes of a server that are the template's; the disk that it boots from is none."""
        dialect = self._client.site.dialect
        found = []
        for link in storage_links(server):
            place = self._client.absolute(link.target)
            mark = volume_mark(self._titles.get(place, ""))
            if name := mark.name if mark else self._existing.get((server.location, place)):
                found.append(attached(name, place.rpartition("/")[2], link, dialect))
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
        if volume.existing:
            self._existing[server.location, location] = volume.name
        if any(self._client.absolute(link.target) == location for link in storage_links(server)):
            return True
        link = Resource(STORAGE_LINK, attributes={SOURCE: server.location, TARGET: location})
        try:
            self._client.create(link)
        except Conflict:
            if volume.existing:
                raise
            return False  # it is still being made
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
