from __future__ import annotations

import platform

import click

from im import __version__
from im.cli.common import json_option, print_json


@click.command("version")
@json_option
def command(as_json: bool) -> None:
    """Print the version of im and of its Python.

    \b
    Example:
      im_client version
    """
    if as_json:
        print_json({"im": __version__, "python": platform.python_version()})
    else:
        click.echo(f"im {__version__} (Python {platform.python_version()})")
