"""`reactorhost reload`, `upgrade`, `scale` and `reopen`: requests that change a running host."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from reactorhost.cli import client
from reactorhost.cli.documents.json_output import json_option, print_document
from reactorhost.cli.failures import InvalidArgumentError
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import confirm, is_quiet, warn
from reactorhost.cli.parameters.options import host_options, location_from
from reactorhost.config.settings import BY_NAME
from reactorhost.config.values import InvalidValueError
from reactorhost.errors import counted
from reactorhost.ipc.messages import Message

if TYPE_CHECKING:
    _ParamType = click.ParamType[object]
else:
    # Before version 8.4 of click it is not generic.
    _ParamType = click.ParamType


@click.command(cls=HostCommand)
@json_option("Print one JSON object: the number of replaced workers, the generation, and warnings.")
@host_options
def reload(as_json: bool, **flags: Any) -> None:
    """Replace every worker by one that imports the plugins anew; no connection is lost.

    The first replacement is the canary. If it does not become ready, all old workers stay, and the command prints why.

    The settings stay as they are. After a change of the configuration file send HUP to the master: it reads the file
    again, and reloads.
    """
    result, warnings = _request_with_progress(flags, "reload", "reloading", shown=not as_json)
    if as_json:
        print_document(replaced=result["replaced"], generation=result["generation"], warnings=warnings)
        return
    confirm(f"reloaded: {counted(result['replaced'], 'worker')}, generation {result['generation']}")


class WorkerCount(_ParamType):
    """A number of workers, a range of numbers, or `auto`, as the control socket expects it."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return a number or a text."""
        kind = BY_NAME["workers"].kind
        try:
            kind.read(given := kind.from_text(value))
        except InvalidValueError as error:
            raise InvalidArgumentError(f"it {error}", error.hint, ctx, param) from None
        return given


@click.command(cls=HostCommand)
@json_option("Print one JSON object: the versions, the number of replaced workers, the generation, and warnings.")
@host_options
def upgrade(as_json: bool, **flags: Any) -> None:
    """Replace the master and all workers by the installation of this command; no connection is lost.

    The installation is checked first, as by `check`. If it cannot run the host, nothing is changed, and the command
    prints why. The master keeps its process id, its files and its sockets; then all workers are replaced as by
    `reload`.
    """
    result, warnings = _request_with_progress(
        flags, "upgrade", "upgrading", shown=not as_json, interpreter=sys.executable
    )
    if as_json:
        shown = {name: result[name] for name in ("before", "version", "replaced", "generation")}
        print_document(**shown, warnings=warnings)
        return
    workers = counted(result["replaced"], "worker")
    confirm(f"upgraded: {result['before']} -> {result['version']}, {workers}, generation {result['generation']}")


@click.command(cls=HostCommand)
@click.argument("workers", type=WorkerCount())
@json_option("Print one JSON object: the numbers of ready and of draining workers.")
@host_options
def scale(workers: object, as_json: bool, **flags: Any) -> None:
    """Change the number of workers and wait until they are ready; no connection is lost.

    WORKERS is a number, which stays from now on; a range such as 2-8, in which the number follows the load; or auto,
    for the range of the settings.

    Surplus workers accept no more connections, and end when their last connection has ended.
    """
    result, _ = _request_with_progress(flags, "scale", "scaling", shown=not as_json, workers=workers)
    if as_json:
        print_document(workers=result["workers"], draining=result["draining"])
        return
    draining = f", {result['draining']} draining" if result["draining"] else ""
    confirm(f"scaled: {counted(result['workers'], 'worker')} ready{draining}")


@click.command(cls=HostCommand)
@json_option("Print one JSON object: the log file.")
@host_options
def reopen(as_json: bool, **flags: Any) -> None:
    """Open the log file again and pass it to every worker, after a rotation has renamed it.

    A worker that does not confirm is named, and the exit status is 1.
    """
    result, _ = _request_with_progress(flags, "reopen", "reopening", shown=not as_json)
    if as_json:
        print_document(log_file=result["log_file"])
    else:
        confirm("log files reopened")


def _request_with_progress(
    flags: dict[str, Any], verb: str, title: str, *, shown: bool, **fields: object
) -> tuple[Message, list[str]]:
    """Request a verb and show its progress; return its result and the warnings."""
    from reactorhost.dashboard.output.progress import ProgressView

    location = location_from(flags)
    warnings: list[str] = []
    with ProgressView(title, shown=shown and not is_quiet()) as view:

        def show(message: Message) -> None:
            if message.get("warning"):
                warnings.append(message["progress"])
                view.erase()
                warn([message["progress"]])
                return
            view.show(message["progress"], message.get("done"), message.get("total"), message.get("step_seconds"))

        return client.request(location, verb, show, view=view, **fields), warnings
