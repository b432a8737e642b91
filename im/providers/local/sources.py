"""Where packages come from: this machine's own APT sources and settings, cut down to what a Debian node can use.

Only entries of this machine's release of Debian (with its updates and security) are taken, and their suites renamed to
the release of the node; third-party sources are left out. Both formats are read, deb822 is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from im.errors import ProviderError
from im.providers.local.commands import run

Stanza = Mapping[str, str]

_SUFFIXES = ("", "-updates", "-security", "/updates")
_KEPT_FIELDS = ("Types", "URIs", "Suites", "Components", "Signed-By", "Trusted", "Check-Valid-Until")
_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)")
_SETTING = re.compile(r'Acquire::(?!IndexTargets|Changelogs|CompressionTypes|cdrom)\S+ ".+";')


def machine_sources(release: str, etc: Path = Path("/etc")) -> str:
    """Return this machine's Debian sources for a release, as deb822. Raises :class:`im.errors.ProviderError`."""
    own = _codename(etc)
    stanzas = [found for stanza in _machine_stanzas(etc) for found in _for_release(stanza, own, release) if own]
    if not stanzas:
        raise ProviderError(
            "this machine has no APT sources of Debian to make a base image from",
            where="local",
            hint="set IM_LOCAL_MIRROR to APT source lines for Debian bookworm",
        )
    return _text(stanzas)


def given_sources(text: str) -> str:
    """Return sources that the user gave, as deb822."""
    stanzas = list(_parse(text))
    if not stanzas:
        raise ProviderError(f"no APT source in {text!r}", where="IM_LOCAL_MIRROR", hint="write: deb URI SUITE main")
    return _text(stanzas)


def apt_settings() -> str:
    """Return what APT was told on this machine about fetching: proxies, validity dates, retries."""
    lines = run(["apt-config", "dump"], check=False).stdout.splitlines()
    return "".join(f"{line}\n" for line in lines if _SETTING.fullmatch(line))


def _codename(etc: Path) -> str:
    match = re.search(r"^VERSION_CODENAME=(\w+)", (etc / "os-release").read_text(), re.MULTILINE)
    return match[1] if match else ""


def _machine_stanzas(etc: Path) -> Iterator[Stanza]:
    apt = etc / "apt"
    files = [
        apt / "sources.list",
        *sorted(apt.glob("sources.list.d/*.list")),
        *sorted(apt.glob("sources.list.d/*.sources")),
    ]
    for file in files:
        if file.exists():
            yield from _parse(file.read_text())


def _parse(text: str) -> Iterator[Stanza]:
    """Give the entries of a sources file of either format."""
    if re.search(r"^Types:", text, re.MULTILINE | re.IGNORECASE):
        yield from filter(None, map(_stanza, re.split(r"\n\s*\n", text)))
        return
    for line in text.splitlines():
        if match := _LINE.fullmatch(line.split("#")[0].strip()):
            yield _from_line(match)


def _stanza(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0].isspace():
            fields[name] += f"\n{line}"
            continue
        name, _, value = line.partition(":")
        fields[name] = value.strip()
    return {} if fields.get("Enabled", "yes").lower() == "no" else fields


def _from_line(match: re.Match[str]) -> dict[str, str]:
    names = {"signed-by": "Signed-By", "trusted": "Trusted", "check-valid-until": "Check-Valid-Until"}
    options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
    fields = {"Types": "deb", "URIs": match["uri"], "Suites": match["suite"], "Components": match["components"]}
    return fields | {names[name]: value for name, value in options.items() if name in names}


def _for_release(stanza: Stanza, own: str, release: str) -> Iterator[Stanza]:
    """Give the entry with those of its suites that belong to Debian itself, renamed; or nothing."""
    known = {f"{own}{suffix}": f"{release}{suffix}" for suffix in _SUFFIXES}
    suites = [known[suite] for suite in stanza.get("Suites", "").split() if suite in known]
    uris = [found for uri in stanza.get("URIs", "").split() for found in _mirrors(uri)]
    official = "main" in stanza.get("Components", "").split() and "deb" in stanza.get("Types", "").split()
    if suites and uris and official:
        yield {**stanza, "Types": "deb", "URIs": " ".join(uris), "Suites": " ".join(suites), "Components": "main"}


def _mirrors(uri: str) -> Sequence[str]:
    """Return what a node can use of an URI: itself, or the first of a list of mirrors in a file of this machine."""
    if uri.startswith(("http:", "https:")):
        return (uri,)
    if uri.startswith("mirror+file:"):
        lines = Path(urlsplit(uri.removeprefix("mirror+")).path).read_text().split("\n")
        return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")][:1]
    return ()


def _text(stanzas: Sequence[Stanza]) -> str:
    """Write entries; a key file that the node will not have is left out: its own Debian keys remain."""
    return "\n".join(
        "".join(f"{name}: {stanza[name]}\n" for name in _KEPT_FIELDS if name in stanza and _usable(name, stanza[name]))
        for stanza in stanzas
    )


def _usable(name: str, value: str) -> bool:
    return name != "Signed-By" or not value.startswith("/") or "/debian-archive-" in value
