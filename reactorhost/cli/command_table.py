"""The built-in commands: the module of each, which is imported when it is called, and its line in `--help`."""

from __future__ import annotations

from collections.abc import Mapping

SECTIONS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Run a host": {
        "start": ("start", "Start a host."),
        "stop": ("stop", "Stop a host and wait until it has ended."),
        "restart": ("restart", "Stop a host and start it with the same settings."),
        "reload": ("running", "Replace all workers, without losing a connection."),
        "upgrade": ("running", "Replace the master too, by the installation of this command."),
        "scale": ("running", "Change the number of workers."),
        "disconnect": ("connections", "Close the connection of one client."),
        "reopen": ("running", "Reopen the log files after a rotation."),
    },
    "Look at hosts": {
        "ls": ("ls", "List the running hosts."),
        "status": ("status", "Show the master and the workers."),
        "top": ("top", "Show a live view of the master and the workers."),
        "connections": ("connections", "List the client connections."),
        "logs": ("logs", "Print the log of a host."),
        "health": ("health", "Check whether a host is alive and ready, for probes."),
    },
    "Prepare a start": {
        "new": ("new", "Make the package of a new plugin."),
        "plugins": ("plugins", "List the installed plugins, or describe one."),
        "check": ("check", "Check settings and plugins without starting a host."),
        "config": ("config", "Show every setting and where it comes from."),
        "systemd-unit": ("systemd_unit", "Print a unit with which systemd runs a host."),
    },
    "About this program": {
        "help": ("help", "Print the help of a command, or the manual page."),
        "version": ("version", "Print the version, and those of the installed plugins."),
        "completion": ("completion", "Print a shell's completion script."),
    },
}
"""The commands as `--help` lists them."""
COMMANDS: Mapping[str, tuple[str, str]] = {
    name: row for commands in SECTIONS.values() for name, row in commands.items()
}
