"""Random words that stay: IM's ``random(N)`` as the default of an input, a password say.

The same input of the same template gets the same word at every reading, so that a second ``deploy`` changes nothing;
nobody can guess it without the secret in the user's own folder.
"""

from __future__ import annotations

import hmac
import os
import secrets
import string
from pathlib import Path
from typing import Final

from im.topology.inputs import Chance

LETTERS: Final = string.ascii_letters + string.digits


def chance_of(home: Path | None, template: str) -> Chance:
    """Return the words of ``template``; without a folder for the secret they are new at every reading."""

    def word(name: str, length: int) -> str:
        secret = _secret(home) if home is not None else secrets.token_bytes(32)
        stream = b"".join(
            hmac.digest(secret, f"{template}\0{name}\0{block}".encode(), "sha256") for block in range(length // 32 + 1)
        )
        return "".join(LETTERS[octet % len(LETTERS)] for octet in stream[:length])

    return word


def _secret(home: Path) -> bytes:
    """Return the secret of this user, made at the first need."""
    path = home / "templates" / "secret"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".secret-{os.getpid()}-{secrets.token_hex(4)}")
    new.touch(mode=0o600)
    new.write_bytes(secrets.token_bytes(32))
    try:
        path.hardlink_to(new)
    except FileExistsError:
        pass
    finally:
        new.unlink()
    return path.read_bytes()
