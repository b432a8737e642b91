"""``im_client``: the command line face. One module per command; nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from gc import freeze, set_threshold

NEW_OBJECTS = 150_000
"""So many may come before garbage is looked for: imports make up to 120,000, none of it garbage, in 0.1 s less so."""


def main() -> None:
    """Run ``im_client`` and exit with its documented status."""
    set_threshold(NEW_OBJECTS)
    from im.cli.app import run

    status = run(sys.argv[1:])
    freeze()  # else the interpreter looks through everything once more before it ends, which takes 0.1 s
    sys.exit(status)
