"""`reactorhost completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.parameters.common_options import common_options


@click.command(cls=HostCommand)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@common_options
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script with which a shell completes commands, options, and names of plugins and hosts.

    SHELL is bash, zsh or fish.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "reactorhost", "_REACTORHOST_COMPLETE")
    # Not source(): for bash it runs bash to find its version, and bash may be missing on the machine that generates.
    click.echo(script.source_template % script.source_vars())  # noqa: TID251  a program, with tabs
