"""Volumes of nodes: made, attached, named, and removed when nobody has them any more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from im.errors import InputError, ProviderError
from im.plan.model import Instance, NodeSpec
from im.providers.openstack.api import Api, Json, Together
from im.providers.openstack.marks import EXISTING, INFRASTRUCTURE, TOKEN, VOLUME, name_of
from im.providers.openstack.readings import GIB
from im.topology.model import Volume

ENDS_WITH_SERVER = "2.79"
"""From this microversion of nova on, a volume can be told at its attachment to go with its server."""


class Volumes:
    """Cinder's volumes that carry our mark, and existing ones that a template names."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def listed(self, infrastructure: str | None = None) -> list[Json]:
        """Return our volumes as cinder shows them."""
        query = {"metadata": json.dumps({INFRASTRUCTURE: infrastructure})} if infrastructure else None
        shown = self._api.pages("block-storage", "/volumes/detail", "volumes", query)
        owners = [one["metadata"].get(INFRASTRUCTURE) for one in shown]
        return [one for one, owner in zip(shown, owners, strict=True) if owner and infrastructure in {None, owner}]

    def attach(self, specs: Sequence[NodeSpec], servers: Mapping[str, Instance]) -> bool:
        """Make what is missing and attach what is ready. True when all is attached."""
        wanted = [(spec, volume) for spec in specs for volume in spec.volumes]
        if not wanted:
            return True
        shown = {_key(one): one for one in self.listed(specs[0].infrastructure)}
        existing = self._existing({volume.existing for _, volume in wanted if volume.existing})
        calls = [
            partial(
                self._step, spec, volume, existing.get(volume.existing) or shown.get((spec.token, volume.name)), servers
            )
            for spec, volume in wanted
        ]
        return all(Together.all(calls))

    def _step(self, spec: NodeSpec, volume: Volume, shown: Json | None, servers: Mapping[str, Instance]) -> bool:
        """Bring one volume one step nearer to its server; true when it is there."""
        server = servers.get(spec.token)
        if shown is None:
            self._make(spec, volume)
            return False
        if server is None:
            return False
        if any(one["server_id"] == server.id for one in shown["attachments"]):
            return bool(shown["status"] == "in-use")
        if shown["status"].startswith("error"):
            raise ProviderError(f"volume {volume.name} of {spec.name} ({shown['id']}) is in {shown['status']}")
        if shown["status"] == "available":
            self._plug(server.id, shown["id"], volume)
        return False

    def _make(self, spec: NodeSpec, volume: Volume) -> None:
        metadata = {INFRASTRUCTURE: spec.infrastructure, TOKEN: spec.token, VOLUME: volume.name}
        body: Json = {
            "volume": {
                "name": name_of(spec.infrastructure, spec.name, volume.name),
                "description": f"im:{spec.infrastructure} volume {volume.name} of {spec.name}",
                "size": max(-(-volume.size // GIB), 1),
                "metadata": metadata,
            }
        }

        def there() -> Json | None:
            return next(
                (one for one in self.listed(spec.infrastructure) if _key(one) == (spec.token, volume.name)), None
            )

        self._api.post("block-storage", "/volumes", body, there)

    def _plug(self, server: str, id_: str, volume: Volume) -> None:
        """Attach a volume. One of ours goes with its server; an existing one is named in the server's metadata."""
        path, body = f"/servers/{server}/os-volume_attachments", {"volumeId": id_}
        if volume.existing:
            named = {"metadata": {f"{EXISTING}{id_}": volume.name}}
            self._api.act("compute", "POST", f"/servers/{server}/metadata", named)
            self._api.act("compute", "POST", path, {"volumeAttachment": body}, {409})
            return
        ending = {"volumeAttachment": {**body, "delete_on_termination": True}}
        try:
            self._api.act("compute", "POST", path, ending, {409}, version=ENDS_WITH_SERVER)
        except ProviderError as error:
            if error.retryable:
                raise
            self._api.act("compute", "POST", path, {"volumeAttachment": body}, {409})

    def _existing(self, wanted: Iterable[str]) -> dict[str, Json]:
        names = set(wanted)
        if not names:
            return {}
        shown = self._api.pages("block-storage", "/volumes/detail", "volumes")
        found = {name: [one for one in shown if name in {one["id"], one["name"]}] for name in names}
        for name, ones in found.items():
            if len(ones) != 1:
                text = (
                    f"this project has {len(ones)} volumes called {name!r}" if ones else f"there is no volume {name!r}"
                )
                raise InputError(text, hint="see them with: openstack volume list")
        return {name: ones[0] for name, ones in found.items()}


class Names:
    """What the template calls the volumes at our servers; what is known once is not asked for again."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._known: dict[str, str] = {}

    def put(self, servers: Sequence[Instance]) -> tuple[Instance, ...]:
        """Return the servers with named volumes; a volume without a name is the one that a server boots from."""
        unknown = {one.id for server in servers for one in server.volumes if not one.name} - self._known.keys()
        if unknown:
            self._known |= dict.fromkeys(unknown, "")
            self._known |= {one["id"]: one["metadata"].get(VOLUME, "") for one in self._volumes.listed()}
        return tuple(self._with_names(server) if server.volumes else server for server in servers)

    def _with_names(self, server: Instance) -> Instance:
        named = (replace(one, name=one.name or self._known[one.id]) for one in server.volumes)
        return replace(server, volumes=tuple(one for one in named if one.name))


def _key(shown: Json) -> tuple[str, str]:
    return str(shown["metadata"].get(TOKEN, "")), str(shown["metadata"].get(VOLUME, ""))
