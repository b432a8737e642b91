"""Settings: environment variables ``IM_*`` over ``$IM_HOME/config.toml`` over the defaults below."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from im.errors import InputError


def load_settings() -> Settings:
    """Read the settings of this user. Raises :class:`im.errors.InputError` naming each bad one."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InputError(
            wrong, where="settings", hint=f"{default_home() / 'config.toml'} or an IM_* variable"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(str(error), where=str(default_home() / "config.toml"), hint="mend the file") from None


def default_home() -> Path:
    """``$IM_HOME``, else the XDG data folder of the user."""
    if home := os.environ.get("IM_HOME"):
        return Path(home).absolute()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "im"


class OcciSite(BaseModel):
    """One OCCI site: where it is, how to log in, and what it does in its own way. Secrets are never written here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str = Field(description="Where the site speaks OCCI; `/-/` below it is its discovery.")
    auth: Literal["password", "application-credential", "oidc", "x509", "basic", "token", "none"] = Field(
        default="password", description="How to log in; the first four at the Keystone that the site names."
    )
    auth_url: str = Field(default="", description="Keystone, where the site does not name it, or must not choose it.")
    username: str = Field(default="", description="User for `password` and `basic`.")
    user_domain: str = Field(default="Default", description="Domain of the user in Keystone.")
    project: str = Field(default="", description="Project (VO) to work in, by name or id.")
    project_domain: str = Field(default="Default", description="Domain of the project in Keystone.")
    credential: str = Field(default="", description="Id of the application credential.")
    secret_env: str = Field(default="", description="Environment variable with the password, secret or token.")
    secret_file: Path | None = Field(default=None, description="File with it instead; read again for a new one.")
    certificate: Path | None = Field(default=None, description="Client certificate or VOMS proxy (PEM).")
    key: Path | None = Field(default=None, description="Its private key, where it is not in the same file.")
    ca: Path | None = Field(default=None, description="Certificates that the site's own is checked against.")
    identity_provider: str = Field(default="egi.eu", description="Federation: the provider's id in Keystone.")
    protocol: str = Field(default="", description="Federation: `openid` for `oidc`, `mapped` for `x509` unless given.")
    federation_path: str = Field(
        default="/OS-FEDERATION/identity_providers/{identity_provider}/protocols/{protocol}/auth",
        description="Federation: where below Keystone's `/v3` the unscoped token is.",
    )
    federation_method: Literal["GET", "POST"] = Field(default="GET", description="Federation: how it is asked for.")
    dialect: Literal["auto", "standard", "ooi", "rocci-1", "rocci-2"] = Field(
        default="auto", description="The kind of server; `auto` finds out."
    )
    network: str = Field(
        default="", description="Network of the servers, by name or id, where the template names none."
    )
    make_networks: bool = Field(default=False, description="Make the template's private networks on the site.")
    parallel: int = Field(default=8, ge=1, le=64, description="Requests at once.")
    timeout: float = Field(default=120.0, gt=0, description="Seconds until a request is given up.")
    sizes: dict[str, tuple[int, float]] = Field(
        default_factory=dict, description="Cores and GiB of resource templates that do not tell: `small = [1, 2]`."
    )


class Settings(BaseSettings):
    """Everything that a user may set. Times are seconds; timeouts count from the last sign of progress."""

    model_config = SettingsConfigDict(env_prefix="IM_", extra="forbid")

    home: Path = Field(default_factory=default_home, description="Store, caches, keys and logs live here.")
    import_map: dict[str, Path] = Field(default_factory=dict, description="Template import prefix to folder.")
    import_hosts: list[str] = Field(
        default_factory=list, description="Hosts that imports and artifacts of templates are fetched from."
    )
    galaxy: str = Field(
        default="https://galaxy.ansible.com", description="Server that knows where roles of Ansible Galaxy are."
    )
    boot_timeout: float = Field(default=600.0, description="No change in any node for this long: give up waiting.")
    ssh_timeout: float = Field(default=300.0, description="A booted node must answer on SSH within this time.")
    absence_grace: float = Field(
        default=30.0,
        description="A node missing from the cloud's listings is believed gone this long after the last request.",
    )
    task_timeout: float = Field(default=900.0, description="A contextualization without any event for this long fails.")
    udocker_tools_url: str = Field(
        default="https://raw.githubusercontent.com/jorge-lip/udocker-builds/"
        "6c15741787b8f5591e0aa44d06aab67d9370a9ce/tarballs/udocker-englib-1.2.11.tar.gz",
        description="A tarball of udocker's own tools; they are built once if it is out of reach, or this is empty.",
    )
    udocker_tools_sha256: str = Field(
        default="sha256-oxiBkBq3X0iZzpg2VUXSN9aKDnb70xQUqTigcJ2Vcq8=",
        description="The SHA-256 that this tarball must have: of the file (64 hexadecimal digits), or `sha256-…` of"
        " what is in it, as Nix prints it.",
    )
    jump_hosts: dict[str, str] = Field(
        default_factory=dict, description="Cloud to `user@host[:port]` through which its front-ends are reached."
    )
    forks: int = Field(default=32, description="Nodes that Ansible works on at once.")
    local_subnets: str = Field(default="10.77.0.0/16", description="Provider local takes its /24 subnets from here.")
    local_mirror: str = Field(
        default="", description="APT source lines for provider local's base image; else the machine's own."
    )
    occi: dict[str, OcciSite] = Field(default_factory=dict, description="OCCI sites: cloud `occi:NAME`.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the file."""
        toml = TomlConfigSettingsSource(settings_cls, default_home() / "config.toml")
        return init_settings, env_settings, toml

    @property
    def cache(self) -> Path:
        """Things that can be made again: base images, wheels, tools."""
        return self.home / "cache"

    def infrastructure_folder(self, infrastructure: str) -> Path:
        """Keys, logs and job records of one infrastructure (folder mode 0700)."""
        return self.home / "infrastructures" / infrastructure
