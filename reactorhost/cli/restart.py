"""`reactorhost restart`.

Everything that can be checked is checked before the host is stopped, so that a mistake does not end the service.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.options import host_options, location_from
from reactorhost.cli.output import echo
from reactorhost.cli.start import start
from reactorhost.cli.stop import stop_and_wait
from reactorhost.config import plugin_tables
from reactorhost.config.resolve import is_setting, resolve
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.messages import Message

# With -P neither the directory of the host nor that of this command is on `sys.path`: a file `json.py` in it would be
# imported in place of the standard library's.
_PROGRAM = (sys.executable, "-P", "-m", "reactorhost")


@dataclass(frozen=True, slots=True)
class _Launch:
    """How the host was started; `before` are the words in front of the command `start`, `after` those behind it."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    directory: str
    environment: dict[str, str]
    prefix: str

    @classmethod
    def from_reply(cls, reply: Message) -> _Launch:
        """Return what the host replied.

        Raises:
            ReactorhostError: the reply is not that of a host that was started by `reactorhost start`.
        """
        arguments, environment = reply.get("arguments"), reply.get("environment")
        directory, prefix = reply.get("directory"), reply.get("prefix", sys.prefix)
        if not (isinstance(arguments, list) and "start" in arguments and isinstance(environment, dict)):
            raise _unusable()
        for text in (*arguments, *environment, *environment.values(), directory, prefix):
            # A NUL would end a text in the kernel, and `execve` refuses it: after the stop that would be too late.
            if not isinstance(text, str) or "\0" in text:
                raise _unusable()
        command = arguments.index("start")
        before, after = tuple(arguments[:command]), tuple(arguments[command + 1 :])
        return cls(before, after, str(directory), environment, str(prefix))


def _unusable() -> ReactorhostError:
    what = "the host does not report how it was started"
    return ReactorhostError(what, hint="use `reactorhost stop`, then `reactorhost start` with its arguments")


@click.command()
@host_options
def restart(**flags: Any) -> None:
    """Stop a host and start it with the same arguments, directory and environment.

    Settings and plugins are checked first, as by `check`; if they are wrong, the host keeps serving. A daemon starts as
    a daemon again. A host that ran in the foreground starts in the foreground of this terminal.
    """
    location = location_from(flags)
    reply = client.request(location, "launch")
    launch = _Launch.from_reply(reply)
    host = client.selected(location, reply.get("name")).host
    try:
        environment = _checked(launch)
    except (ReactorhostError, click.ClickException, click.exceptions.Exit):
        echo(f"{host} is not restarted and keeps serving", err=True)
        raise
    stop_and_wait(location, at_once=False)
    echo(f"{host} has stopped, starting it again")
    # `exec` drops what Python has buffered.
    sys.stdout.flush()
    os.execve(sys.executable, [*_PROGRAM, *launch.before, "start", *launch.after], environment)  # noqa: S606  no shell


def _checked(launch: _Launch) -> dict[str, str]:
    """Enter the directory of the host, check what would be started there, and return the environment for it.

    Raises:
        ReactorhostError: the start would fail.
        ClickException: the arguments are wrong.
        Exit: the check of the plugins failed, and has printed why.
    """
    if launch.prefix != sys.prefix:
        what = f"the host runs in the environment {launch.prefix}, this command in {sys.prefix}"
        hint = f"restart it with {launch.prefix}/bin/reactorhost, or use stop and start to change the environment"
        raise ReactorhostError(what, hint=hint)
    try:
        os.chdir(launch.directory)
    except OSError as error:
        what = f"cannot enter the directory of the host's start, {launch.directory}: {error.strerror}"
        raise ReactorhostError(what, hint="create it, or use stop and start with other paths") from None
    environment = _environment(launch)
    checked = subprocess.run(
        [*_PROGRAM, *launch.before, "check", *launch.after], stdout=subprocess.DEVNULL, env=environment, check=False
    )
    if checked.returncode != 0:
        raise click.exceptions.Exit(max(checked.returncode, 1))
    return environment


def _environment(launch: _Launch) -> dict[str, str]:
    """Return the variables of this process, but those that are settings as the host has them.

    Raises:
        ReactorhostError: a setting is wrong.
    """
    environment = {name: value for name, value in os.environ.items() if not is_setting(name)}
    environment |= {name: value for name, value in launch.environment.items() if is_setting(name)}
    # `start` prefers this name of its directory: one that leads through a link leads to another directory later.
    environment["PWD"] = launch.directory
    with start.make_context("start", list(launch.after)) as context:
        settings = resolve(context.params, environment, Path(launch.directory))
    # Only variables that the settings name: others could change what the interpreter does.
    named = plugin_tables.variables(settings.plugin_tables)
    return environment | {name: value for name, value in launch.environment.items() if name in named}
