"""The built-in commands: where each is defined, and its line in `--help`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command that is imported when it is called.

    Attributes:
        target: `module:object`.
        help: what `reactorhost --help` prints beside the name.
    """

    target: str
    help: str


COMMANDS: Mapping[str, LazyCommand] = {
    "start": LazyCommand("reactorhost.cli.start:start", "Start a host."),
    "stop": LazyCommand("reactorhost.cli.stop:stop", "Stop a host and wait until it has ended."),
    "restart": LazyCommand("reactorhost.cli.stop:restart", "Stop a host and start it with the same settings."),
    "reload": LazyCommand("reactorhost.cli.running:reload", "Replace all workers, without losing a connection."),
    "scale": LazyCommand("reactorhost.cli.running:scale", "Change the number of workers."),
    "status": LazyCommand("reactorhost.cli.status:status", "Show the master and the workers."),
    "top": LazyCommand("reactorhost.cli.top:top", "Show a live view of the master and the workers."),
    "connections": LazyCommand("reactorhost.cli.connections:connections", "List the client connections."),
    "plugins": LazyCommand("reactorhost.cli.plugins:plugins", "List the installed plugins, or describe one."),
    "check": LazyCommand("reactorhost.cli.check:check", "Check settings and plugins without starting a host."),
    "config": LazyCommand("reactorhost.cli.check:config", "Show every setting and where it comes from."),
    "reopen": LazyCommand("reactorhost.cli.running:reopen", "Reopen the log files after a rotation."),
    "completion": LazyCommand("reactorhost.cli.completion:completion", "Print a shell's completion script."),
}
