"""Calls are repeated where that is safe, looked up where it is not, and counted."""

import pytest

from im.errors import NotPermitted, ProviderError, ProviderUnavailable
from im.providers.openstack.api import ATTEMPTS, Together

NOW = {"Retry-After": "0"}


@pytest.mark.parametrize(
    "trouble", [(429, {}, NOW), (503, {}, NOW), (500, {}), (502, "<html>bad gateway</html>"), (504, ""), None]
)
def test_reading_is_repeated_until_it_works(toy, api, trouble):
    toy.script(trouble, trouble, (200, {"servers": []}))
    assert api.get("compute", "/servers") == {"servers": []}
    assert len(toy.asked) == 3


def test_reading_ends_when_the_cloud_stays_away(toy, api):
    toy.script((503, {"message": "closed for maintenance"}))
    with pytest.raises(ProviderUnavailable, match="closed for maintenance"):
        api.get("compute", "/servers")
    assert len(toy.asked) == ATTEMPTS


def test_what_is_refused_is_not_asked_again(toy, api):
    toy.script((403, {"forbidden": {"message": "Policy doesn't allow it"}}))
    with pytest.raises(NotPermitted, match="Policy"):
        api.get("compute", "/servers")
    assert len(toy.asked) == 1


def test_half_an_answer_is_no_answer(toy, api):
    toy.script((200, '{"servers": ['), (200, {"servers": []}))
    assert api.get("compute", "/servers") == {"servers": []}


def test_a_listing_is_read_to_its_end(toy, api):
    pages = {"": [{"id": "1"}, {"id": "2"}], "2": [{"id": "3"}]}

    def answer(_method, _path, query, _body):
        page = pages[query.get("marker", "")]
        return 200, {"servers": page, **({"servers_links": [{"rel": "next"}]} if len(page) > 1 else {})}

    toy.answer = answer
    assert [one["id"] for one in api.pages("compute", "/servers", "servers")] == ["1", "2", "3"]


@pytest.mark.parametrize("refusal", [(429, {}, NOW), (503, {}, NOW)])
def test_creating_is_repeated_when_it_was_refused_before_it_began(toy, api, refusal):
    toy.script(refusal, (202, {"server": {"id": "1"}}))
    assert api.post("compute", "/servers", {"server": {}}) == {"server": {"id": "1"}}


@pytest.mark.parametrize("trouble", [(500, {}), (504, {}), None])
def test_creating_is_not_repeated_blindly(toy, api, trouble):
    toy.script(trouble, (202, {"server": {"id": "1"}}))
    with pytest.raises(ProviderUnavailable):
        api.post("compute", "/servers", {"server": {}})
    assert len(toy.asked) == 1


@pytest.mark.parametrize("trouble", [(500, {}), (504, {}), None])
def test_creating_looks_first_whether_it_happened(toy, api, trouble):
    toy.script(trouble, (202, {"server": {"id": "second"}}))
    there = {"server": {"id": "first"}}
    assert api.post("compute", "/servers", {"server": {}}, lambda: there) is there
    assert len(toy.asked) == 1


def test_creating_is_repeated_when_a_look_finds_nothing(toy, api):
    toy.script((500, {}), None, (202, {"server": {"id": "1"}}))
    assert api.post("compute", "/servers", {"server": {}}, lambda: None) == {"server": {"id": "1"}}
    assert toy.paths("POST") == ["/servers"] * 3


def test_what_is_gone_is_deleted(toy, api):
    toy.script((404, {"itemNotFound": {"message": "no"}}))
    api.delete("compute", "/servers/1")


def test_deleting_is_repeated(toy, api):
    toy.script((500, {}), None, (204, ""))
    api.delete("network", "/networks/1")
    assert len(toy.asked) == 3


def test_calls_are_counted_by_service_and_method(toy, api):
    toy.script((500, {}), (200, {}))
    api.get("compute", "/servers")
    api.delete("network", "/networks/1")
    assert api.calls == {("compute", "GET"): 2, ("network", "DELETE"): 1}


def test_endpoints_without_a_version_get_one(toy, api):
    toy.script((200, {}))
    for service in ("compute", "network", "image"):
        api.get(service, "/things")
    assert toy.paths() == ["/things", "/v2.0/things", "/v2/things"]


def test_nobody_there_is_said_in_words(api, toy):
    toy.server.shutdown()
    toy.server.server_close()
    with pytest.raises(ProviderUnavailable, match="no answer") as caught:
        api.get("compute", "/servers")
    assert "object at" not in str(caught.value)


def test_every_request_has_an_id_of_ours_that_is_said_when_no_answer_comes(toy, api):
    toy.script(None)
    with pytest.raises(ProviderUnavailable, match=r"\[req-[0-9a-f-]{36}\]") as caught:
        api.post("compute", "/servers", {"server": {}})
    assert f"[{toy.headers[-1]['X-OpenStack-Request-ID']}]" in str(caught.value)


def test_an_error_that_something_on_the_way_makes_has_our_request_id(toy, api):
    toy.script((502, "<html>bad gateway</html>"))
    with pytest.raises(ProviderUnavailable) as caught:
        api.post("compute", "/servers", {"server": {}})
    assert toy.headers[-1]["X-OpenStack-Request-ID"] in str(caught.value)


def test_together_gives_results_in_order_and_the_first_error_after_all_have_ended():
    ended = []

    def fail():
        raise ProviderError("first")

    assert Together.all([lambda: 1, lambda: 2]) == [1, 2]
    with pytest.raises(ProviderError, match="first"):
        Together.all([fail, lambda: ended.append(1)])
    assert ended == [1]
