"""Writes docs/cli.md from the commands' own help; a unit test fails when the file is out of date."""

from __future__ import annotations

from pathlib import Path

import click

from im.cli.app import EPILOG, cli

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"


def help_text(command: click.Command, path: str) -> str:
    """The help of one command as a fresh terminal of 100 columns shows it."""
    context = click.Context(command, info_name=path, terminal_width=100, help_option_names=["-h", "--help"])
    return command.get_help(context)


def sections(group: click.Group, path: str) -> list[str]:
    """One section per command, in the order of the help, sub-commands after their group."""
    found = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        title = f"{path} {name}"
        found.append(f"## {title}\n\n```text\n{help_text(command, title)}\n```\n")
        if isinstance(command, click.Group):
            found += [section.replace("## ", "### ", 1) for section in sections(command, title)]
    return found


def document() -> str:
    """The whole page."""
    notes = EPILOG.replace("\b\n", "").strip()
    head = f"# Command line reference\n\nMade from `--help` by `make docs`; do not edit.\n\n```text\n{notes}\n```\n"
    return "\n".join([head, *sections(cli, "im_client")])


if __name__ == "__main__":
    TARGET.write_text(document())
