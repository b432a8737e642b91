"""``im_client``: the command line face. One module per command; nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``im_client`` and exit with its documented status."""
    from im.cli.app import run

    sys.exit(run(sys.argv[1:]))
