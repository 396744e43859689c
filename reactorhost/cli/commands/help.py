"""`reactorhost help`."""

from __future__ import annotations

import json

import click

from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import echo
from reactorhost.cli.parameters.common_options import common_options
from reactorhost.cli.parameters.completers import complete_commands
from reactorhost.errors import UsageError


@click.command(cls=HostCommand)
@click.argument("words", metavar="[COMMAND]...", nargs=-1, shell_complete=complete_commands)
@click.option("--man", is_flag=True, help="Print the manual page, in roff.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of what a command prints with --json.")
@common_options
@click.pass_context
def help(context: click.Context, /, words: tuple[str, ...], man: bool, schema: bool) -> None:  # noqa: A001  the command's name
    """Print the help of the program, or that of a command: of the host, or of a plugin."""
    if man:
        from reactorhost.cli.manual.manual_page import manual_page

        echo(manual_page(context.find_root()).removesuffix("\n"))
        return
    if schema:
        echo(_schema(" ".join(words)))
        return
    page = context.find_root()
    for word in words:
        if not isinstance(page.command, click.Group):
            raise UsageError(f"{page.info_name} has no commands", hint=f"see `{page.command_path} --help`")
        name, command, _ = page.command.resolve_command(page, [word])
        assert command is not None
        page = click.Context(command, info_name=name, parent=page)
    echo(page.get_help())


def _schema(command: str) -> str:
    """Return the schema of what a command prints, or of a failure.

    Raises:
        UsageError: it prints no JSON.
    """
    from reactorhost.cli.documents.results import RESULTS, FailureResult
    from reactorhost.cli.documents.schema import schema_of

    if command not in RESULTS:
        what = f"{command} prints no JSON" if command else "--schema needs a command"
        raise UsageError(what, hint=f"it is one of {', '.join(sorted(RESULTS))}")
    kinds = (*RESULTS[command], FailureResult)
    return json.dumps(schema_of(kinds, f"reactorhost {command} --json"), indent=2)
