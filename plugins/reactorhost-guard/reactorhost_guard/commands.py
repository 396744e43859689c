"""The commands that list and change the bans, by the folder that the host keeps them in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from reactorhost import SetupError
from reactorhost_guard import notation
from reactorhost_guard.bans import Ban, lifting
from reactorhost_guard.settings import state_dir
from reactorhost_guard.state_dir import StateDir

WAIT_SECONDS = 5.0
_POLL_SECONDS = 0.05


def add(cli: click.Group) -> None:
    """Add the commands to a group."""
    cli.add_command(bans)
    cli.add_command(ban)
    cli.add_command(unban)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each ban.")
@click.pass_obj
def bans(config: Mapping[str, object], as_json: bool) -> None:
    """List the bans in force, those that end first at the front."""
    now = time.time()
    for each in sorted(_loaded(_folder(config), now), key=lambda each: each.until):
        if as_json:
            click.echo(json.dumps(each.fields()))
        else:
            left = notation.shown_duration(max(1.0, each.until - now))
            click.echo(f"{notation.shown(each.network)}  {left} left  {each.reason}{'  dry run' if each.dry else ''}")


@click.command()
@click.argument("network", callback=lambda _context, _parameter, text: _parsed(notation.network, text))
@click.option(
    "--for",
    "seconds",
    default="1h",
    show_default=True,
    metavar="DURATION",
    callback=lambda _context, _parameter, text: _parsed(notation.duration, text),
    help="How long, such as 90s, 15m, 2h or 7d.",
)
@click.pass_obj
def ban(config: Mapping[str, object], network: notation.Network, seconds: float) -> None:
    """Ban an address or a network, and end its connections."""
    now = time.time()
    text = notation.shown(network)
    _request(_folder(config), Ban(network, now, now + seconds))
    click.echo(f"banned {text} for {notation.shown_duration(seconds)}")


@click.command()
@click.argument("network", callback=lambda _context, _parameter, text: _parsed(notation.network, text))
@click.pass_obj
def unban(config: Mapping[str, object], network: notation.Network) -> None:
    """End the ban of an address or a network."""
    now, folder, text = time.time(), _folder(config), notation.shown(network)
    in_force = _loaded(folder, now)
    found = next((each for each in in_force if each.network == network), None)
    if found is None:
        others = [notation.shown(each.network) for each in in_force if notation.contains(each.network, network)]
        hint = f"; it is in {others[0]}, which is" if others else ""
        raise click.ClickException(f"{text} is not banned{hint}")
    _request(folder, lifting(network, found, now))
    click.echo(f"unbanned {text}")


def _parsed(parse: Callable[[str], object], text: str) -> object:
    try:
        return parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _folder(config: Mapping[str, object]) -> StateDir:
    try:
        path: Path | None = state_dir(config)
    except SetupError as error:
        raise click.ClickException(f"'state_dir' of plugin guard: {error}") from None
    if path is None:
        hint = "set it under [plugin.guard], and name the file: reactorhost guard --config FILE bans"
        raise click.ClickException(f"plugin guard has no state_dir\n  hint: {hint}")
    if not path.is_dir():
        raise click.ClickException(f"there is no folder {path}\n  hint: the host creates it when it starts")
    return StateDir(path)


def _loaded(folder: StateDir, now: float) -> list[Ban]:
    try:
        return [each for each in folder.load() if each.holds(now)]
    except (OSError, ValueError) as error:
        raise click.ClickException(f"the bans in {folder.path} cannot be read: {error}") from None


def _request(folder: StateDir, request: Ban) -> None:
    """Leave a request, and wait until the host has carried it out."""
    try:
        path = folder.request(request)
    except OSError as error:
        raise click.ClickException(f"cannot write to {folder.path}: {error}") from None
    deadline = time.monotonic() + WAIT_SECONDS
    while path.exists():
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"no host has carried it out within {WAIT_SECONDS:g} s\n"
                f"  hint: it does when it runs with state_dir = {str(folder.path)!r}"
            )
        time.sleep(_POLL_SECONDS)
