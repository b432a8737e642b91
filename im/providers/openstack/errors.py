"""What an OpenStack service said, as one of our errors: its own words, the request id, and never a secret."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from im.errors import AddressInUse, NoCapacity, NotPermitted, ProviderError, ProviderUnavailable
from im.events import now

LONGEST = 400
_SECRETLY_LONG = re.compile(r"[^\s'\"]{100,}")
"""Services quote what they do not understand; a word this long is user data or a token."""
_FULL = re.compile(
    r"quota|no more ip addresses|not enough|exceed|maximum number of|no valid host|insufficient", re.IGNORECASE
)
_OVERLAP = re.compile(r"overlaps?\b", re.IGNORECASE)
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_REQUEST_IDS = ("x-openstack-request-id", "x-compute-request-id")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a service. ``body`` is its text, ``sent`` the request id that we gave it."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: str = ""

    @property
    def request_id(self) -> str:
        """What the site's administrators find this request by: the service's own id, else ours."""
        lower = {name.lower(): value for name, value in self.headers.items()}
        return next((lower[name] for name in _REQUEST_IDS if lower.get(name)), self.sent)


class Refused(ProviderUnavailable):
    """The service did not even begin with what was asked (too many requests); ``pause``: what it wants us to wait."""

    pause: float | None = None


class TooOld(ProviderError):
    """The service does not know the microversion that was asked for."""


def error_of(reply: Reply, *, where: str) -> ProviderError:
    """Return the error that stands for an answer of 400 or more."""
    text = said(reply.body) or f"the service answers {reply.status}"
    message = f"{text} [{reply.request_id}]" if reply.request_id else text
    if reply.status in _BUSY:
        return _busy(reply, message, where)
    if reply.status == 401:
        return NotPermitted(
            message, where=where, hint="is the password right, the token not expired, and auth_url the site's?"
        )
    if reply.status == 413 or (reply.status in {400, 403, 409} and _FULL.search(text)):
        return NoCapacity(message, where=where, hint="ask the site for more, or delete what you do not need")
    if reply.status == 403:
        return NotPermitted(message, where=where, hint="ask the site whether your role in the project may do this")
    if reply.status in {400, 409} and _OVERLAP.search(text):
        return AddressInUse(message, where=where, hint="give the network another cidr")
    return (TooOld if reply.status == 406 else ProviderError)(message, where=where)


def said(body: str) -> str:
    """Return the sentence in the body of an error, whatever service wrote it."""
    try:
        text = _message(json.loads(body))
    except ValueError:
        text = html.unescape(re.sub(r"<(title|h1)>.*?</\1>|<[^>]+>", " ", body, flags=re.DOTALL))
    text = _SECRETLY_LONG.sub("…", " ".join(text.split()))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _message(value: object) -> str:
    """The first ``message`` in a JSON error; each service has its own wrapping around it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _message(value[0]) if value else ""
    if not isinstance(value, dict):
        return ""
    for key in ("message", "detail", "title"):
        if isinstance(value.get(key), str) and value[key]:
            return str(value[key])
    return next((text for item in value.values() if (text := _message(item))), "")


def _busy(reply: Reply, message: str, where: str) -> ProviderUnavailable:
    pause = _retry_after(reply)
    if reply.status == 429 or (reply.status == 503 and pause is not None):
        error = Refused(message, where=where)
        error.pause = pause
        return error
    return ProviderUnavailable(message, where=where)


def _retry_after(reply: Reply) -> float | None:
    """How long to wait, as seconds or as a date (RFC 9110); a date counts from the service's own clock."""
    headers = {name.lower(): value for name, value in reply.headers.items()}
    value = headers.get("retry-after", "")
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    until = _http_date(value)
    return max((until - (_http_date(headers.get("date", "")) or now())).total_seconds(), 0) if until else None


def _http_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).replace(tzinfo=UTC)  # an HTTP date is always in GMT
    except ValueError:
        return None
