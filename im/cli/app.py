"""The command group, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from im.errors import ImError, TemplateError

COMMANDS = (
    "deploy", "validate", "template", "plan", "list", "show", "inventory", "scale", "stop", "start", "restart", "ssh",
    "ssh-config", "exec", "put", "get", "mpi", "shell", "image", "batch", "sweep", "logs", "events", "why", "delete",
    "gc", "providers", "version",
)  # fmt: skip

EPILOG = """\b
Exit codes: 0 done, 1 failed, 2 bad input or usage, 130 interrupted.
`mpi run` and `exec` return the program's own code; 125 (mpi run) where im itself failed.

\b
IM_HOME is where the store, keys, logs and caches are (default ~/.local/share/im).
Shell completion: eval "$(_IM_CLIENT_COMPLETE=bash_source im_client)"

\b
Example:
  im_client deploy tosca_templates/mpi_cluster.yaml --name lab
  im_client mpi run lab -n 4 --image mpi.tar -- mpi_hello
"""


class LazyGroup(click.Group):
    """Finds ``im.cli.NAME`` (dashes as underscores) when a command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command's module; None where there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"im.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Private sub-clusters on demand: a TOSCA template in, a cluster that runs containerised MPI jobs out."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return the exit status; every error is a message on stderr, never a traceback."""
    try:
        result = cli.main(args=list(arguments), prog_name="im_client", standalone_mode=False)
    except ImError as error:
        return report(error)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted: nothing is lost, the same command continues", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001 - the outermost edge: a person must never meet a bare traceback
        return report_bug(error)
    return result if isinstance(result, int) else 0


def report(error: ImError) -> int:
    """Print an expected error: what happened, where, what to do next."""
    if isinstance(error, TemplateError):
        for finding in error.findings:
            click.echo(str(finding), err=True)
    else:
        where = f"{error.where}: " if error.where else ""
        click.echo(f"error {error.code}: {where}{error.message}", err=True)
    if error.hint:
        click.echo(f"  next: {error.hint}", err=True)
    return error.exit_status


def report_bug(error: Exception) -> int:
    """Keep the traceback of an unexpected error in a file and tell the person where it is."""
    import traceback

    from im.config import default_home
    from im.events import now

    folder = default_home() / "logs"
    path = folder / f"crash-{now():%Y%m%dT%H%M%S}.log"
    text = "".join(traceback.format_exception(error))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        kept = f"details are in {path}"
    except OSError:
        kept = "details could not be written"
    click.echo(f"error internal: {type(error).__name__}: {error}; {kept}", err=True)
    click.echo(
        "  next: run the same command again (it continues); if it happens again, report it with that file",
        err=True,
    )
    return 1
