"""The log of a host that starts: open it, and remove it with its cause shown if the start fails."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from reactorhost import log_setup
from reactorhost.config.default_paths import DEFAULT_LOG
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError, StoppedEarlyError, error_from_os
from reactorhost.logs import AppendHandler

_SHOWN_LINES = 20


def with_log_of_daemon(settings: Settings) -> Settings:
    """Return the settings with the log file that a daemon has by default."""
    if settings.log_file is None and settings.daemon:
        return dataclasses.replace(settings, log_file=settings.run_dir / DEFAULT_LOG)
    return settings


def open_log(settings: Settings, unless_started: ExitStack, resumed: int | None = None) -> AppendHandler:
    """Write the log from now on; `unless_started` removes a file that is made here.

    `resumed` is the descriptor of a host that this program continues.

    Raises:
        ReactorhostError: the file cannot be opened.
    """
    is_new = settings.log_file is not None and resumed is None and not os.path.exists(settings.log_file)
    try:
        log_file = log_setup.install(
            settings.log_file,
            settings.log_format,
            settings.log_level,
            capture_output=settings.daemon,
            descriptor=resumed,
            master=os.getpid(),
        )
    except OSError as error:
        what = f"cannot open the log file {settings.log_file}"
        raise error_from_os(error, what, hint="choose another with --log-file") from None
    if settings.log_file is not None and is_new:
        unless_started.push(partial(_remove_log, settings.log_file))
    if settings.log_file is None and resumed is None:
        # On a terminal the banner comes first. A start that fails prints one sentence and needs no log lines.
        log_file.hold()
    return log_file


def _remove_log(path: Path, kind: object, error: BaseException | None, trace: object) -> None:
    """Remove the log that a failed start made, after adding its end to an error that does not show the cause itself."""
    if not isinstance(error, ReactorhostError):
        # A bug, whose traceback is written there when this process ends.
        return
    if error.details is None and not isinstance(error, StoppedEarlyError):
        with contextlib.suppress(OSError):
            error.details = "\n".join(path.read_text(errors="replace").splitlines()[-_SHOWN_LINES:])
    path.unlink(missing_ok=True)
