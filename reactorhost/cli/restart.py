"""`reactorhost restart`.

Everything that can be checked is checked before the host is stopped, so that a mistake does not end the service.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reactorhost.address import parse
from reactorhost.cli import client
from reactorhost.cli.documents import json_option
from reactorhost.cli.options import host_options, location_from
from reactorhost.cli.output import echo
from reactorhost.cli.start import start
from reactorhost.cli.stop import stop_and_wait
from reactorhost.config import plugin_tables
from reactorhost.config.resolve import is_setting, resolve
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.messages import Message
from reactorhost.master.listen import bind, unix_socket_files

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
@json_option("Print the status document of the new start.")
@host_options
def restart(as_json: bool, **flags: Any) -> None:
    """Stop a host and start it with the same arguments and variables, in the same directory.

    Settings and plugins are checked first, as by `check`; if they are wrong, the host keeps serving. A daemon starts as
    a daemon again. A host that ran in the foreground starts in the foreground of this terminal.
    """
    location = location_from(flags)
    json = ("--json",) if as_json else ()
    reply = client.request(location, "launch")
    launch = _Launch.from_reply(reply)
    host = client.selected(location, reply.get("name")).host
    document = client.request(location, "status")["document"]
    served = [address for service in document["services"] for address in service["addresses"]]
    try:
        environment = _checked(launch, [*served, *document.get("admin", ())], json)
    except (ReactorhostError, click.ClickException, click.exceptions.Exit):
        echo(f"{host} is not restarted and keeps serving", err=True)
        raise
    with client.continuing(location, "to stop, and will not be started again", _by_hand(launch)):
        stop_and_wait(location, at_once=False, shown=not as_json)
    echo(f"{host} has stopped, starting it again", err=as_json)
    # `exec` drops what Python has buffered.
    sys.stdout.flush()
    words = [*_PROGRAM, *launch.before, "start", *json, *launch.after]
    os.execve(sys.executable, words, environment)  # noqa: S606  no shell


def _by_hand(launch: _Launch) -> str:
    """Return the hint that replaces the second half of a restart."""
    words = shlex.join([*launch.before, "start", *launch.after])
    # Names only: a value may be a secret.
    variables = ", ".join(sorted(launch.environment))
    return f"start it then with: cd {shlex.quote(launch.directory)} && reactorhost {words}" + (
        f"; it had the variables {variables}" if variables else ""
    )


def _checked(launch: _Launch, served: Iterable[str], options: Sequence[str] = ()) -> dict[str, str]:
    """Enter the directory of the host, check what would be started there, and return the environment for it.

    `served` are the addresses that the host has now, and `options` those with which `check` prints its result.

    Raises:
        ReactorhostError: the start would fail.
        ClickException: the arguments are wrong.
        Exit: the check of the plugins failed, and has printed why.
    """
    if os.path.realpath(launch.prefix) != os.path.realpath(sys.prefix):
        what = f"the host runs in the environment {launch.prefix}, this command in {sys.prefix}"
        hint = f"restart it with {launch.prefix}/bin/reactorhost, or use stop and start to change the environment"
        raise ReactorhostError(what, hint=hint)
    try:
        os.chdir(launch.directory)
    except OSError as error:
        what = f"cannot enter the directory of the host's start, {launch.directory}: {error.strerror}"
        raise ReactorhostError(what, hint="create it, or use stop and start with other paths") from None
    environment, settings = _resolved(launch)
    words = [*_PROGRAM, *launch.before, "check", *options, *launch.after]
    checked = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if checked.returncode != 0:
        if checked.stdout:
            echo(checked.stdout.rstrip("\n"))
        raise click.exceptions.Exit(max(checked.returncode, 1))
    _check_addresses(settings, served)
    return environment


def _check_addresses(settings: Settings, served: Iterable[str]) -> None:
    """Check that no other process uses a port or a unix socket that the host does not have yet.

    Raises:
        ReactorhostError: one does, or the address cannot be bound.
    """
    # A port of the host itself is in use, also where the address before it changes.
    addresses = [parse(text) for text in served]
    own = {(address.scheme == "udp", address.port) for address in addresses}
    own_unix = {unix_socket_files.real_name(address) for address in addresses if address.scheme == "unix"}
    for address in settings.addresses():
        if address.scheme == "unix":
            if unix_socket_files.real_name(address) in own_unix:
                continue
            if address.is_abstract:
                bind.probe(socket.AF_UNIX, address.unix_name, address)
            else:
                unix_socket_files.probe(Path(address.path))
        elif address.port and (address.scheme == "udp", address.port) not in own:
            for family, sockaddr in bind.resolve(address):
                bind.probe(family, sockaddr, address)


def _resolved(launch: _Launch) -> tuple[dict[str, str], Settings]:
    """Return the variables of this process, but settings as the host has them, and what they and the flags set.

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
    return environment | {name: value for name, value in launch.environment.items() if name in named}, settings
