"""Open a log file by a path that no less privileged user can lead to another file.

A host that runs as root may log to a directory of the user that its workers run as. If it followed a symbolic link
there, that user could have the lines appended to any file. O_NOFOLLOW covers the last component only (open(2)), so the
path is opened component by component. A link is followed where only this user and root can put one.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from reactorhost.system.ownership import is_trusted

# O_NONBLOCK: a FIFO without a reader is an error in place of a wait without end.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_MODE = 0o640
# The kernel's own limit (path_resolution(7)).
_MOST_LINKS = 40


def open_for_append(path: Path) -> int:
    """Open a file for appending, create it if it is missing, and return its descriptor.

    Raises:
        PermissionError: the path leads through a symbolic link that another user can replace; or as `os.open`.
        OSError: as `os.open`.
    """
    directory = os.open("/", _DIRECTORY)
    try:
        descriptor = _open_below(directory, path.absolute())
    except OSError as error:
        if error.errno == errno.ENXIO and path.is_fifo():
            raise OSError(errno.ENXIO, "no process reads this FIFO") from None
        raise
    finally:
        os.close(directory)
    os.set_blocking(descriptor, True)
    return descriptor


def _open_below(directory: int, path: Path) -> int:
    """Open an absolute path; `directory` is the root, and its number is used for each directory on the way."""
    names = list(path.parts[:0:-1])
    links = 0
    while names:
        name = names.pop()
        no_follow = os.O_NOFOLLOW
        if _is_link(directory, name):
            _check_link(directory, name)
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if _is_on_procfs(directory):
                # The text of such a link, as of /proc/self/fd/1 behind /dev/stdout, is not a path: the kernel follows.
                no_follow = 0
            else:
                target = Path(os.readlink(name, dir_fd=directory))
                if target.is_absolute():
                    _move(directory, "/", 0)
                names += [part for part in reversed(target.parts) if part != "/"]
                continue
        if not names:
            return os.open(name, _FLAGS | no_follow, _MODE, dir_fd=directory)
        _move(directory, name, no_follow)
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def _move(directory: int, name: str, no_follow: int) -> None:
    """Let the descriptor `directory` refer to a directory in it."""
    fresh = os.open(name, _DIRECTORY | no_follow, dir_fd=directory)
    os.dup2(fresh, directory, inheritable=False)
    os.close(fresh)


def _is_link(directory: int, name: str) -> bool:
    # A file that replaces another one after this is opened with O_NOFOLLOW, so a link that comes too late is an error.
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _check_link(directory: int, name: str) -> None:
    status = os.fstat(directory)
    # With a group of its own for each user, as many systems have, the group's right to write adds no other user.
    others = stat.S_IWOTH | (0 if status.st_gid == os.getegid() else stat.S_IWGRP)
    if not is_trusted(status.st_uid) or status.st_mode & others:
        link = os.path.join(os.readlink(f"/proc/self/fd/{directory}"), name)
        raise PermissionError(errno.EPERM, f"{link} is a symbolic link that other users can replace")


def _is_on_procfs(directory: int) -> bool:
    try:
        return os.fstat(directory).st_dev == os.stat("/proc/self").st_dev
    except FileNotFoundError:
        # It is not mounted.
        return False
