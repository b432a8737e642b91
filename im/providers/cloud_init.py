"""What a server is told at its first boot, for every cloud whose images have cloud-init."""

from __future__ import annotations

import hashlib
import json
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

from im.errors import InputError
from im.plan.model import Identity

KINDS = {
    "#!": "x-shellscript",
    "#cloud-config": "cloud-config",
    "#cloud-boothook": "cloud-boothook",
    "#include": "x-include-url",
    "## template: jinja": "jinja2",
}
"""How a user's own user data may begin, and what MIME calls it."""


def user_data(identity: Identity, extra: str = "") -> str:
    """Return user data that lets ``identity`` in as root and gives the server its SSH host key.

    ``extra`` is the user's own: a script, a cloud-config or another form of :data:`KINDS`. It goes beside ours; of
    two cloud-configs that set the same key, ours wins. Raises :class:`im.errors.InputError` if it is none of these.
    """
    ours = f"#cloud-config\n{json.dumps(_config(identity), indent=1, ensure_ascii=False)}\n"
    if not extra.strip():
        return ours
    parts = MIMEMultipart(boundary=f"im-{hashlib.sha256((ours + extra).encode()).hexdigest()[:24]}")
    parts.attach(_part(extra, kind_of(extra)))
    parts.attach(_part(ours, KINDS["#cloud-config"]))
    return parts.as_string()


def kind_of(text: str) -> str:
    """Return the MIME subtype of user data, by its first line. Raises :class:`im.errors.InputError`."""
    for beginning, kind in KINDS.items():
        if text.startswith(beginning):
            return kind
    hint = f"its first line begins with {', '.join(KINDS)}"
    raise InputError("user data must say in its first line what it is", hint=hint)


def _config(identity: Identity) -> dict[str, object]:
    return {
        "disable_root": False,
        "ssh_pwauth": False,
        "ssh_authorized_keys": [*identity.authorized_keys],
        "ssh_deletekeys": True,
        "ssh_genkeytypes": [],
        "ssh_keys": {"ed25519_private": identity.host_key, "ed25519_public": identity.host_public_key},
    }


def _part(text: str, kind: str) -> MIMEText:
    part = MIMEText(text, kind, "us-ascii" if text.isascii() else "utf-8")
    part.add_header("Content-Disposition", "attachment", filename=f"{kind}.txt")
    return part
