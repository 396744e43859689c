"""`reactorhost start`."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from reactorhost.cli.app import traceback_option
from reactorhost.cli.settings_options import settings_from, start_options
from reactorhost.config.settings import Settings
from reactorhost.system.features import require_features


@click.command()
@start_options
@traceback_option
def start(**flags: Any) -> None:
    """Start a host and serve.

    In the foreground a banner follows once the workers are ready, then the log on standard error; Ctrl-C stops it.
    With -d the command returns once the workers are ready, or says why they are not.
    """
    # All that is made up to the first fork lives as long as the host, which collects from then on.
    gc.disable()
    _fill_standard_descriptors()
    require_features()
    settings = settings_from(flags)
    serve = partial(_serve, flags, Path.cwd(), settings)
    if not settings.daemon:
        serve(_show_banner)
        return

    from reactorhost.master.daemon import start_daemon

    _show_banner(start_daemon(serve))


def _serve(flags: dict[str, Any], directory: Path, settings: Settings, on_started: Callable[[Any], None]) -> None:
    """Check and run the host, with all that it takes: of a daemon only its own process imports that."""
    from reactorhost.master.checks import check_plugins, check_services
    from reactorhost.master.startup import run_host

    check_plugins(settings)
    check_services(settings)
    run_host(settings, _launch(flags, directory, settings), on_started)


def _fill_standard_descriptors() -> None:
    """Open what a careless starter closed: sockets and pipes must not get the numbers that output goes to."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _launch(flags: dict[str, Any], directory: Path, settings: Settings) -> Any:
    from reactorhost.master.admin.commands import Launch

    environment = {name: value for name, value in os.environ.items() if name.startswith("REACTORHOST_")}
    terminal = _terminal() if not settings.daemon else None

    def read_again() -> Settings:
        from reactorhost.master.checks import check_plugins, check_services

        fresh = settings_from(flags, directory)
        check_plugins(fresh)
        check_services(fresh)
        return fresh

    return Launch(
        arguments=tuple(sys.argv[1:]),
        directory=str(directory),
        environment=environment,
        read_again=read_again,
        terminal_gone=lambda: terminal is not None and _gone(terminal),
    )


def _terminal() -> int | None:
    """Return the descriptor of the terminal that this command was started on, or None."""
    return next((descriptor for descriptor in (0, 2, 1) if os.isatty(descriptor)), None)


def _gone(terminal: int) -> bool:
    try:
        os.tcgetpgrp(terminal)
    except OSError:
        return True
    return False


def _show_banner(document: Any) -> None:
    from reactorhost.dashboard.text.banner import banner

    try:
        click.echo(banner(document))
    except OSError:
        # Nobody reads it. What is left in the buffer is not to fail at the end: the host runs all the same.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
