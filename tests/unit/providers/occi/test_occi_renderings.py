"""What is written in a rendering is read from it again, and whatever else comes is an error of ours."""

from __future__ import annotations

import json
import string
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from im.errors import ImError, InputError, ProviderError
from im.providers.occi import occi_json, text
from im.providers.occi.model import COMPUTE, NETWORK, NETWORK_INTERFACE, TARGET, Category, Link, Resource
from im.providers.occi.renderings import read_categories, read_resources, write_action, write_resource

# what hypothesis may invent, as OCCI allows it
word = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
types = st.builds(lambda host, path, term: f"http://{host}.org/{path}#{term}", word, word, word)
uris = st.builds(lambda host, path, last: f"http://{host}.org/{path}/{last}", word, word, word)
names = st.lists(word, min_size=2, max_size=4).map(lambda parts: f"org.{'.'.join(parts)}")
printable = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" "), max_size=30)
numbers = st.integers(-(10**9), 10**9) | st.floats(0.001, 1e6).map(lambda number: round(number, 3))
values = printable | numbers | st.booleans()
attributes = st.dictionaries(names, values, max_size=4)
links = st.builds(
    Link,
    target=uris,
    target_kind=types,
    location=uris,
    kind=types,
    mixins=st.lists(types, max_size=2).map(tuple),
    attributes=attributes,
)
resources = st.builds(
    Resource,
    kind=types,
    mixins=st.lists(types, max_size=3).map(tuple),
    attributes=attributes,
    links=st.lists(links, max_size=3).map(tuple),
)

MEDIA = (text.PLAIN, text.HEADERS, occi_json.MEDIA)
STOP = "http://schemas.ogf.org/occi/infrastructure/compute/action#stop"
NETWORK_URL = "http://site/network/private"


def there_and_back(resource: Resource, media: str) -> Resource:
    rendered = write_resource(media, resource)
    (found,) = read_resources(media, tuple(rendered.headers.items()), rendered.body.decode())
    return found


def without_targets(resource: Resource) -> Resource:
    """A text rendering says a link's target twice; once is enough for us."""
    links = (
        replace(link, attributes={k: v for k, v in link.attributes.items() if k != TARGET}) for link in resource.links
    )
    return replace(resource, links=tuple(links))


@pytest.mark.parametrize("media", MEDIA)
@given(resource=resources)
def test_a_resource_is_read_as_it_was_written(media, resource):
    assert without_targets(there_and_back(resource, media)) == resource


@pytest.mark.parametrize("media", MEDIA)
@given(junk=st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: raw.decode("latin-1")))
def test_junk_is_an_error_of_ours_or_nothing(media, junk):
    headers = [("Category", junk), ("Link", junk), ("X-OCCI-Attribute", junk)]
    for read in (read_categories, read_resources):
        with suppress(ImError):
            read(media, headers, junk)


@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "resources",
                        "links",
                        "kind",
                        "id",
                        "title",
                        "attributes",
                        "target",
                        "location",
                        "mixins",
                        "kinds",
                        "scheme",
                        "term",
                        "actions",
                        "depends",
                        "parent",
                        "source",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_json_of_any_shape_is_an_error_of_ours_or_nothing(document):
    for read in (occi_json.read_categories, occi_json.read_resources):
        with suppress(ProviderError):
            read(json.dumps(document))


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("evil", ["a\nX-Auth-Token: mine", "a\r\nX-Evil: 1", "a\x00b", "a\x85b", "a\u2028b"])
def test_a_line_break_in_an_attribute_never_leaves(media, evil):
    with pytest.raises(InputError, match="has the character"):
        write_resource(media, Resource(COMPUTE, attributes={"occi.core.title": evil}))
    with pytest.raises(InputError, match="has the character"):
        write_resource(media, Resource(COMPUTE, links=(Link(evil, NETWORK),)))
    with pytest.raises(InputError, match="has the character"):
        write_action(media, STOP, {"method": evil})


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("name", ["a b", "a\nb", "", "a:b", 'a"b', "a=b"])
def test_a_name_that_is_no_name_never_leaves(media, name):
    with pytest.raises(InputError, match="not the name"):
        write_resource(media, Resource(COMPUTE, attributes={name: 1}))


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("mixin", ["no-scheme", "http://x#a; class=kind", "http://x#", "#", 'http://x#a"'])
def test_a_mixin_that_is_no_type_never_leaves(media, mixin):
    with pytest.raises(InputError, match="not the name of an OCCI type"):
        write_resource(media, Resource(COMPUTE, mixins=(mixin,)))


def test_a_request_in_lines_is_what_ooi_reads():
    resource = Resource(
        COMPUTE,
        mixins=("http://schemas.openstack.org/template/os#7255",),
        attributes={"occi.core.title": "one", "occi.compute.cores": 2},
        links=(Link(NETWORK_URL, NETWORK, kind=NETWORK_INTERFACE),),
    )
    assert write_resource(text.PLAIN, resource).body.decode().splitlines() == [
        'Category: compute; scheme="http://schemas.ogf.org/occi/infrastructure#"; class="kind"',
        'Category: 7255; scheme="http://schemas.openstack.org/template/os#"; class="mixin"',
        'X-OCCI-Attribute: occi.core.title="one"',
        "X-OCCI-Attribute: occi.compute.cores=2",
        f'Link: <{NETWORK_URL}>; rel="{NETWORK}"; category="{NETWORK_INTERFACE}"; occi.core.target="{NETWORK_URL}"',
    ]


def test_a_request_in_headers_has_one_of_each():
    rendered = write_action(text.HEADERS, STOP, {"method": "acpioff"})
    assert rendered.body == b""
    assert rendered.headers == {
        "Content-Type": "text/occi",
        "Category": 'stop; scheme="http://schemas.ogf.org/occi/infrastructure/compute/action#"; class="action"',
        "X-OCCI-Attribute": 'method="acpioff"',
    }


def test_a_category_says_what_it_is_derived_from_and_where_it_is():
    line = (
        'Category: small;scheme="http://x/resource_tpl#";class="mixin";rel="http://y#resource_tpl http://y#os_tpl";'
        'location="/mixin/resource_tpl/small/";title="Small, but fast";attributes="occi.compute.cores{immutable} a.b"'
    )
    assert read_categories(text.PLAIN, (), line) == (
        Category(
            "http://x/resource_tpl#",
            "small",
            "mixin",
            "Small, but fast",
            ("http://y#resource_tpl", "http://y#os_tpl"),
            "/mixin/resource_tpl/small/",
            {"occi.compute.cores": None, "a.b": None},
        ),
    )


def test_headers_that_a_proxy_joined_are_still_two():
    joined = 'compute; scheme="http://x#"; class="kind", big; scheme="http://y#"; class="mixin"; title="a, b"'
    assert [one.type for one in read_categories(text.HEADERS, [("Category", joined)], "OK")] == [
        "http://x#compute",
        "http://y#big",
    ]


@pytest.mark.parametrize(
    ("media", "body"),
    [
        (text.PLAIN, "X-OCCI-Location: http://site/compute/1\nX-OCCI-Location: http://site/compute/2\n"),
        ("text/uri-list", "# two\r\nhttp://site/compute/1\r\nhttp://site/compute/2\r\n"),
        (occi_json.MEDIA, '["http://site/compute/1", "http://site/compute/2"]'),
        (occi_json.MEDIA, '{"resources": [{"kind": "http://x#compute", "id": "1"}, {"kind": "http://x#c", "id": 2}]}'),
    ],
)
def test_lists_come_in_many_forms(media, body):
    assert [one.id for one in read_resources(media, (), body)] == ["1", "2"]


@pytest.mark.parametrize("media", MEDIA)
def test_an_empty_list_is_empty(media):
    assert read_resources(media, (), "") == ()


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("text/html", "<html><body>It works!</body></html>"),
        (text.PLAIN, "<!DOCTYPE html><title>503</title>"),
        ("", "<html>"),
    ],
)
def test_html_is_named_as_what_it_is(media, body):
    with pytest.raises(ProviderError, match="not OCCI: '<") as caught:
        read_resources(media, (), body)
    assert "endpoint" in caught.value.hint


@pytest.mark.parametrize(
    ("media", "body"),
    [
        (text.PLAIN, 'Category: compute; scheme="http://x#'),
        (text.PLAIN, 'Category: compute; scheme="http://x#"; class="ki'),
        (text.PLAIN, "Category: compute; sch"),
        (text.PLAIN, "Category: compute"),
        (text.PLAIN, "Catego"),
        (occi_json.MEDIA, '{"resources": [{"kind": "http://x#compu'),
        (occi_json.MEDIA, '{"resources": [{"id": "7"}]}'),
        (occi_json.MEDIA, '{"resources": {}}'),
        (occi_json.MEDIA, '{"kind": "http://x#compute", "attributes": [1]}'),
        (occi_json.MEDIA, '{"resources": [NaN]}'),
    ],
)
def test_half_a_rendering_is_refused_not_half_believed(media, body):
    with pytest.raises(ProviderError, match="half a rendering"):
        read_resources(media, (), body)


def test_nested_attributes_of_old_servers_have_their_full_names():
    body = '{"kind": "http://x#compute", "attributes": {"occi": {"core": {"id": "4007"}, "compute": {"cores": 2}}}}'
    (found,) = occi_json.read_resources(body)
    assert found.attributes == {"occi.core.id": "4007", "occi.compute.cores": 2}
