"""The command line's frame: commands imported when they are called, failures in one sentence, true exit statuses."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import click

from reactorhost import __version__
from reactorhost.errors import ReactorhostError, did_you_mean

_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command lives, and what `--help` says of it without importing it."""

    home: str
    help: str


COMMANDS: Mapping[str, LazyCommand] = {
    "start": LazyCommand("reactorhost.cli.start:start", "Start a host and serve."),
    "stop": LazyCommand("reactorhost.cli.stop:stop", "Stop a host, and wait for its end."),
    "restart": LazyCommand("reactorhost.cli.stop:restart", "Stop a host, and start it with the same settings."),
    "reload": LazyCommand("reactorhost.cli.running:reload", "Replace every worker; new plugin code, nothing lost."),
    "scale": LazyCommand("reactorhost.cli.running:scale", "Change the number of workers."),
    "status": LazyCommand("reactorhost.cli.status:status", "Show master and workers."),
    "top": LazyCommand("reactorhost.cli.top:top", "Watch master and workers, moving."),
    "connections": LazyCommand("reactorhost.cli.connections:connections", "Show every client."),
    "plugins": LazyCommand("reactorhost.cli.plugins:plugins", "Show the plugins that are installed."),
    "check": LazyCommand("reactorhost.cli.check:check", "Check settings and plugins as start would."),
    "config": LazyCommand("reactorhost.cli.check:config", "Show every setting and where it came from."),
    "reopen": LazyCommand("reactorhost.cli.running:reopen", "Open the log files again, after a rotation."),
    "completion": LazyCommand("reactorhost.cli.completion:completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, of the host's own or else of a plugin."""
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return _of_plugin(ctx, cmd_name)
        module, _, name = lazy.home.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or say which one was meant."""
        name = args[0]
        if not ctx.resilient_parsing and name not in COMMANDS and not name.startswith("-"):
            from reactorhost.cli.plugin_commands import may_bring_commands, plugin_names

            if not may_bring_commands(name):
                hint = did_you_mean(name, {*COMMANDS, *plugin_names()})
                ctx.fail(f"No such command {name!r}." + (f" {hint[0].upper()}{hint[1:]}" if hint else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])


def _of_plugin(context: click.Context, named: str) -> click.Group:
    if context.resilient_parsing:
        # Completion imports no plugin, and knows no command of one.
        return click.Group(named)

    from reactorhost.cli.plugin_commands import plugin_group

    return plugin_group(named)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="reactorhost", message="%(prog)s %(version)s")
@click.option("--traceback", is_flag=True, expose_value=False, help="Show the traceback of a failure.")
@click.pass_context
def reactorhost(context: click.Context) -> None:
    """Host any TCP protocol: a master forks workers, plugins handle the bytes.

    Plugins may bring commands of their own: reactorhost PLUGIN --help

    \b
    Try it:  reactorhost start --plugin echo
             nc 127.0.0.1 9000
    """  # noqa: D301  click reads the character \b
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # What is imported by now stays to the end; the collection at exit would look at all of it once more.
    gc.freeze()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of few letters gets a question mark for the others: no host may end because of its banner.
        sys.stdout.reconfigure(errors="replace")
    try:
        result = reactorhost.main(arguments, prog_name="reactorhost", standalone_mode=False)
        # Here and not at exit, where Python could only complain.
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    except ReactorhostError as error:
        show_failure(error, "--traceback" in arguments)
        sys.exit(error.exit_status)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more when it flushes at exit.
        sys.stdout = None
        sys.exit(1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            raise
        sys.stdout = None
        click.echo(f"reactorhost: cannot write the output: {error.strerror}", err=True)
        sys.exit(1)
    sys.exit(result if isinstance(result, int) else 0)


def show_failure(error: ReactorhostError, traceback: bool) -> None:
    """Tell an operator of a failure: the details first, so that the sentence is the last thing on the screen."""
    if error.details and (traceback or error.shows_details):
        click.echo(error.details.rstrip(), err=True)
    if traceback and not error.details:
        import traceback as traces

        click.echo("".join(traces.format_exception(error)).rstrip(), err=True)
    first, *rest = error.lines()
    click.echo(f"reactorhost: {first}", err=True)
    for line in rest:
        click.echo(line, err=True)


def traceback_option(command: Any) -> Any:
    """Let `--traceback` stand after the command's name too."""
    return click.option("--traceback", is_flag=True, expose_value=False, help="Show the traceback of a failure.")(
        command
    )
