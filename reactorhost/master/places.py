"""Whether a start could use its files and addresses, found out without creating or binding any of them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError, error_from_os
from reactorhost.master.listen import bind, unix_socket_files
from reactorhost.master.rundir import check_directory


def check_places(settings: Settings) -> list[ReactorhostError]:
    """Return what a start on this machine, as this user, would fail with."""
    failures = []
    for check in _checks(settings):
        try:
            check()
        except ReactorhostError as error:
            failures.append(error)
    return failures


def _checks(settings: Settings) -> Iterator[Callable[[], object]]:
    yield partial(_check_run_directory, settings.run_dir)
    if settings.log_file is not None:
        yield partial(_check, settings.log_file, f"open the log file {settings.log_file}", "--log-file")
    # In the run directory, which a start creates, it is written with the other files.
    if settings.pid_file.parent != settings.run_dir:
        yield partial(_check, settings.pid_file, f"write the pid file {settings.pid_file}", "--pid-file")
    for address in settings.addresses():
        if address.scheme == "unix":
            if not address.is_abstract:
                yield partial(_check_folder, Path(address.path))
        elif address.scheme != "fd":
            yield partial(bind.check_local, address)


def _check_run_directory(path: Path) -> None:
    if os.path.exists(path):
        check_directory(path)
        return
    existing = next(each for each in path.parents if os.path.exists(each))
    _check(existing / "new", f"create the run directory {path}", "--run-dir")


def _check(path: Path, action: str, flag: str) -> None:
    error = _refusal(path)
    if error is not None:
        raise error_from_os(error, f"cannot {action}", hint=f"choose another with {flag}")


def _check_folder(path: Path) -> None:
    error = _refusal(path.parent / "new")
    if error is not None:
        raise unix_socket_files.bind_error(path, error)
    unix_socket_files.check_kind(path)


def _refusal(path: Path) -> OSError | None:
    """Return the error with which opening a file for writing would fail, or None."""
    try:
        folder = os.stat(path.parent)
    except OSError as error:
        return error
    number = None
    # Not the methods of `Path`: they raise where this user may not look.
    exists = os.path.exists(path)
    if not stat.S_ISDIR(folder.st_mode):
        number = errno.ENOTDIR
    elif os.path.isdir(path):
        number = errno.EISDIR
    elif not os.access(path if exists else path.parent, os.W_OK | (0 if exists else os.X_OK), effective_ids=True):
        number = errno.EACCES
    return None if number is None else OSError(number, os.strerror(number))
