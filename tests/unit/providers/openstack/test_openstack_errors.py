"""What services say becomes one of our errors: their words, the request id, never a secret."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from im.errors import AddressInUse, NoCapacity, NotPermitted, ProviderError, ProviderUnavailable
from im.providers.openstack.errors import Refused, Reply, error_of, said

QUOTA = "Quota exceeded for instances: Requested 16, but already used 90 of 100 instances"


NO_ADDRESS = "No more IP addresses available on network x."
OVERLAP = "Bad router request: Cidr 10.0.0.0/24 of subnet x overlaps with cidr y"
VOLUMES = "VolumeLimitExceeded: Maximum number of volumes allowed (10)"


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (403, {"forbidden": {"code": 403, "message": QUOTA}}, NoCapacity, "already used 90 of 100"),
        (403, {"forbidden": {"message": "Policy doesn't allow it"}}, NotPermitted, "Policy"),
        (401, {"error": {"code": 401, "message": "It requires authentication."}}, NotPermitted, "authentication"),
        (409, {"NeutronError": {"type": "OverQuota", "message": "Quota exceeded: ['router']."}}, NoCapacity, "router"),
        (409, {"NeutronError": {"message": NO_ADDRESS}}, NoCapacity, "No more IP"),
        (413, {"overLimit": {"message": VOLUMES}}, NoCapacity, "(10)"),
        (400, {"NeutronError": {"message": OVERLAP}}, AddressInUse, "overlaps"),
        (400, {"badRequest": {"message": "Flavor's disk is too small"}}, ProviderError, "too small"),
        (409, {"conflictingRequest": {"message": "Cannot 'stop' instance"}}, ProviderError, "Cannot 'stop'"),
        (500, {"computeFault": {"message": "Unexpected API Error."}}, ProviderUnavailable, "Unexpected"),
    ],
)
def test_each_service_has_its_own_wrapping(status, body, kind, words):
    error = error_of(Reply(status, json.dumps(body)), where="cloud x, compute")
    assert type(error) is kind
    assert words in error.message
    assert error.where == "cloud x, compute"


def test_a_page_of_html_is_read_too():
    page = "<title>404 Not Found</title><body><h1>404 Not Found</h1>No image found with ID x<br /></body>"
    assert said(page) == "No image found with ID x"


def test_without_words_the_status_is_said():
    assert error_of(Reply(418), where="x").message == "the service answers 418"


@pytest.mark.parametrize("header", ["x-openstack-request-id", "X-Compute-Request-Id"])
def test_the_request_id_is_said(header):
    error = error_of(Reply(400, "{}", {header: "req-1234"}), where="x")
    assert "[req-1234]" in str(error)


def test_user_data_that_a_service_quotes_is_not_repeated():
    secret = "LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZ" * 4
    body = {"badRequest": {"message": f"Invalid input for field/attribute user_data. Value: {secret}. too long"}}
    error = error_of(Reply(400, json.dumps(body)), where="x")
    assert secret[:40] not in str(error)
    assert "user_data" in error.message


def test_a_long_story_is_cut():
    assert len(said(json.dumps({"message": "many words " * 500}))) < 500


@pytest.mark.parametrize(
    ("status", "headers", "pause"),
    [(429, {}, None), (429, {"Retry-After": "7"}, 7), (503, {"retry-after": "2"}, 2)],
)
def test_what_was_refused_before_it_began_says_how_long_to_wait(status, headers, pause):
    error = error_of(Reply(status, "", headers), where="x")
    assert isinstance(error, Refused)
    assert error.pause == pause


DATE = "Wed, 25 Nov 2026 14:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "pause"),
    [
        ("Wed, 25 Nov 2026 14:00:07 GMT", 7),
        ("Wednesday, 25-Nov-26 14:00:07 GMT", 7),
        ("Wed Nov 25 14:00:07 2026", 7),
        ("Wed, 25 Nov 2026 13:59:00 GMT", 0),
        ("soon", None),
        ("Wed, 99 Nov 2026 14:00:00 GMT", None),
    ],
)
def test_a_date_to_come_back_at_counts_from_the_services_own_clock(value, pause):
    error = error_of(Reply(429, "", {"retry-after": value, "date": DATE}), where="x")
    assert isinstance(error, Refused)
    assert error.pause == pause


def test_without_a_clock_of_the_service_a_date_counts_from_ours():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    error = error_of(Reply(503, "", {"Retry-After": later}), where="x")
    assert isinstance(error, Refused)
    assert error.pause == pytest.approx(30, abs=2)


def test_a_503_without_more_may_have_happened():
    assert not isinstance(error_of(Reply(503), where="x"), Refused)
