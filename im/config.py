"""Settings: environment variables ``IM_*`` over ``$IM_HOME/config.toml`` over the defaults below."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields

from im.errors import InputError

Login = Literal["password", "application-credential", "oidc", "x509", "basic", "token", "none"]
T = TypeVar("T")


def load_settings() -> Settings:
    """Read the settings of this user. Raises :class:`im.errors.InputError` naming each bad one."""
    file = default_home() / "config.toml"
    try:
        said = tomllib.loads(file.read_bytes().decode()) if file.is_file() else {}
    except tomllib.TOMLDecodeError as error:
        raise InputError(str(error), where=str(file), hint="mend the file") from None
    said = _merged({name.lower(): value for name, value in said.items()}, _environment())
    try:
        return _convert(said, Settings)
    except msgspec.ValidationError:
        wrong = "; ".join(_faults(said, Settings))
        raise InputError(wrong, where="settings", hint=f"{file} or an IM_* variable") from None


def default_home() -> Path:
    """``$IM_HOME``, else the XDG data folder of the user."""
    if home := os.environ.get("IM_HOME"):
        return Path(home).absolute()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "im"


class OcciSite(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One OCCI site: where it is, how to log in, and what it does in its own way. Secrets are never written here."""

    endpoint: Annotated[str, Meta(description="Where the site speaks OCCI; `/-/` below it is its discovery.")]
    auth: Annotated[Login, Meta(description="How to log in; the first four at the Keystone that the site names.")] = (
        "password"
    )
    auth_url: Annotated[str, Meta(description="Keystone, where the site does not name it, or must not choose it.")] = ""
    username: Annotated[str, Meta(description="User for `password` and `basic`.")] = ""
    user_domain: Annotated[str, Meta(description="Domain of the user in Keystone.")] = "Default"
    project: Annotated[str, Meta(description="Project (VO) to work in, by name or id.")] = ""
    project_domain: Annotated[str, Meta(description="Domain of the project in Keystone.")] = "Default"
    credential: Annotated[str, Meta(description="Id of the application credential.")] = ""
    secret_env: Annotated[str, Meta(description="Environment variable with the password, secret or token.")] = ""
    secret_file: Annotated[Path | None, Meta(description="File with it instead; read again for a new one.")] = None
    certificate: Annotated[Path | None, Meta(description="Client certificate or VOMS proxy (PEM).")] = None
    key: Annotated[Path | None, Meta(description="Its private key, where it is not in the same file.")] = None
    ca: Annotated[Path | None, Meta(description="Certificates that the site's own is checked against.")] = None
    identity_provider: Annotated[str, Meta(description="Federation: the provider's id in Keystone.")] = "egi.eu"
    protocol: Annotated[str, Meta(description="Federation: `openid` for `oidc`, `mapped` for `x509` unless given.")] = (
        ""
    )
    federation_path: Annotated[
        str, Meta(description="Federation: where below Keystone's `/v3` the unscoped token is.")
    ] = "/OS-FEDERATION/identity_providers/{identity_provider}/protocols/{protocol}/auth"
    federation_method: Annotated[Literal["GET", "POST"], Meta(description="Federation: how it is asked for.")] = "GET"
    dialect: Annotated[
        Literal["auto", "standard", "ooi", "rocci-1", "rocci-2"],
        Meta(description="The kind of server; `auto` finds out."),
    ] = "auto"
    network: Annotated[
        str, Meta(description="Network of the servers, by name or id, where the template names none.")
    ] = ""
    make_networks: Annotated[bool, Meta(description="Make the template's private networks on the site.")] = False
    parallel: Annotated[int, Meta(ge=1, le=64, description="Requests at once.")] = 8
    timeout: Annotated[float, Meta(gt=0, description="Seconds until a request is given up.")] = 120.0
    sizes: Annotated[
        dict[str, tuple[int, float]],
        Meta(description="Cores and GiB of resource templates that do not tell: `small = [1, 2]`."),
    ] = {}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a user may set. Times are seconds; timeouts count from the last sign of progress."""

    home: Annotated[Path, Meta(description="Store, caches, keys and logs live here.")] = msgspec.field(
        default_factory=default_home
    )
    import_map: Annotated[dict[str, Path], Meta(description="Template import prefix to folder.")] = {}
    import_hosts: Annotated[
        list[str], Meta(description="Hosts that imports and artifacts of templates are fetched from.")
    ] = []
    galaxy: Annotated[str, Meta(description="Server that knows where roles of Ansible Galaxy are.")] = (
        "https://galaxy.ansible.com"
    )
    boot_timeout: Annotated[float, Meta(description="No change in any node for this long: give up waiting.")] = 600.0
    ssh_timeout: Annotated[float, Meta(description="A booted node must answer on SSH within this time.")] = 300.0
    absence_grace: Annotated[
        float,
        Meta(description="A node missing from the cloud's listings is believed gone this long after the last request."),
    ] = 30.0
    task_timeout: Annotated[float, Meta(description="A contextualization without any event for this long fails.")] = (
        900.0
    )
    udocker_tools_url: Annotated[
        str,
        Meta(
            description="A tarball of udocker's own tools; they are built once if it is out of reach, or this is empty."
        ),
    ] = (
        "https://raw.githubusercontent.com/jorge-lip/udocker-builds/"
        "6c15741787b8f5591e0aa44d06aab67d9370a9ce/tarballs/udocker-englib-1.2.11.tar.gz"
    )
    udocker_tools_sha256: Annotated[
        str,
        Meta(
            description="The SHA-256 that this tarball must have: of the file (64 hexadecimal digits), or `sha256-…` of"
            " what is in it, as Nix prints it."
        ),
    ] = "sha256-oxiBkBq3X0iZzpg2VUXSN9aKDnb70xQUqTigcJ2Vcq8="
    jump_hosts: Annotated[
        dict[str, str], Meta(description="Cloud to `user@host[:port]` through which its front-ends are reached.")
    ] = {}
    forks: Annotated[int, Meta(description="Nodes that Ansible works on at once.")] = 32
    local_subnets: Annotated[str, Meta(description="Provider local takes its /24 subnets from here.")] = "10.77.0.0/16"
    local_mirror: Annotated[
        str, Meta(description="APT source lines for provider local's base image; else the machine's own.")
    ] = ""
    occi: Annotated[dict[str, OcciSite], Meta(description="OCCI sites: cloud `occi:NAME`.")] = {}

    @property
    def cache(self) -> Path:
        """Things that can be made again: base images, wheels, tools."""
        return self.home / "cache"

    def infrastructure_folder(self, infrastructure: str) -> Path:
        """Keys, logs and job records of one infrastructure (folder mode 0700)."""
        return self.home / "infrastructures" / infrastructure


def _environment() -> dict[str, Any]:
    """Return the settings that variables ``IM_*`` give, in capitals or not; an empty home is none."""
    given = {name.lower(): text for name, text in os.environ.items() if text or name.lower() != "im_home"}
    return {
        field.name: _value(given[f"im_{field.name}"], field.type)
        for field in fields(Settings)
        if f"im_{field.name}" in given
    }


def _value(text: str, kind: Any) -> Any:  # noqa: ANN401 - a type; whatever JSON says
    """Return what a variable says: JSON where a list or a table is wanted. Text that is no JSON stays what it is."""
    try:
        return msgspec.json.decode(text) if get_origin(_bare(kind)) else text
    except msgspec.DecodeError:
        return text


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return two tables as one, and so the tables in them; else ``above`` wins."""
    return below | {
        name: _merged(below[name], value) if isinstance(value, dict) and isinstance(below.get(name), dict) else value
        for name, value in above.items()
    }


def _faults(said: object, kind: Any, *place: str) -> Iterator[str]:  # noqa: ANN401 - a type
    """Yield what is wrong in ``said``, and where. The values are never repeated: a secret may stand there."""
    bare = _bare(kind)
    if isinstance(said, dict) and isinstance(bare, type) and issubclass(bare, Struct):
        known = {field.name: field for field in fields(bare)}
        for name in dict.fromkeys((*known, *said)):
            if name not in known:
                yield f"{'.'.join((*place, name))}: there is no such setting"
            elif name in said:
                yield from _faults(said[name], known[name].type, *place, name)
            elif known[name].required:
                yield f"{'.'.join((*place, name))}: is missing"
    elif isinstance(said, dict) and get_origin(bare) is dict:
        for name, value in said.items():
            yield from _faults(value, get_args(bare)[1], *place, name)
    else:
        try:
            _convert(said, kind)
        except msgspec.ValidationError as error:
            wanted = f"Expected one of {', '.join(get_args(bare))}" if get_origin(bare) is Literal else error
            yield f"{'.'.join(place)}: {wanted}"


def _bare(kind: Any) -> Any:  # noqa: ANN401 - a type
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _convert(said: object, kind: type[T]) -> T:
    """Return ``said`` as a ``kind``; numbers and truth may be text. Raises :class:`msgspec.ValidationError`."""
    return msgspec.convert(said, kind, strict=False, dec_hook=lambda custom, value: custom(value))
