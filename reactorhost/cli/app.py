"""The command line: commands are imported on demand, and every failure ends with its exit status."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import signal
import sys
from typing import NoReturn

import click

from reactorhost import __version__
from reactorhost.cli.command_table import COMMANDS, SECTIONS
from reactorhost.cli.documents.json_output import print_error, wants_json
from reactorhost.cli.failures import from_click, show_failure
from reactorhost.cli.manual.help_pages import GroupWithHelp
from reactorhost.cli.output import echo, fail
from reactorhost.cli.parameters.common_options import SELECTING, common_options, selecting_options
from reactorhost.errors import ReactorhostError, UsageError, did_you_mean
from reactorhost.system.handover import is_resumed

_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not is_resumed(os.environ):
        _reset_inherited_signals()
    # Modules live until exit: frozen, they are not scanned again by the collection that runs at interpreter shutdown.
    gc.freeze()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # In a locale without these characters, print `?` instead: a host must not fail because of its banner.
        sys.stdout.reconfigure(errors="replace")
    try:
        status = _run(arguments)
        # Flush here: an error at interpreter shutdown could not be reported with an exit status of our own.
        if sys.stdout is not None:
            sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # The reader, `head` for instance, has closed the pipe. Without this, Python would flush again at exit and print
        # an error of its own.
        sys.stdout = None
        sys.exit(1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            raise
        sys.stdout = None
        fail([f"cannot write the output: {error.strerror}"])
        sys.exit(1)
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    """Run a command and report its failure; return the exit status."""
    try:
        result = reactorhost.main(arguments, prog_name="reactorhost", standalone_mode=False)
    except click.ClickException as error:
        failure = from_click(error)
    except ReactorhostError as error:
        failure = error
    else:
        return result if isinstance(result, int) else 0
    show_failure(failure, "--traceback" in arguments)
    if wants_json(arguments):
        print_error(failure)
    return failure.exit_status


def _reset_inherited_signals() -> None:
    """Restore what a parent may have changed and every command needs: ends of children, and signals that arrive.

    Both states survive `exec`, and some supervisors and shells leave them behind.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


class LazyGroup(GroupWithHelp):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the built-in commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a built-in command, or else the commands of a plugin."""
        if cmd_name not in COMMANDS:
            if ctx.resilient_parsing:
                # Shell completion never imports a plugin, so it completes none of its commands.
                return click.Group(cmd_name)
            from reactorhost.cli.commands.plugin_commands import plugin_group

            return plugin_group(cmd_name)
        module, _ = COMMANDS[cmd_name]
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"reactorhost.cli.commands.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; for an unknown name, suggest the nearest one."""
        name = args[0]
        if not ctx.resilient_parsing and name not in COMMANDS and not name.startswith("-"):
            from reactorhost.cli.commands.plugin_commands import may_name_plugin, plugin_names

            if not may_name_plugin(name):
                hint = did_you_mean(name, {*COMMANDS, *plugin_names()})
                raise UsageError(f"there is no command {name!r}", hint=hint or "see `reactorhost --help`")
        found = super().resolve_command(ctx, args)
        _check_selects(ctx, name, found[1])
        return found

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        widest = max(map(len, COMMANDS))
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(f"{name:{widest}}", text) for name, (_, text) in commands.items()])


def _check_selects(context: click.Context, name: str, command: click.Command | None) -> None:
    """Refuse to select a host for a command that is not about one.

    Raises:
        UsageError: `--name` or `--run-dir` stands before such a command.
    """
    commands = command.commands.values() if isinstance(command, click.Group) else (command,)
    known = {each.name for found in commands if found is not None and name in COMMANDS for each in found.params}
    for option in SELECTING:
        if context.params.get(option) is not None and option not in known and not context.resilient_parsing:
            what = f"{name} is not about one host, so --{option.replace('_', '-')} has no meaning"
            raise UsageError(what, hint=f"see `reactorhost {name} --help`")


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="reactorhost", message="%(prog)s %(version)s")
@common_options
@selecting_options
@click.pass_context
def reactorhost(context: click.Context, /, **selecting: str | None) -> None:
    """Host any TCP protocol: a master process forks workers, plugins handle the connections.

    Plugins may add commands of their own: reactorhost PLUGIN --help

    \b
    Try it:  reactorhost start echo
             nc 127.0.0.1 9000
    """  # noqa: D301  click reads the character \b
    if context.invoked_subcommand is None:
        echo(context.get_help())
