"""`reactorhost start`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactorhost.cli.commands.start_view import StartView
from reactorhost.cli.documents.json_output import json_option
from reactorhost.cli.output import echo, is_quiet
from reactorhost.cli.parameters.options import (
    StartCommand,
    examine_settings,
    settings_from,
    start_options,
    working_directory,
)
from reactorhost.config.problems import Problems
from reactorhost.config.resolve import is_setting
from reactorhost.config.settings import Settings
from reactorhost.system.features import require_features
from reactorhost.system.handover import Handover, Purpose, received
from reactorhost.system.manager_variables import ManagerVariables

if TYPE_CHECKING:
    from reactorhost.master.start_progress import Starter
    from reactorhost.plugins.imports import ImportedCode


@click.command(cls=StartCommand)
@json_option("Print the status document in place of the banner.")
@start_options
def start(as_json: bool, **flags: Any) -> None:
    """Start a host.

    In the foreground it prints a banner when the workers are ready, then logs to standard error; Ctrl-C stops it. With
    -d the command returns when the workers are ready, or prints why they are not.
    """
    # Objects made before the first fork live as long as the host, so collecting them frees nothing. The master enables
    # the collector again once it has frozen them.
    gc.disable()
    if os.getpid() == 1:
        # Of a container. The kernel drops a signal that process 1 does not handle: TERM has to end a start like Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    _fill_standard_descriptors()
    manager = ManagerVariables.remove_from(os.environ, os.getpid())
    require_features()
    handover = received(os.environ)
    if handover is not None:
        _continue(handover, flags, manager)
        return
    settings, problems = examine_settings(flags)
    if problems.found:
        from reactorhost.cli.validation import validate

        # Raises: the problems with all others.
        validate(settings, problems, starts=False)
    serve = partial(_serve, flags, working_directory(), settings, manager)
    show = _ignore if is_quiet() and not as_json else partial(_show_started, as_json=as_json, manager=manager)
    with StartView(settings, show, shown=not (as_json or is_quiet())) as view:
        if not settings.daemon:
            serve(view)
            return
        from reactorhost.config.default_paths import DEFAULT_LOG, selection
        from reactorhost.master.daemon import start_daemon

        passed = [descriptor for descriptor, _ in manager.descriptors]
        selected = selection(settings.name, settings.run_dir, os.environ, os.geteuid())
        document = start_daemon(serve, selected, settings.log_file or settings.run_dir / DEFAULT_LOG, view, passed)
        view.started(document)


def _serve(
    flags: dict[str, Any],
    directory: Path,
    settings: Settings,
    manager: ManagerVariables,
    starter: Starter,
) -> None:
    """Check the settings and run the host.

    The imports stand here so that the command that starts a daemon does not load what only the daemon needs.
    """
    from reactorhost.cli.validation import validate
    from reactorhost.master.startup import run_host
    from reactorhost.plugins.imports import ImportedCode
    from reactorhost.worker.boot import run_worker

    validate(settings, Problems(), starts=True)
    imported = ImportedCode()
    launch = _launch(flags, directory, settings, manager, imported)
    run_host(settings, launch, manager, partial(run_worker, imported), starter)


def _continue(handover: Handover, flags: dict[str, Any], manager: ManagerVariables) -> None:
    """Report whether this program could resume the host that has executed it, or resume it."""
    from reactorhost.cli.validation import validate
    from reactorhost.master.management import import_late_parts
    from reactorhost.master.startup import run_host
    from reactorhost.master.upgrade.document import Document, Resumption
    from reactorhost.master.upgrade.lost_parts import lost_parts
    from reactorhost.master.upgrade.preflight import report
    from reactorhost.master.upgrade.state import fit_settings
    from reactorhost.plugins.imports import ImportedCode
    from reactorhost.worker.boot import run_worker

    def examine(document: Document, *, starts: bool) -> tuple[Settings, list[str]]:
        settings, problems = examine_settings(flags)
        if not problems.found:
            settings = fit_settings(settings, document.state)
        return settings, validate(settings, problems, starts=starts)

    def check(document: Document) -> list[str]:
        settings, warnings = examine(document, starts=False)
        import_late_parts(settings)
        return [*warnings, *lost_parts(settings, document)]

    if handover.purpose is Purpose.CHECK:
        report(handover.descriptor, check)
        return
    resumption = Resumption(handover.descriptor)
    with resumption.falling_back():
        settings, _ = examine(resumption.load(), starts=True)
        imported = ImportedCode()
        launch = _launch(flags, working_directory(), settings, manager, imported)
        with StartView(settings, _ignore, shown=not is_quiet()) as view:
            run_host(settings, launch, manager, partial(run_worker, imported), view, resumption)


def _ignore(document: Any) -> None:
    """Show nothing: the host has started long ago, or -q was passed."""


def _fill_standard_descriptors() -> None:
    """Open descriptors 0, 1 and 2 where the parent closed them.

    A socket or pipe opened later would otherwise get one of these numbers, and output would be written into it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _launch(
    flags: dict[str, Any], directory: Path, settings: Settings, manager: ManagerVariables, imported: ImportedCode
) -> Any:
    from reactorhost.master.admin.commands import Launch
    from reactorhost.master.admin.configuration_file import ConfigurationFile
    from reactorhost.master.checks import check_settings

    environment = {name: value for name, value in os.environ.items() if is_setting(name)}
    terminal = _terminal() if not settings.daemon else None

    def read_again() -> Settings:
        fresh = settings_from(flags, directory)
        check_settings(fresh)
        return fresh

    return Launch(
        # How this command reports its result is nothing of the host.
        arguments=tuple(word for word in sys.argv[1:] if word != "--json"),
        directory=str(directory),
        environment=environment,
        read_again=read_again,
        has_manager=manager.notify_socket is not None or bool(manager.descriptors),
        imported=imported,
        configuration=ConfigurationFile(settings.config_file),
        terminal_gone=lambda: terminal is not None and _is_hung_up(terminal),
    )


def _terminal() -> int | None:
    """Return a standard descriptor that is a terminal, or None."""
    return next((descriptor for descriptor in (0, 2, 1) if os.isatty(descriptor)), None)


def _is_hung_up(terminal: int) -> bool:
    # A terminal that was hung up answers with EIO.
    try:
        os.tcgetpgrp(terminal)
    except OSError:
        return True
    return False


def _show_started(document: Any, *, as_json: bool, manager: ManagerVariables) -> None:
    if as_json:
        import json

        text = json.dumps(document, indent=2)
    else:
        from reactorhost.dashboard.output.banner import banner

        stop = None
        if manager.notify_socket is not None:
            from reactorhost.system.service_unit import systemctl

            stop = systemctl("stop", document["pid"])
        text = banner(document, stop)
    try:
        echo(text)
    except OSError:
        # Standard output is closed or full; the host serves all the same. The text stays in the buffer, and flushing it
        # at exit would fail again: from now on the descriptor leads to /dev/null.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
