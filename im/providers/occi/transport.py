"""Requests to one site: logged in, bounded in size and time, and never to another host with our token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

from im.config import OcciSite
from im.errors import NotPermitted, ProviderError, ProviderUnavailable
from im.providers.occi import auth
from im.providers.occi.faults import Unanswered, fault, words_of
from im.providers.occi.model import Rendered

if TYPE_CHECKING:
    from keystoneauth1.plugin import BaseAuthPlugin
    from keystoneauth1.session import Session
    from requests import Response

T = TypeVar("T")

LARGEST = 8 << 20
"""Bytes of an answer that are read; a site with thousands of templates needs less than one million."""
REDIRECTS = 3
CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: status, media type, headers in order, and the body as text."""

    status: int
    media: str
    headers: tuple[tuple[str, str], ...]
    body: str

    def header(self, name: str) -> str:
        """Return a header; "" where there is none."""
        return next((content for key, content in self.headers if key.lower() == name.lower()), "")


class Transport:
    """The way to one site. ``requests`` counts what was sent."""

    def __init__(self, site: OcciSite, name: str) -> None:
        self._site = site
        self._where = f"cloud {name}"
        self._counting = threading.Lock()
        self._logging_in = threading.RLock()
        self._ready = False
        self.requests = 0
        self.base = site.endpoint.rstrip("/") + "/"

    def request(self, method: str, url: str, accept: str, rendered: Rendered | None = None) -> Answer:
        """Send a request and return its answer. Raises :class:`im.errors.ProviderError` and its children."""
        target = self.absolute(url)
        for _ in range(REDIRECTS):
            response = self._send(method, target, accept, rendered)
            with response:
                if response.status_code in {301, 302, 303, 307, 308}:
                    target = self._redirected(method, target, response.headers.get("Location", ""))
                    continue
                return self._answer(response)
        raise ProviderError("the site redirects in circles", where=self._where, hint="is the endpoint right?")

    def absolute(self, url: str) -> str:
        """Return the full address of something on this site, by the scheme and host that the user gave.

        A path that does not begin with the endpoint's is one below it. Raises :class:`im.errors.NotPermitted` for
        another host: our token does not go there.
        """
        home = urlsplit(self.base)
        below = url[1:] if url.startswith("/") and not url.startswith(("//", home.path)) else url
        full = urlsplit(urljoin(self.base, below))
        if full.hostname != home.hostname or (full.port and _port(full) != _port(home)):
            raise NotPermitted(
                f"the site says that {url} is a part of it; a token of {home.netloc} does not go to another host",
                where=self._where,
                hint="tell the site's administrators, or use the address that the site itself uses",
            )
        return full._replace(scheme=home.scheme, netloc=home.netloc).geturl()

    def _redirected(self, method: str, source: str, location: str) -> str:
        target = urlsplit(urljoin(source, location))
        home = urlsplit(self.base)
        if (target.scheme, target.hostname, _port(target)) != (home.scheme, home.hostname, _port(home)):
            place = f"{target.scheme}://{target.netloc}"
            hint = f"if you trust it, use {place} as the endpoint"
            raise NotPermitted(f"the site redirects to {place}; a token does not follow", where=self._where, hint=hint)
        if method not in {"GET", "HEAD"}:
            raise ProviderError(f"the site redirects a {method}; nothing was repeated", where=self._where)
        return target.geturl()

    def _send(self, method: str, url: str, accept: str, rendered: Rendered | None) -> Response:
        """Send a request; with a new token once more if the site does not accept the one that we have."""
        said = {"Accept": accept, "User-Agent": "im OCCI/1.2", **(rendered.headers if rendered else {})}
        body = rendered.body if rendered else None
        used = self._login()
        response = self._exchange(method, url, said | used, body)
        if response.status_code != 401 or not self._renewed(used):
            return response
        response.close()
        return self._exchange(method, url, said | self._login(), body)

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Response:
        with self._counting:
            self.requests += 1
        return self._translated(
            lambda: self._session.request(
                url,
                method,
                headers=dict(headers),
                data=body,
                stream=True,
                redirect=False,
                raise_exc=False,
                log=False,
                authenticated=False,
            )
        )

    # logging in

    def _login(self) -> dict[str, str]:
        """The headers that say who we are; logs in where that is not done yet."""
        with self._logging_in:
            if not self._ready:
                self._session.auth = self._plugin()
                self._ready = True
            if self._session.auth is None:
                return {}
            return self._translated(lambda: dict(self._session.get_auth_headers() or {}))

    def _renewed(self, used: Mapping[str, str]) -> bool:
        """Whether there is another login than the one that was refused; of many threads one renews it."""
        with self._logging_in:
            plugin = self._session.auth
            if plugin is None:
                return False
            current = self._translated(lambda: self._session.get_auth_headers() or {})
            return current != used or plugin.invalidate()

    def _plugin(self) -> BaseAuthPlugin | None:
        site = self._site
        auth_url = auth.v3_of(site.auth_url) if site.auth_url else ""
        if site.auth in auth.KEYSTONE and not auth_url:
            auth_url = self._find_keystone()
        return auth.plugin(site, auth_url)

    def _find_keystone(self) -> str:
        """Ask the site without a login; its refusal names the Keystone."""
        with self._exchange("GET", self.absolute("-/"), {"Accept": "text/plain"}) as response:
            if response.status_code != 401:
                message = f"the site answers {response.status_code} without a login and names no Keystone"
                hint = "`auth = none`, or the right endpoint?"
                raise ProviderError(message, where=self._where, hint=hint)
            return auth.keystone_of(response.headers.get("WWW-Authenticate", ""), self.base)

    @cached_property
    def _session(self) -> Session:
        from keystoneauth1.session import Session

        return Session(**_connection(self._site))

    # answers

    def _translated(self, call: Callable[[], T]) -> T:
        """Make a call of keystoneauth1 whose errors are ours."""
        from keystoneauth1 import exceptions

        try:
            return call()
        except exceptions.Unauthorized:
            raise fault(401, "", self._where) from None
        except exceptions.HttpError as error:
            raise fault(error.http_status, f"Keystone: {error.message}", self._where) from None
        except exceptions.SSLError:
            hint = "set `ca` of the site to the certificates that signed its own"
            raise NotPermitted("the site's certificate cannot be trusted", where=self._where, hint=hint) from None
        except exceptions.ConnectTimeout:
            raise Unanswered(f"no answer in {self._site.timeout:g} s", where=self._where) from None
        except (exceptions.ConnectionError, exceptions.ClientException) as error:
            raise self._no_connection(error) from None

    def _no_connection(self, error: Exception) -> ProviderError:
        from keystoneauth1.exceptions import ConnectionError as NoConnection

        if "more than" in str(error) and "headers" in str(error):
            return ProviderError("the answer has more headers than can be read", where=self._where)
        if isinstance(error, NoConnection):
            kind = ProviderUnavailable if "refused" in str(error) or "resolve" in str(error) else Unanswered
            return kind(f"no connection to {urlsplit(self.base).netloc}", where=self._where)
        return NotPermitted(
            f"logging in failed ({type(error).__name__})", where=self._where, hint=auth_hint(self._site)
        )

    def _answer(self, response: Response) -> Answer:
        headers = tuple((str(name), str(content)) for name, content in _raw_headers(response))
        media = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        body = self._body(response)
        if response.status_code >= 400:
            raise fault(response.status_code, words_of(media, body), self._where)
        return Answer(response.status_code, media, headers, body)

    def _body(self, response: Response) -> str:
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        end = time.monotonic() + self._site.timeout
        body = bytearray()
        try:
            for chunk in response.iter_content(CHUNK):
                body += chunk
                if len(body) > LARGEST:
                    hint = "is the endpoint right? Tell the site's administrators"
                    raise ProviderError(
                        f"the answer is larger than {LARGEST >> 20} MiB and was not read", where=self._where, hint=hint
                    )
                if time.monotonic() > end:
                    raise Unanswered(f"the answer was not complete after {self._site.timeout:g} s", where=self._where)
        except (RequestException, HTTPError):
            raise Unanswered("the connection broke in the middle of the answer", where=self._where) from None
        return body.decode("utf-8", "replace")


def auth_hint(site: OcciSite) -> str:
    """Return what to look at where a login fails."""
    return f"look at `auth = {site.auth}` of the site, its user, project and secret (docs/occi.md)"


def _connection(site: OcciSite) -> Mapping[str, Any]:
    certificate = tuple(str(file.expanduser()) for file in (site.certificate, site.key) if file)
    return {
        "verify": str(site.ca.expanduser()) if site.ca else True,
        "cert": certificate if len(certificate) == 2 else next(iter(certificate), None),
        "timeout": site.timeout,
        "redirect": False,
    }


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _raw_headers(response: Response) -> list[tuple[str, str]]:
    """The headers one by one: requests would join those of one name."""
    return list(response.raw.headers.iteritems())
