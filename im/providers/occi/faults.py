"""What a site's answer means as one of our errors, with the site's own words in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from im.errors import NoCapacity, NotPermitted, ProviderError, ProviderUnavailable
from im.providers.occi.grammar import shorten

LONGEST_WORDS = 300
_STATE = re.compile(r"status must be|current status is", re.IGNORECASE)
_QUOTA = re.compile(r"quota|exceed|insufficient|not enough|capacity|too many", re.IGNORECASE)


class Missing(ProviderError):
    """There is no such thing on the site (404, 410)."""


class Conflict(ProviderUnavailable):
    """The state of the thing forbids it now (409); another state may come."""


class Unanswered(ProviderUnavailable):
    """The request was sent and no usable answer came: it may have happened."""


def fault(status: int, words: str, where: str) -> ProviderError:
    """Return the error that an answer's status and body stand for."""
    said = words or f"HTTP {status}"
    if status == 403 and _QUOTA.search(words):
        return NoCapacity(said, where=where, hint="ask for less, or ask the site for a larger quota")
    if status == 400 and _STATE.search(words):  # cinder behind nova says a conflict like this
        status = 409
    if status in _MEANING:
        kind, prefix, hint = _MEANING[status]
        return kind(prefix + said, where=where, hint=hint)
    return ProviderError(f"the site answered {status}: {said}", where=where)


_LOGIN = "look at the site's `auth` in the settings, and whether the secret is still valid"
_LESS = "ask for less, or ask the site for more"
_SOON = "the site may answer in a moment"
_MEANING: Mapping[int, tuple[type[ProviderError], str, str]] = {
    401: (NotPermitted, "the site does not accept the login: ", _LOGIN),
    403: (NotPermitted, "the site forbids it: ", "ask the site for the right to do it"),
    404: (Missing, "", ""),
    410: (Missing, "", ""),
    409: (Conflict, "", "the same command may work in a moment"),
    500: (Unanswered, "the site failed: ", "its administrators can look into its log"),
    **dict.fromkeys((402, 413, 507), (NoCapacity, "", _LESS)),
    **dict.fromkeys((408, 429, 502, 503), (ProviderUnavailable, "", _SOON)),
    504: (Unanswered, "", _SOON),
}


def words_of(media: str, body: str) -> str:
    """Return what an error's body says to people, in one line."""
    text = body.strip()
    if media.endswith("json"):
        text = _words_of_json(text) or text
    elif media == "text/html" or text.startswith("<"):
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = f"an HTML page, {shorten(title[1].strip())}" if title else "an HTML page"
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= LONGEST_WORDS else f"{line[:LONGEST_WORDS]}…"


def _words_of_json(text: str) -> str:
    """The message in the forms that OpenStack, ooi and rOCCI use."""
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    while isinstance(document, dict):
        inner = next((document[key] for key in ("message", "error", "detail") if key in document), None)
        if inner is None and len(document) == 1:
            inner = next(iter(document.values()))
        document = inner
    return document if isinstance(document, str) else ""
