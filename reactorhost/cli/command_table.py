"""The built-in commands: the module of each, which is imported when it is called, and its line in `--help`."""

from __future__ import annotations

from collections.abc import Mapping

COMMANDS: Mapping[str, tuple[str, str]] = {
    "start": ("start", "Start a host."),
    "stop": ("stop", "Stop a host and wait until it has ended."),
    "restart": ("restart", "Stop a host and start it with the same settings."),
    "reload": ("running", "Replace all workers, without losing a connection."),
    "upgrade": ("running", "Replace the master too, by the installation of this command."),
    "scale": ("running", "Change the number of workers."),
    "ls": ("ls", "List the running hosts."),
    "logs": ("logs", "Print the log of a host."),
    "status": ("status", "Show the master and the workers."),
    "health": ("health", "Check whether a host is alive and ready, for probes."),
    "top": ("top", "Show a live view of the master and the workers."),
    "connections": ("status", "List the client connections."),
    "plugins": ("plugins", "List the installed plugins, or describe one."),
    "check": ("check", "Check settings and plugins without starting a host."),
    "config": ("config", "Show every setting and where it comes from."),
    "reopen": ("running", "Reopen the log files after a rotation."),
    "systemd-unit": ("systemd_unit", "Print a unit with which systemd runs a host."),
    "completion": ("completion", "Print a shell's completion script."),
}
