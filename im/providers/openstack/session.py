"""Who we are at which cloud: ``clouds.yaml`` and ``OS_*``, read and used as every OpenStack client does."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from im.errors import InputError, UnknownName
from im.providers.openstack.failures import in_our_words

if TYPE_CHECKING:
    from keystoneauth1.adapter import Adapter
    from openstack.config import OpenStackConfig
    from openstack.config.cloud_region import CloudRegion

KIND = "openstack"
HINT = "see docs/provider-openstack.md, or download clouds.yaml from the site's dashboard (API access)"


def cloud_name(cloud: str) -> str:
    """Return the one name of a cloud: ``openstack:NAME`` as in clouds.yaml, or ``openstack`` for bare ``OS_*``."""
    name = cloud.partition(":")[2] or os.environ.get("OS_CLOUD", "")
    return f"{KIND}:{name}" if name else KIND


def known_clouds() -> tuple[str, ...]:
    """Return the names in the user's clouds.yaml; none if there is no such file or it cannot be read."""
    from openstack.config import OpenStackConfig
    from openstack.exceptions import ConfigException

    try:
        return _names(OpenStackConfig(load_envvars=False, config_files=_given_file()))
    except (ConfigException, OSError, ValueError):
        return ()


class Login:
    """A session with one cloud, made when it is first needed, and an adapter for each of its services."""

    def __init__(self, cloud: str) -> None:
        self.name = cloud_name(cloud)
        self._region: CloudRegion | None = None
        self._adapters: dict[str, Adapter] = {}
        self._lock = threading.RLock()

    @property
    def region(self) -> CloudRegion:
        """The configuration of the cloud. Raises :class:`im.errors.InputError` if it is missing or wrong."""
        with self._lock:
            if self._region is None:
                self._region = _read_region(self.name.partition(":")[2])
            return self._region

    def adapter(self, service: str) -> Adapter:
        """Return the adapter of a service such as ``compute``."""
        with self._lock:
            if service not in self._adapters:
                self._adapters[service] = _adapter(self.region, service, self.name)
            return self._adapters[service]

    def project(self) -> str:
        """Return the id of the project that the credential is for; "" if it is for none."""
        adapter = self.adapter("compute")
        with in_our_words(self.name, "identity"):
            return str(adapter.get_project_id() or "")


def _given_file() -> list[str] | None:
    file = os.environ.get("OS_CLIENT_CONFIG_FILE")
    return [file] if file else None


def _names(config: OpenStackConfig) -> tuple[str, ...]:
    """The clouds of a configuration, without the one that stands for openstacksdk's defaults."""
    return tuple(sorted(set(config.cloud_config.get("clouds") or ()) - {"defaults"}))


def _read_region(name: str) -> CloudRegion:
    from keystoneauth1.exceptions import ClientException
    from openstack.config import OpenStackConfig
    from openstack.exceptions import ConfigException

    if not name and not os.environ.get("OS_AUTH_URL"):
        raise InputError("no OpenStack cloud is named, and OS_AUTH_URL is not set", hint=HINT)
    try:
        config = OpenStackConfig()
        if name and name not in _names(config):
            raise _unknown(name, _names(config))
        return config.get_one(cloud=name or "envvars")
    except (ConfigException, ClientException, OSError) as error:
        raise InputError(_first_line(error), where=f"cloud {name or KIND}", hint=HINT) from None


def _unknown(name: str, known: Sequence[str]) -> InputError:
    """Return what is wrong with a name; openstacksdk does not say it when it cannot read a file."""
    import yaml
    from openstack.config.loader import CONFIG_FILES

    files = [Path(file) for file in _given_file() or CONFIG_FILES if Path(file).is_file()]
    for file in files:
        try:
            yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            return InputError(f"it cannot be read: {_first_line(error)}", where=str(file), hint="mend the file")
    where = files[0] if files else "clouds.yaml (there is none)"
    return UnknownName(f"{where} has no cloud {name!r}", hint=f"it has: {', '.join(known) or 'none'}; {HINT}")


def _adapter(region: CloudRegion, service: str, name: str) -> Adapter:
    from keystoneauth1.adapter import Adapter
    from keystoneauth1.exceptions import ClientException
    from openstack.exceptions import ConfigException

    try:
        return Adapter(
            region.get_session(),
            service_type=region.get_service_type(service),
            service_name=region.get_service_name(service),
            interface=region.get_interface(service),
            region_name=region.get_region_name(service),
            endpoint_override=region.get_endpoint(service),
        )
    except (ConfigException, ClientException, OSError) as error:
        raise InputError(_first_line(error), where=f"cloud {name}", hint=HINT) from None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
