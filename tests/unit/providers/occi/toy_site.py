"""A small OCCI site in memory that behaves like ooi, rOCCI-server 1.1 or 2.x, as far as their protocols differ.

What each of them answers is known from exchanges with a real ooi, and from what rOCCI-server's own tests expect.
Nothing here is shared with the client: the toy writes its renderings by hand.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from loopback import Answer, Request

INFRA = "http://schemas.ogf.org/occi/infrastructure"
TEXT, JSON = [("Content-Type", "text/plain")], [("Content-Type", "application/occi+json")]


@dataclass(frozen=True)
class Manner:
    """How one kind of server behaves."""

    server: str
    media: str
    listing: str  # "titles" | "locations" | "whole"
    created: int
    paths: dict[str, str]
    memory_unit: int
    silent: bool = False
    public: str = ""
    schema: bool = False  # a request in JSON has what the standard's schema demands
    leases: bool = False  # an address that is linked cannot be given back


_PLAIN_PATHS = {"compute": "/compute/", "network": "/network/", "storage": "/storage/"}
MANNERS = {
    "ooi": Manner(
        "ooi/1.2.0 OCCI/1.1 OCCI/1.2",
        "json",
        "titles",
        200,
        {
            **_PLAIN_PATHS,
            "networkinterface": "/networklink/",
            "storagelink": "/storagelink/",
            "ipreservation": "/ipreservation/",
        },
        1,
        silent=True,
        public="PUBLIC",
    ),
    "rocci-1": Manner(
        "rOCCI-server/1.1.9 OCCI/1.1",
        "text",
        "locations",
        201,
        {**_PLAIN_PATHS, "networkinterface": "/link/networkinterface/", "storagelink": "/link/storagelink/"},
        1024,
    ),
    "rocci-2": Manner(
        "rOCCI-server/2.0.4 OCCI/1.2",
        "json",
        "whole",
        201,
        {
            **_PLAIN_PATHS,
            "networkinterface": "/networkinterface/",
            "storagelink": "/storagelink/",
            "ipreservation": "/ipreservation/",
        },
        1024,
        schema=True,
        leases=True,
    ),
}
MANNERS["ooi-old"] = replace(
    MANNERS["ooi"], paths={kind: path for kind, path in MANNERS["ooi"].paths.items() if kind != "ipreservation"}
)
SIZES = {"small": (1, 512), "large": (4, 8192)}
USER_DATA = "http://schemas.openstack.org/compute/instance#user_data"


@dataclass
class Thing:
    """A resource or a link of the toy."""

    kind: str
    id: str
    attributes: dict[str, object]
    mixins: list[str]
    state: str = "building"
    looks: int = 0
    links: list[Thing] = field(default_factory=list)


class ToySite:
    """Answers requests; servers are built after ``build_looks`` looks. ``before`` and ``after`` may put in faults."""

    def __init__(self, manner: str, build_looks: int = 1) -> None:
        self.manner = MANNERS[manner]
        self.build_looks = build_looks
        self.url = ""
        self.things: dict[str, Thing] = {}
        self.before: list[Callable[[Request], Answer | None]] = []
        self.after: list[Callable[[Request, Answer], Answer | None]] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.things["network/private"] = Thing("network", "private", {"occi.core.title": "private"}, [])
        if self.manner.public:
            self.things["network/PUBLIC"] = Thing("network", "PUBLIC", {"occi.core.title": "public"}, [])

    def __call__(self, request: Request) -> Answer:
        for fault in self.before:
            if answer := fault(request):
                return answer
        with self._lock:
            answer = self._answer(request)
        for fault in self.after:
            answer = fault(request, answer) or answer
        return answer

    def servers(self) -> list[Thing]:
        return [thing for thing in self.things.values() if thing.kind == "compute"]

    # answering

    def _answer(self, request: Request) -> Answer:
        path, _, action = request.path.partition("?action=")
        if path == "/-/":
            return self._render_discovery()
        kind, id_ = next(
            ((kind, path[len(place) :]) for kind, place in self.manner.paths.items() if path.startswith(place)),
            ("", ""),
        )
        if not kind:
            return Answer(404, TEXT, b"no such path")
        if not id_:
            return self._create(kind, request) if request.method == "POST" else self._list(kind)
        if (thing := self.things.get(f"{kind}/{id_}")) is None:
            return Answer(404, TEXT, f"{kind} {id_} could not be found.".encode())
        if request.method == "DELETE":
            return self._delete(thing)
        return self._act(thing, action) if request.method == "POST" else self._show(thing)

    def _create(self, kind: str, request: Request) -> Answer:
        if self.manner.schema and not _follows_the_schema(json.loads(request.body)):
            return Answer(400, TEXT, b"Unparsable content: No entity sub-type instance found")
        said, mixins, targets = self._parse(request)
        thing = Thing(kind, f"{kind}-{next(self._numbers)}", said, mixins)
        if kind in {"networkinterface", "storagelink"}:
            return self._link(thing)
        if kind == "compute":
            if not any("#image" in mixin or "/os#" in mixin for mixin in mixins):
                return Answer(400, TEXT, b"no os_tpl")
            for target in targets or ["network/private"]:
                self._join(thing, "networkinterface", target, f"10.0.0.{next(self._numbers)}")
        if kind == "ipreservation":
            said["occi.ipreservation.address"] = f"192.0.2.{next(self._numbers)}"
        self.things[f"{kind}/{thing.id}"] = thing
        return self._located(thing)

    def _link(self, link: Thing) -> Answer:
        server = self.things[self._key(str(link.attributes["occi.core.source"]))]
        target = self._key(str(link.attributes["occi.core.target"]))
        if link.kind == "storagelink":
            made = self._join(server, "storagelink", target, "/dev/vdb")
        elif target == "network/PUBLIC":
            address = f"192.0.2.{next(self._numbers)}"
            made = self._join(server, "networkinterface", target, address)
        else:
            address = self.things[target].attributes.get("occi.ipreservation.address", "10.0.1.1")
            made = self._join(server, "networkinterface", target, str(address))
        return self._located(made)

    def _join(self, server: Thing, kind: str, target: str, what: str) -> Thing:
        name = "occi.storagelink.deviceid" if kind == "storagelink" else "occi.networkinterface.address"
        ends = {"occi.core.source": self._url(server), "occi.core.target": self._url(self.things[target])}
        link = Thing(kind, f"{server.id}_{next(self._numbers)}", {name: what, **ends}, [])
        server.links.append(link)
        self.things[f"{kind}/{link.id}"] = link
        return link

    def _delete(self, thing: Thing) -> Answer:
        if self.manner.leases and thing.kind == "ipreservation" and self._is_linked(thing):
            return Answer(409, TEXT, b"it has leases in use")
        for link in thing.links:
            self.things.pop(f"{link.kind}/{link.id}", None)
        for server in self.servers():
            gone = [
                link
                for link in server.links
                if link is thing or link.attributes["occi.core.target"] == self._url(thing)
            ]
            server.links = [link for link in server.links if link not in gone]
            for link in gone:
                self.things.pop(f"{link.kind}/{link.id}", None)
        self.things.pop(f"{thing.kind}/{thing.id}", None)
        return Answer(204)

    def _is_linked(self, thing: Thing) -> bool:
        links = (link for server in self.servers() for link in server.links)
        return any(link.attributes["occi.core.target"] == self._url(thing) for link in links)

    def _act(self, thing: Thing, action: str) -> Answer:
        if thing.state == "homeless" and action == "start":
            return Answer(409, TEXT, b"Instance is not ready")
        state = "error" if thing.state == "homeless" else thing.state
        running = ("active", "active")
        wanted = {"start": ("inactive", "active"), "stop": ("active", "inactive"), "restart": running}[action]
        if thing.state != wanted[0]:
            return Answer(409, TEXT, f"Cannot '{action}' while it is in vm_state {state}".encode())
        thing.state = wanted[1]
        return Answer(204)

    def _show(self, thing: Thing) -> Answer:
        self._look(thing)
        if self.manner.media == "json":
            return Answer(200, JSON, json.dumps(self._rendered(thing)).encode())
        return Answer(200, TEXT, self._lines(thing).encode())

    def _list(self, kind: str) -> Answer:
        found = [thing for thing in self.things.values() if thing.kind == kind]
        if not found:
            return Answer(204)
        if self.manner.listing == "locations":
            places = "\n".join(self._url(one) for one in found)
            return Answer(200, [("Content-Type", "text/uri-list")], places.encode())
        if self.manner.listing == "whole":
            for thing in found:
                self._look(thing)
            return Answer(200, JSON, json.dumps({"resources": [self._rendered(one) for one in found]}).encode())
        short = [
            {"kind": f"{INFRA}#{kind}", "id": one.id, "title": one.attributes.get("occi.core.title")} for one in found
        ]
        return Answer(200, JSON, json.dumps({"resources": short}).encode())

    def _look(self, thing: Thing) -> None:
        thing.looks += 1
        if thing.kind == "compute" and thing.state == "building" and thing.looks > self.build_looks:
            thing.state = "active"

    # rendering

    def _located(self, thing: Thing) -> Answer:
        if self.manner.created == 200:
            short = {"kind": f"{INFRA}#{thing.kind}", "id": thing.id, "title": thing.attributes.get("occi.core.title")}
            key = "links" if thing.kind.endswith(("interface", "storagelink")) else "resources"
            return Answer(200, JSON, json.dumps({key: [short]}).encode())
        return Answer(201, [("Location", self._url(thing)), *TEXT], f"X-OCCI-Location: {self._url(thing)}".encode())

    def _state(self, thing: Thing) -> str:
        if self.manner.silent and thing.state in {"building", "error", "homeless"}:
            return "inactive"
        return "waiting" if thing.state == "building" else thing.state

    def _attributes(self, thing: Thing) -> dict[str, object]:
        if thing.kind != "compute":
            return {**thing.attributes, "occi.core.id": thing.id}
        size = next((SIZES[term] for mixin in thing.mixins if (term := mixin.rpartition("#")[2]) in SIZES), (1, 512))
        return {
            "occi.core.id": thing.id,
            "occi.core.title": thing.attributes["occi.core.title"],
            "occi.compute.state": self._state(thing),
            "occi.compute.cores": size[0],
            "occi.compute.memory": size[1] / self.manner.memory_unit,
        }

    def _shown_links(self, thing: Thing) -> list[Thing]:
        return [] if thing.state in {"building", "error", "homeless"} and self.manner.silent else thing.links

    def _rendered(self, thing: Thing) -> dict[str, object]:
        rendered: dict[str, object] = {
            "kind": f"{INFRA}#{thing.kind}",
            "id": thing.id,
            "mixins": thing.mixins,
            "attributes": self._attributes(thing),
        }
        if thing.links:
            rendered["links"] = [self._rendered_link(link) for link in self._shown_links(thing)]
        return rendered

    def _rendered_link(self, link: Thing) -> dict[str, object]:
        target = str(link.attributes["occi.core.target"])
        kind = f"{INFRA}#{self._key(target).partition('/')[0]}"
        said = {name: value for name, value in link.attributes.items() if not name.startswith("occi.core")}
        return {
            "kind": f"{INFRA}#{link.kind}",
            "id": link.id,
            "attributes": said,
            "target": {"location": target, "kind": kind},
        }

    def _lines(self, thing: Thing) -> str:
        lines = [f'Category: {thing.kind};scheme="{INFRA}#";class="kind";title="{thing.kind} resource"']
        for mixin in thing.mixins:
            scheme, _, term = mixin.partition("#")
            lines.append(f'Category: {term};scheme="{scheme}#";class="mixin"')
        for name, value in self._attributes(thing).items():
            lines.append(f"X-OCCI-Attribute: {name}={json.dumps(value)}")
        for link in self._shown_links(thing):
            target = str(link.attributes["occi.core.target"])
            path = f"/{self._key(target)}"
            said = "".join(f';{name}="{value}"' for name, value in link.attributes.items())
            rel, category = f"{INFRA}#{path.split('/')[1]}", f"{INFRA}#{link.kind}"
            lines.append(f'Link: <{path}>;rel="{rel}";self="{self._place(link)}";category="{category}"{said}')
        return "\n".join(lines)

    def _render_discovery(self) -> Answer:
        if self.manner.media == "json":
            return Answer(200, [("Server", self.manner.server), *JSON], json.dumps(self._discovery()).encode())
        lines = []
        for cls, categories in self._discovery().items():
            for one in categories:
                more = "".join(f';{key}="{one[key]}"' for key in ("location", "title") if key in one)
                more += f';rel="{one["depends"][0]}"' if "depends" in one else ""
                lines.append(f'Category: {one["term"]};scheme="{one["scheme"]}";class="{cls[:-1]}"{more}')
        return Answer(200, [("Server", self.manner.server), *TEXT], "\n".join(lines).encode())

    def _discovery(self) -> dict[str, list[dict]]:
        kinds = [{"term": k, "scheme": f"{INFRA}#", "location": place} for k, place in self.manner.paths.items()]
        actions = [{"term": term, "scheme": f"{INFRA}/compute/action#"} for term in ("start", "stop", "restart")]
        templates = [
            {
                "term": term,
                "scheme": "http://site.test/resource#",
                "title": f"{term} - {cores} cores and {memory / 1024:g} GB",
                "depends": [f"{INFRA}#resource_tpl"],
                "attributes": {
                    "occi.compute.cores": {"default": cores},
                    "occi.compute.memory": {"default": memory / self.manner.memory_unit},
                },
            }
            for term, (cores, memory) in SIZES.items()
        ]
        image = {
            "term": "debian",
            "scheme": "http://site.test/os#",
            "title": "Debian 12",
            "depends": [f"{INFRA}#os_tpl"],
        }
        data = {"term": "user_data", "scheme": "http://schemas.openstack.org/compute/instance#"}
        network = {"term": "ipnetwork", "scheme": f"{INFRA}/network#"}
        return {"kinds": kinds, "mixins": [*templates, image, data, network], "actions": actions}

    # reading

    def _parse(self, request: Request) -> tuple[dict[str, object], list[str], list[str]]:
        body = request.body.decode()
        if request.headers["content-type"] == "application/occi+json":
            said = json.loads(body)
            targets = [self._key(link["target"]["location"]) for link in said.get("links", [])]
            return said.get("attributes", {}), said.get("mixins", []), targets
        attributes = dict(re.findall(r'^X-OCCI-Attribute: ([^=\s]+)="?(.*?)"?$', body, re.MULTILINE))
        mixins = [
            scheme + term
            for term, scheme in re.findall(r'^Category: (\S+); scheme="(\S+)"; class="mixin"', body, re.MULTILINE)
        ]
        return attributes, mixins, [self._key(target) for target in re.findall(r"^Link: <(.*?)>", body, re.MULTILINE)]

    def _place(self, thing: Thing) -> str:
        return f"{self.manner.paths[thing.kind]}{thing.id}"

    def _url(self, thing: Thing) -> str:
        return f"{self.url}{self._place(thing)}"

    def _key(self, url: str) -> str:
        path = url.removeprefix(self.url)
        return next(
            f"{kind}/{path[len(place) :]}" for kind, place in self.manner.paths.items() if path.startswith(place)
        )


def _follows_the_schema(said: dict) -> bool:
    """Tell whether a resource, or a link that stands alone, has what must be there, and its links too."""
    links = said.get("links", [])
    known = {"kind", "mixins", "attributes", "actions", "id", "links", "title", "summary", "source", "target"}
    return (
        said.keys() >= {"kind", "id", "attributes"}
        and said.keys() <= known
        and all(link.keys() >= {"kind", "id", "attributes", "source", "target"} for link in links)
    )
