"""Tags on what neutron keeps for us, for people and other tools to list by: whose it is, descriptions tell before."""

from __future__ import annotations

from collections.abc import Iterable

from im.errors import ProviderError
from im.providers.openstack.api import Api, Json
from im.providers.openstack.marks import tags_of


def lacks_tags(shown: Json) -> bool:
    """Return whether this could have tags and has none; a site without the extension shows no such field."""
    return shown.get("tags") == []


def put_tags(api: Api, infrastructure: str, objects: Iterable[tuple[str, str]]) -> None:
    """Tag these objects, kind and id; what is gone is quiet. What fails is left to the next run: nothing needs tags."""
    body = {"tags": tags_of(infrastructure)}
    for kind, id_ in objects:
        try:
            api.act("network", "PUT", f"/{kind}/{id_}/tags", body, {404})
        except ProviderError:
            return
