"""Logging in, by keystoneauth1: which of its plugins a site needs, and where its Keystone is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from im.config import Login, OcciSite
from im.errors import InputError, NotPermitted, ProviderError

if TYPE_CHECKING:
    from keystoneauth1.plugin import BaseAuthPlugin

KEYSTONE = {"password", "application-credential", "oidc", "x509"}
"""Ways of logging in that need a Keystone."""

SECRET_VARIABLES = {
    "password": "OS_PASSWORD",
    "application-credential": "OS_APPLICATION_CREDENTIAL_SECRET",
    "oidc": "OS_ACCESS_TOKEN",
    "basic": "OS_PASSWORD",
    "token": "OS_TOKEN",
}
"""Where the secret is looked for when the site says nothing else."""


def keystone_of(challenge: str, endpoint: str) -> str:
    """Return the Keystone, as its ``/v3``, that the ``WWW-Authenticate`` header of a 401 names.

    Raises :class:`im.errors.ProviderError` if it names none, or one that would get the password over a plain line.
    """
    found = re.search(r"\b(?:Keystone|snf-auth)\s+uri\s*=\s*(?:'([^']+)'|\"([^\"]+)\")", challenge, re.IGNORECASE)
    if not found:
        hint = "set `auth_url` of the site, or `auth` to what it takes"
        raise ProviderError("the site does not say which Keystone to log in to", hint=hint)
    url = v3_of(found[1] or found[2])
    if urlsplit(endpoint).scheme == "https" and urlsplit(url).scheme != "https":
        raise NotPermitted(
            f"the site names a Keystone without encryption, {url}: no password goes there",
            hint="set `auth_url` of the site if that is really wanted",
        )
    return url


def v3_of(url: str) -> str:
    """Return the address of Keystone's version 3."""
    return re.sub(r"/v\d[\d.]*$", "", url.rstrip("/")) + "/v3"


def plugin(site: OcciSite, auth_url: str, environ: Mapping[str, str] = os.environ) -> BaseAuthPlugin | None:
    """Return keystoneauth1's plugin for a site; None where the client certificate alone logs in, or nothing does."""
    match site.auth:
        case "password" | "application-credential":
            return _keystone_plugin(site, auth_url, secret_of(site, environ))
        case "oidc" | "x509":
            return _federated_plugin(site, auth_url, environ)
        case "basic":
            from keystoneauth1.http_basic import HTTPBasicAuth

            return HTTPBasicAuth(site.endpoint, _needed(site.username, "username"), secret_of(site, environ))
        case "token":
            from im.providers.occi.tokens import SecretToken

            return SecretToken(lambda: secret_of(site, environ))
        case _:
            return None


def secret_of(site: OcciSite, environ: Mapping[str, str]) -> str:
    """Return the password, secret or token of a site, from its file or the environment; read anew each time."""
    if site.secret_file:
        return _text_of(site.secret_file)
    variable = site.secret_env or SECRET_VARIABLES.get(site.auth, "")
    if secret := environ.get(variable, "").strip():
        return secret
    hint = f"export {variable}=…, or set `secret_file` of the site"
    raise NotPermitted(f"no secret to log in with: {variable} is not set", where=site.endpoint, hint=hint)


def site_of_address(endpoint: str, environ: Mapping[str, str] = os.environ) -> OcciSite:
    """Return a site that is known by its address only; how to log in is what OpenStack's variables say."""
    scheme = urlsplit(endpoint).scheme
    if scheme not in {"http", "https"}:
        raise InputError(f"{endpoint!r} is no address of an OCCI site", hint="occi:https://…, or occi:NAME of a site")
    proxy = environ.get("X509_USER_PROXY", "")
    ways: tuple[tuple[Login, object], ...] = (
        ("application-credential", environ.get("OS_APPLICATION_CREDENTIAL_ID")),
        ("oidc", environ.get("OS_ACCESS_TOKEN")),
        ("token", environ.get("OS_TOKEN")),
        ("password", environ.get("OS_USERNAME")),
        ("x509", proxy),
    )
    authorities = environ.get("OS_CACERT")
    return OcciSite(
        endpoint=endpoint,
        auth=next((name for name, given in ways if given), "none"),
        auth_url=environ.get("OS_AUTH_URL", ""),
        username=environ.get("OS_USERNAME", ""),
        user_domain=environ.get("OS_USER_DOMAIN_NAME", "Default"),
        project=environ.get("OS_PROJECT_ID") or environ.get("OS_PROJECT_NAME", ""),
        project_domain=environ.get("OS_PROJECT_DOMAIN_NAME", "Default"),
        credential=environ.get("OS_APPLICATION_CREDENTIAL_ID", ""),
        certificate=Path(proxy) if proxy else None,
        ca=Path(authorities) if authorities else None,
    )


def _keystone_plugin(site: OcciSite, auth_url: str, secret: str) -> BaseAuthPlugin:
    from keystoneauth1.identity import v3

    if site.auth == "application-credential":
        credential = _needed(site.credential, "credential")
        return v3.ApplicationCredential(
            auth_url, application_credential_id=credential, application_credential_secret=secret
        )
    return v3.Password(
        auth_url,
        username=_needed(site.username, "username"),
        password=secret,
        user_domain_name=site.user_domain,
        **scope_of(site),
    )


def _federated_plugin(site: OcciSite, auth_url: str, environ: Mapping[str, str]) -> BaseAuthPlugin:
    from im.providers.occi.tokens import Federated

    bearer = (lambda: secret_of(site, environ)) if site.auth == "oidc" else None
    protocol = site.protocol or ("openid" if site.auth == "oidc" else "mapped")
    path = site.federation_path.format(identity_provider=site.identity_provider, protocol=protocol)
    return Federated(
        auth_url,
        site.identity_provider,
        protocol,
        path=path,
        method=site.federation_method,
        bearer=bearer,
        **scope_of(site),
    )


def scope_of(site: OcciSite) -> dict[str, Any]:
    """Return the project to work in, as keystoneauth1 wants it; ids are 32 hexadecimal digits."""
    if not site.project:
        return {}
    if re.fullmatch(r"[0-9a-f]{32}", site.project):
        return {"project_id": site.project}
    return {"project_name": site.project, "project_domain_name": site.project_domain}


def _needed(value: str, name: str) -> str:
    if not value:
        raise InputError(f"the site needs `{name}` for this way of logging in", hint="see docs/occi.md")
    return value


def _text_of(file: Path) -> str:
    try:
        return file.expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "") or "not a text"
        raise NotPermitted(f"the secret's file cannot be read: {reason}", where=str(file)) from None
