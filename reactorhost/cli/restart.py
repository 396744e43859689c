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
from pathlib import Path
from typing import Any

import click

from reactorhost.address import parse
from reactorhost.cli import client
from reactorhost.cli.documents import json_option
from reactorhost.cli.launch import Launch, resolved
from reactorhost.cli.options import host_options, location_from
from reactorhost.cli.output import echo
from reactorhost.cli.stop import stop_and_wait
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError
from reactorhost.master.listen import bind, unix_socket_files

# With -P neither the directory of the host nor that of this command is on `sys.path`: a file `json.py` in it would be
# imported in place of the standard library's.
_PROGRAM = (sys.executable, "-P", "-m", "reactorhost")


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
    launch = Launch.from_reply(reply)
    host = client.selected(location, reply.get("name")).host
    document = client.request(location, "status")["document"]
    served = [address for service in document["services"] for address in service["addresses"]]
    try:
        if reply.get("has_manager"):
            what = f"{host} was started by a service manager, which would not know of the new one"
            raise ReactorhostError(what, hint="restart it there, for example with: systemctl restart UNIT")
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


def _by_hand(launch: Launch) -> str:
    """Return the hint that replaces the second half of a restart."""
    words = shlex.join([*launch.before, "start", *launch.after])
    # Names only: a value may be a secret.
    variables = ", ".join(sorted(launch.environment))
    return f"start it then with: cd {shlex.quote(launch.directory)} && reactorhost {words}" + (
        f"; it had the variables {variables}" if variables else ""
    )


def _checked(launch: Launch, served: Iterable[str], options: Sequence[str] = ()) -> dict[str, str]:
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
    environment, settings = resolved(launch)
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
