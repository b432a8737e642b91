"""Two plugins that keystoneauth1 has no like of: a token that may be renewed, and federation by configurable paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keystoneauth1 import access
from keystoneauth1.identity.v3 import FederationBaseAuth
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session


class SecretToken(BaseAuthPlugin):
    """A plain ``X-Auth-Token``; when the site refuses it, it is read again, once."""

    def __init__(self, read: Callable[[], str]) -> None:
        super().__init__()
        self._read = read
        self._token = ""

    def get_token(self, session: Session) -> str:  # noqa: ARG002
        """Return the token."""
        self._token = self._token or self._read()
        return self._token

    def invalidate(self) -> bool:
        """Read the token again; True if there is another one."""
        refused, self._token = self._token, self._read()
        return self._token != refused


class Federated(FederationBaseAuth):
    """An unscoped token by a bearer token, else by the session's client certificate; then the project's token."""

    def __init__(
        self,
        auth_url: str,
        identity_provider: str,
        protocol: str,
        *,
        path: str,
        method: str,
        bearer: Callable[[], str] | None,
        **scope: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(auth_url, identity_provider, protocol, **scope)
        self._path = path
        self._method = method
        self._bearer = bearer

    @property
    def federated_token_url(self) -> str:
        """Where the unscoped token is."""
        return f"{self.auth_url.rstrip('/')}/{self._path.lstrip('/')}"

    def get_unscoped_auth_ref(self, session: Session) -> access.AccessInfoV3:
        """Ask for the unscoped token."""
        headers = {"Accept": "application/json"}
        if self._bearer:
            headers["Authorization"] = f"Bearer {self._bearer()}"
        response = session.request(
            self.federated_token_url, self._method, headers=headers, authenticated=False, log=False
        )
        found = access.create(resp=response)
        if not isinstance(found, access.AccessInfoV3):
            raise TypeError("not a token of Keystone version 3")
        return found
