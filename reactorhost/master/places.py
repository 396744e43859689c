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
    yield partial(check_directory, settings.run_dir)
    if settings.log_file is not None:
        yield partial(_check_file, settings.log_file, "open the log file", "--log-file")
    # In the run directory, which a start creates, it is written with the other files.
    if settings.pid_file.parent != settings.run_dir:
        yield partial(_check_file, settings.pid_file, "write the pid file", "--pid-file")
    for service in settings.services:
        for address in service.listen:
            if address.scheme == "unix":
                yield partial(_check_folder, Path(address.path))
            else:
                yield partial(bind.check_local, address)


def _check_file(path: Path, action: str, flag: str) -> None:
    error = _refusal(path)
    if error is not None:
        raise error_from_os(error, f"cannot {action} {path}", hint=f"choose another with {flag}")


def _check_folder(path: Path) -> None:
    error = _refusal(path.parent / "new")
    if error is not None:
        raise unix_socket_files.bind_error(path, error)
    unix_socket_files.check_kind(path)


def _refusal(path: Path) -> OSError | None:
    """Return the error with which opening a file for writing would fail, or None."""
    number = None
    try:
        # Raises what is wrong with the folders above, also that this user may not enter one.
        parent = path.parent.stat()
    except OSError as error:
        return error
    if os.path.isdir(path):
        number = errno.EISDIR
    elif not stat.S_ISDIR(parent.st_mode):
        number = errno.ENOTDIR
    else:
        place, mode = (path, os.W_OK) if os.path.exists(path) else (path.parent, os.W_OK | os.X_OK)
        if not os.access(place, mode, effective_ids=True):
            number = errno.EACCES
    return None if number is None else OSError(number, os.strerror(number))
