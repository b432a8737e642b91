"""The client against what a real ooi answered, and against answers that nobody should trust."""

from __future__ import annotations

import json

import pytest
from loopback import Answer, Replay

from im.errors import InputError, NoCapacity, NotPermitted, ProviderError, ProviderUnavailable
from im.providers.occi import faults, transport
from im.providers.occi.model import (
    COMPUTE,
    COMPUTE_ACTION,
    NETWORK_INTERFACE,
    OS_TEMPLATE,
    RESOURCE_TEMPLATE,
    SOURCE,
    TARGET,
    TITLE,
    Resource,
)

VM = "76032790-55b9-4e0d-b090-3bc19165e938"
TEXT = [("Content-Type", "text/plain")]
JSON = [("Content-Type", "application/occi+json")]
HTML = Answer(200, [("Content-Type", "text/html; charset=utf-8")], b"<html><title>Welcome</title></html>")


# what ooi says


@pytest.mark.parametrize("rendering", ["ooi-discovery", "ooi-discovery-plain"])
def test_discovery_finds_kinds_templates_actions_and_the_dialect(site, rendering):
    site.answer("GET /-/", rendering)
    found = site.client().site
    assert found.dialect.name == "ooi"
    assert found.categories[COMPUTE].location == f"{site.url}/compute/"
    assert "tiny-fake" in {one.title for one in found.derived(OS_TEMPLATE)}
    assert "Flavor: m1.nano" in {one.title for one in found.derived(RESOURCE_TEMPLATE)}
    assert found.has(f"{COMPUTE_ACTION}stop")


def test_a_site_that_answers_in_text_is_spoken_to_in_text(site):
    site.answer("GET /-/", "ooi-discovery-plain")
    assert (site.client().site.dialect.read, site.client().site.dialect.write) == ("text/plain", "text/plain")


@pytest.mark.parametrize("rendering", ["ooi-show", "ooi-show-plain", "ooi-show-headers"])
def test_a_server_is_the_same_in_every_rendering(site, rendering):
    site.answer(f"GET /compute/{VM}", rendering)
    shown = site.client().show(f"{site.url}/compute/{VM}", COMPUTE)
    assert (shown.id, shown.title, shown.kind) == (VM, "occi-vm-1", COMPUTE)
    assert shown.attributes["occi.compute.state"] == "active"
    assert shown.attributes["occi.compute.memory"] == 512
    assert f"{COMPUTE_ACTION}stop" in shown.actions
    (link,) = shown.links
    assert link.target == f"{site.url}/network/10cd5561-3037-4e3a-a4cb-bc0651f48b8a"
    assert link.attributes["occi.networkinterface.address"] == "10.11.0.69"
    assert site.client().location_of(link) == f"{site.url}/networklink/{VM}_10.11.0.69"


def test_a_list_of_locations_is_a_list_of_resources(site):
    site.answer("GET /compute/", "ooi-list-plain")
    listed = site.client().listing(COMPUTE)
    assert len(listed) == 4
    assert listed[2].id == VM
    assert listed[2].location == f"{site.url}/compute/{VM}"


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, JSON, '{{"resources": [{{"kind": "{kind}", "id": "77"}}]}}'),
        (200, TEXT, "X-OCCI-Location: {url}/compute/77\n"),
        (201, [("Location", "/occi1.2/compute/77"), *TEXT], "OK"),
        (201, [("Content-Type", "text/uri-list")], "{url}/compute/77"),
        (201, JSON, '["{url}/compute/77"]'),
        (200, [("Content-Type", "text/occi"), ("X-OCCI-Location", "{url}/compute/77")], "OK"),
    ],
)
def test_a_create_is_answered_in_many_ways(site, status, headers, body):
    fill = {"url": site.url, "kind": COMPUTE}
    headers = [(name, content.format(**fill)) for name, content in headers]
    site.answer("POST /compute/", Answer(status, headers, body.format(**fill).encode()))
    made = site.client().create(Resource(COMPUTE, attributes={TITLE: "one"}))
    assert (made.id, made.location) == ("77", f"{site.url}/compute/77")


def test_an_empty_collection_is_empty_with_200_and_with_204(site):
    site.answer("GET /compute/", Answer(204), Answer(200, JSON, b"{}"), Answer(200, TEXT, b""))
    client = site.client()
    assert [client.listing(COMPUTE) for _ in range(3)] == [(), (), ()]


def test_an_action_names_itself_in_path_and_body(site):
    site.answer(f"POST /compute/{VM}?action=stop", "ooi-acted")
    site.client().act(f"{site.url}/compute/{VM}", f"{COMPUTE_ACTION}stop", {"method": "acpioff"})
    assert json.loads(site.server.seen[-1].body) == {
        "action": f"{COMPUTE_ACTION}stop",
        "attributes": {"method": "acpioff"},
    }


def test_an_update_goes_by_the_method_of_the_dialect(site):
    for dialect, method in (("ooi", "PUT"), ("rocci-2", "POST")):
        site.answer(f"{method} /compute/{VM}", Answer(200, JSON, b"{}"))
        site.client(dialect=dialect).update(f"{site.url}/compute/{VM}", Resource("", attributes={TITLE: "new"}))
        assert site.server.seen[-1].line == f"{method} /occi1.2/compute/{VM}"


def test_deleting_what_does_not_exist_is_quiet(site):
    site.answer(f"DELETE /compute/{VM}", "ooi-missing")
    site.client().delete(f"{site.url}/compute/{VM}")


def test_what_does_not_exist_is_none(site):
    site.answer(f"GET /compute/{VM}", "ooi-missing")
    assert site.client().show(f"{site.url}/compute/{VM}", COMPUTE) is None


def test_the_well_known_place_is_asked_where_there_is_no_other(site):
    site.answer("GET /-/", Answer(404))
    site.answer("GET /.well-known/org/ogf/occi/-/", "ooi-discovery")
    assert site.client().site.has(COMPUTE)


def test_several_are_shown_at_once_and_the_missing_left_out(site):
    site.answer(f"GET /compute/{VM}", "ooi-show")
    places = [f"{site.url}/compute/{VM}", f"{site.url}/compute/gone", f"{site.url}/compute/{VM}"]
    assert [one.id for one in site.client().show_all(places, COMPUTE)] == [VM, VM]


# errors in the server's own words


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ("ooi-bad-action", ProviderError, "Invalid action fly provided."),
        (Answer(403, TEXT, b"Quota exceeded for instances: Requested 1, but already used 10"), NoCapacity, "Quota"),
        (Answer(403, TEXT, b"Policy doesn't allow it"), NotPermitted, "Policy doesn't allow it"),
        (Answer(409, TEXT, b"Cannot 'stop' instance while it is in vm_state building"), faults.Conflict, "vm_state"),
        (
            Answer(400, TEXT, b"status must be available, but the current status is creating"),
            faults.Conflict,
            "creating",
        ),
        (Answer(413, TEXT, b"Request too large"), NoCapacity, "too large"),
        (Answer(429, TEXT, b"Slow down"), ProviderUnavailable, "Slow down"),
        (Answer(500, JSON, b'{"computeFault": {"message": "Broken", "code": 500}}'), faults.Unanswered, "Broken"),
        (
            Answer(503, [("Content-Type", "text/html")], b"<title>Down</title>"),
            ProviderUnavailable,
            "HTML page, 'Down'",
        ),
        (Answer(406, TEXT, b"a\r\nb\x1b[31m" + b"x" * 5000), ProviderError, "answered 406: a b [31mxxx"),
        (Answer(418), ProviderError, "HTTP 418"),
    ],
)
def test_an_error_has_the_words_of_the_site(site, answer, kind, words):
    site.answer("POST /compute/", answer)
    with pytest.raises(kind) as caught:
        site.client().create(Resource(COMPUTE))
    assert words in caught.value.message
    assert len(caught.value.message) < 400
    assert caught.value.where == "cloud occi:test"


def test_html_instead_of_occi_is_named(site):
    site.answer("GET /-/", HTML)
    with pytest.raises(ProviderError, match="text/html, not OCCI"):
        site.client().discover()


def test_a_discovery_without_compute_is_no_site(site):
    site.answer("GET /-/", Answer(200, JSON, b'{"kinds": []}'))
    with pytest.raises(ProviderError, match="knows no compute"):
        site.client().discover()


def test_half_a_rendering_is_refused(site):
    whole = site.recorded("ooi-show")
    site.answer(f"GET /compute/{VM}", Answer(200, whole.headers, whole.body[:700]))
    with pytest.raises(ProviderError, match="half a rendering") as caught:
        site.client().show(f"{site.url}/compute/{VM}", COMPUTE)
    assert caught.value.where == "cloud occi:test"


def test_a_connection_that_breaks_in_the_middle_may_be_tried_again(site):
    whole = site.recorded("ooi-show")
    site.answer(f"GET /compute/{VM}", Answer(200, whole.headers, whole.body, broken_after=700))
    with pytest.raises(ProviderUnavailable, match="in the middle"):
        site.client().show(f"{site.url}/compute/{VM}", COMPUTE)


def test_an_unknown_mixin_is_refused_before_anything_is_sent(site):
    client = site.client()
    assert client.site
    before = client.requests
    with pytest.raises(ProviderError, match="does not know the mixin http://x#huge"):
        client.create(Resource(COMPUTE, mixins=("http://x#huge",)))
    assert client.requests == before


def test_an_unknown_action_is_refused_before_anything_is_sent(site):
    with pytest.raises(ProviderError, match="does not know the action"):
        site.client().act(f"{site.url}/compute/{VM}", f"{COMPUTE_ACTION}fly")


def test_a_header_in_an_attribute_is_refused_before_anything_is_sent(site):
    client = site.client()
    assert client.site
    with pytest.raises(InputError, match="has the character"):
        client.create(Resource(COMPUTE, attributes={TITLE: "x\r\nX-Auth-Token: y"}))
    assert site.server.lines() == ["GET /occi1.2/-/"]


def test_megabytes_of_categories_are_refused_in_words_and_not_read(site):
    line = 'Category: a; scheme="http://x#"; class="mixin"; title="' + "x" * 200 + '"\n'
    site.answer("GET /-/", Answer(200, TEXT, line.encode() * (10_000_000 // len(line))))
    with pytest.raises(ProviderError, match="larger than 8 MiB"):
        site.client().discover()


def test_thousands_of_templates_are_no_trouble(site):
    many = [{"term": str(n), "scheme": "http://x#", "depends": [OS_TEMPLATE]} for n in range(5000)]
    kinds = [{"term": "compute", "scheme": COMPUTE[: -len("compute")], "location": "/compute/"}]
    site.answer("GET /-/", Answer(200, JSON, json.dumps({"kinds": kinds, "mixins": many}).encode()))
    assert len(site.client().site.derived(OS_TEMPLATE)) == 5000


def test_too_many_headers_are_an_error_of_ours(site):
    site.answer("GET /-/", Answer(200, [("Content-Type", "text/occi")] + [("Category", "x")] * 500, b"OK"))
    with pytest.raises(ProviderError, match="more headers than can be read"):
        site.client().discover()


def test_a_server_that_does_not_answer_is_given_up(site):
    import time

    def slow(request):
        time.sleep(1.0)
        return Answer(200)

    site.server.answer = slow
    with pytest.raises(faults.Unanswered, match=r"no answer in 0\.2 s"):
        site.client(timeout=0.2).discover()


def test_nobody_at_home_is_unavailable(site):
    client = site.client(endpoint="http://127.0.0.1:9/occi")
    with pytest.raises(ProviderUnavailable, match=r"no connection to 127\.0\.0\.1:9"):
        client.discover()


# other hosts


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(site, serve, status):
    other = serve(Replay())
    site.answer("GET /-/", Answer(status, [("Location", f"{other.origin}/-/")]))
    with pytest.raises(NotPermitted, match="a token does not follow"):
        site.client().discover()
    assert other.seen == []


def test_a_redirect_on_the_site_is_followed(site):
    site.answer("GET /-/", Answer(301, [("Location", "/occi1.2/discover/")]))
    site.answer("GET /discover/", "ooi-discovery")
    assert site.client().site.has(COMPUTE)


def test_a_redirected_create_is_not_repeated(site):
    site.answer("POST /compute/", Answer(307, [("Location", f"{site.url}/elsewhere/")]))
    with pytest.raises(ProviderError, match="redirects a POST"):
        site.client().create(Resource(COMPUTE))
    assert "POST /occi1.2/elsewhere/" not in site.server.lines()


def test_a_circle_of_redirects_ends(site):
    site.answer("GET /-/", Answer(302, [("Location", f"{site.url}/-/")]))
    with pytest.raises(ProviderError, match="in circles"):
        site.client().discover()
    assert len(site.server.seen) == transport.REDIRECTS


def test_a_location_on_another_host_never_gets_the_token(site, serve):
    other = serve(Replay())
    stolen = site.recorded("ooi-discovery").body.replace(f"{site.url}/compute/".encode(), b"http://evil.test/compute/")
    site.answer("GET /-/", Answer(200, JSON, stolen))
    with pytest.raises(NotPermitted, match="does not go to another host"):
        site.client().listing(COMPUTE)
    with pytest.raises(NotPermitted, match="does not go to another host"):
        site.client().show(f"{other.origin}/compute/1", COMPUTE)
    assert other.seen == []


@pytest.mark.parametrize("place", ["/compute/", "/occi1.2/compute/", "compute/", "http://{host}/occi1.2/compute/"])
def test_a_place_without_the_endpoints_path_is_below_it(site, place):
    said = site.recorded("ooi-discovery").body.decode()
    moved = said.replace(f"{site.url}/compute/", place.format(host=site.url.split("/")[2]))
    site.answer("GET /-/", Answer(200, JSON, moved.encode()))
    site.answer("GET /compute/", Answer(204))
    assert site.client().listing(COMPUTE) == ()


def test_a_place_that_names_a_host_with_two_slashes_never_gets_the_token(site):
    with pytest.raises(NotPermitted, match="does not go to another host"):
        site.client().show("//evil.test/occi1.2/compute/1", COMPUTE)


def test_a_location_with_another_scheme_is_reached_by_ours(site):
    plain = site.recorded("ooi-discovery").body.replace(b"http://127.0.0.1", b"https://127.0.0.1")
    site.answer("GET /-/", Answer(200, JSON, plain))
    site.answer("GET /compute/", Answer(204))
    assert site.client().listing(COMPUTE) == ()


def test_a_link_is_made_of_two_places(site):
    site.answer("POST /networklink/", "ooi-public-link")
    ends = {SOURCE: f"{site.url}/compute/{VM}", TARGET: f"{site.url}/network/PUBLIC"}
    link = site.client().create(Resource(NETWORK_INTERFACE, attributes=ends))
    assert link.id == f"{VM}_172.24.4.184"
