"""What goes wrong before a service answers: at the login, in the catalog, on the line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from im.errors import ProviderError, ProviderUnavailable
from im.providers.openstack.errors import Reply, error_of

if TYPE_CHECKING:
    from keystoneauth1.exceptions import HttpError


@contextmanager
def in_our_words(cloud: str, service: str, request: str = "") -> Iterator[None]:
    """Turn what keystoneauth1 raises into errors of ours; ``where`` they are is the cloud and the service.

    ``request``: the id that we gave the request, to be found in the services' logs if it came that far.
    """
    from keystoneauth1 import exceptions as ks
    from requests.exceptions import RequestException

    where = f"cloud {cloud}, {service}"
    try:
        yield
    except ks.HttpError as error:  # an answer to the login; other calls do not raise for theirs
        raise _login(error, f"cloud {cloud}, identity") from None
    except ks.EndpointNotFound:
        hint = "see what it has: openstack catalog list"
        raise ProviderError(f"this cloud offers no service {service}", where=where, hint=hint) from None
    except ks.SSLError:
        hint = "name the site's CA bundle: cacert in clouds.yaml, or OS_CACERT"
        raise ProviderError("the certificate of the cloud is not trusted", where=where, hint=hint) from None
    except (ks.ConnectionError, ks.RetriableConnectionFailure, RequestException) as error:
        text = f"no answer: {_cause(error)}"
        raise ProviderUnavailable(f"{text} [{request}]" if request else text, where=where) from None
    except ks.ClientException as error:
        raise ProviderError(f"{type(error).__name__}: {error}", where=where) from None


def _login(error: HttpError, where: str) -> ProviderError:
    """Keystone says 404 of a token that it does not know, and 400 of a credential that it does not understand."""
    response = error.response
    body, headers = (response.text, dict(response.headers)) if response is not None else (str(error.message), {})
    status = 401 if error.http_status in {400, 404} else error.http_status
    return error_of(Reply(status, body, headers), where=where)


def _cause(error: BaseException) -> str:
    """What went wrong on the line, without the layers around it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error).strip() or type(error).__name__
