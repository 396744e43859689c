"""`reactorhost restart`.

Everything that can be checked is checked before the host is stopped, so that a mistake does not end the service.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactorhost.address import parse
from reactorhost.cli import client
from reactorhost.cli.commands.launch import Launch, resolved
from reactorhost.cli.commands.stop import stop_and_wait
from reactorhost.cli.documents.json_output import json_option
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import confirm, echo, has_color, is_quiet, warn
from reactorhost.cli.parameters.options import host_options, location_from
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError, StoppedEarlyError
from reactorhost.master.listen import bind, unix_socket_files
from reactorhost.system.service_unit import systemctl

if TYPE_CHECKING:
    from reactorhost.dashboard.output.progress import ProgressView

_READ_BYTES = 65536
# With -P neither the directory of the host nor that of this command is on `sys.path`: a file `json.py` in it would be
# imported in place of the standard library's.
_PROGRAM = (sys.executable, "-P", "-m", "reactorhost")


@click.command(cls=HostCommand)
@json_option("Print the status document of the new start.")
@host_options
def restart(as_json: bool, **flags: Any) -> None:
    """Stop a host and start it with the same arguments and variables, in the same directory.

    Settings and plugins are checked first, as by `check`; if they are wrong, the host keeps serving. A daemon starts as
    a daemon again. A host that ran in the foreground starts in the foreground of this terminal.
    """
    from reactorhost.dashboard.output.progress import ProgressView

    location = location_from(flags)
    json = ("--json",) if as_json else ()
    quiet = ("--quiet",) if is_quiet() else ()
    reply = client.request(location, "launch")
    host = client.selected(location, reply.get("name"))
    with client.hints_for(host):
        launch = Launch.from_reply(reply)
    document = client.request(location, "status")["document"]
    served = [address for service in document["services"] for address in service["addresses"]]
    is_ending = document["state"] in ("leaving", "stopping")
    kept = f"{host.host} is not restarted and {'continues to stop' if is_ending else 'keeps serving'}"
    try:
        if reply.get("has_manager"):
            what = f"{host.host} was started by a service manager, which would not know of the new one"
            raise ReactorhostError(what, hint=f"restart it there, with: {systemctl('restart', document['pid'])}")
        shown = not (as_json or is_quiet())
        with client.hints_for(host), ProgressView("restarting", shown=shown) as view:
            environment = _checked(launch, [*served, *document.get("admin", ())], view, json)
    except KeyboardInterrupt:
        raise StoppedEarlyError(f"interrupted: {kept}") from None
    except (ReactorhostError, click.ClickException, click.exceptions.Exit):
        echo(kept, err=True)
        raise
    with client.continuing(host, "to stop, and will not be started again", _by_hand(launch)):
        _, failure = stop_and_wait(location, at_once=False, shown=not as_json)
    if failure is not None:
        warn([failure.what])
    if not as_json:
        confirm(f"{host.host} has stopped, starting it again")
    # `exec` drops what Python has buffered.
    sys.stdout.flush()
    words = [*_PROGRAM, *launch.before, "start", *json, *quiet, *launch.after]
    os.execve(sys.executable, words, environment)  # noqa: S606  no shell


def _by_hand(launch: Launch) -> str:
    """Return the hint that replaces the second half of a restart."""
    words = shlex.join([*launch.before, "start", *launch.after])
    # Names only: a value may be a secret.
    variables = ", ".join(sorted(launch.environment))
    return f"start it then with: cd {shlex.quote(launch.directory)} && reactorhost {words}" + (
        f"; it had the variables {variables}" if variables else ""
    )


def _checked(launch: Launch, served: Iterable[str], view: ProgressView, options: Sequence[str] = ()) -> dict[str, str]:
    """Enter the directory of the host, check what would be started there, and return the environment for it.

    `served` are the addresses that the host has now, `view` shows that the check runs, and `options` are those with
    which `check` prints its result.

    Raises:
        ReactorhostError: the start would fail.
        ClickException: the arguments are wrong.
        Exit: the check of the plugins failed, and has printed why.
    """
    if os.path.realpath(launch.prefix) != os.path.realpath(sys.prefix):
        what = f"the host runs in the environment {launch.prefix}, this command in {sys.prefix}"
        hint = f"use `{launch.prefix}/bin/reactorhost restart`, or stop it and start it again in this environment"
        raise ReactorhostError(what, hint=hint)
    try:
        os.chdir(launch.directory)
    except OSError as error:
        what = f"cannot enter the directory of the host's start, {launch.directory}: {error.strerror}"
        raise ReactorhostError(what, hint="create it, or use stop and start with other paths") from None
    environment, settings = resolved(launch)
    words = [*_PROGRAM, *launch.before, "check", *options, *launch.after]
    view.show("checking settings and plugins", step_seconds=0.0)
    # Standard error goes to a file, and is printed at the end: it would be mixed with the line of the progress.
    colors = {"FORCE_COLOR": "1"} if has_color(sys.stderr) else {}
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, env=environment | colors) as checking:
            assert checking.stdout is not None
            output = b""
            while view.wait([checking.stdout]) and (data := os.read(checking.stdout.fileno(), _READ_BYTES)):
                output += data
        view.erase()
        errors.seek(0)
        # Escaped by the command that wrote it.
        sys.stderr.write(errors.read())
    if checking.returncode != 0:
        if output:
            echo(output.decode(errors="replace").rstrip("\n"))
        raise click.exceptions.Exit(max(checking.returncode, 1))
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
