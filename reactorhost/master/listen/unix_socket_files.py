"""The files of unix sockets: made with the configured mode and owner and never with wider ones, and removed again.

A socket is bound at the start and listens when a worker is ready. Until then a connection to it is refused, as to the
file that a killed process left behind. The kernel's table of sockets distinguishes the two.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from reactorhost.address import Address
from reactorhost.config.problems import Problems
from reactorhost.config.settings import Settings
from reactorhost.errors import NotPermittedError, ReactorhostError, UsageError
from reactorhost.master.listen.bind import AddressInUseError
from reactorhost.system.account import group_id, user_id
from reactorhost.system.own_file import FileState, OwnFile
from reactorhost.system.socket_table import is_bound_without_listening

_UNCHANGED = -1
_ALL = 0o777


class FileRights(Protocol):
    """Mode and owner of a socket's file, as a `Service` has them; None for what the umask and this user make them."""

    @property
    def unix_mode(self) -> int | None:
        """The mode."""

    @property
    def unix_owner(self) -> str | None:
        """`USER`, `USER:GROUP` or `:GROUP`."""


class UnixSocketFiles:
    """The files that this host made."""

    def __init__(self) -> None:
        self._made: dict[Path, OwnFile] = {}

    def bind(self, path: Path, rights: FileRights) -> socket.socket:
        """Return a socket bound to a path, whose file has this mode and this owner.

        Raises:
            ReactorhostError: the path is in use or not permitted, or its folder or the owner does not exist.
        """
        owner = _owner_ids(rights)
        if probe(path):
            try:
                path.unlink()
            except OSError as error:
                raise bind_error(path, error) from None
        with contextlib.ExitStack() as on_error:
            try:
                sock = on_error.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                sock.setblocking(False)
                _bind(sock, path, rights, owner)
                self._made[path] = OwnFile.at(path)
            except OSError as error:
                raise bind_error(path, error) from None
            on_error.pop_all()
        return sock

    def made(self) -> tuple[OwnFile, ...]:
        """Return the files that are there, or were."""
        return tuple(self._made.values())

    def restore(self, files: Iterable[OwnFile]) -> None:
        """Count files of another process or program as made by this host."""
        self._made |= {each.path: each for each in files}

    def state(self, path: Path) -> FileState:
        """Return what is at the path of a socket that this host bound."""
        return self._made[path].state()

    def remove(self) -> None:
        """Remove the files, except those that another process has replaced; the sockets are still open."""
        for file in self._made.values():
            file.remove()
        self._made.clear()


def check_owners(settings: Settings) -> None:
    """Check that every user and group that a socket's file shall belong to exists.

    Raises:
        ConfigError: one does not.
    """
    problems = Problems()
    for service in settings.services:
        try:
            _owner_ids(service)
        except UsageError as error:
            what = f"service {service.name!r}: unix_owner is {service.unix_owner!r}, but {error.what}"
            origin = settings.origins[f"service.{service.name}.unix_owner"]
            problems.add(what, origin, "give names or numbers of accounts of this machine")
    if problems.found:
        raise problems.error()


def _owner_ids(rights: FileRights) -> tuple[int, int] | None:
    """Return the ids of user and group, `_UNCHANGED` for one that is not configured, or None without an owner.

    Raises:
        UsageError: the account does not exist.
    """
    if rights.unix_owner is None:
        return None
    user, _, group = rights.unix_owner.partition(":")
    return user_id(user) if user else _UNCHANGED, group_id(group) if group else _UNCHANGED


def _bind(sock: socket.socket, path: Path, rights: FileRights, owner: tuple[int, int] | None) -> None:
    """Bind a socket; the file never has more rights than it has in the end.

    Raises:
        OSError: it cannot be bound.
        ReactorhostError: its owner cannot be changed.
    """
    before = os.umask(0)
    mode = _ALL & ~before if rights.unix_mode is None else rights.unix_mode
    # bind() makes the file, and clients can connect from then on: without any right until it has its owner.
    os.umask(_ALL & ~mode if owner is None else _ALL)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
    if owner is None:
        return
    try:
        os.chown(path, *owner, follow_symlinks=False)
        path.chmod(mode)
    except OSError as error:
        path.unlink(missing_ok=True)
        kind = NotPermittedError if error.errno == errno.EPERM else ReactorhostError
        what = f"cannot change the owner of unix://{path} to {rights.unix_owner}: {error.strerror}"
        raise kind(what, hint="only root can change the user; the group must be one of this user's") from None


def real_name(address: Address) -> str:
    """Return what is the same for all addresses of one unix socket: its path without links, or its abstract name."""
    return address.path if address.is_abstract else os.path.realpath(address.path)


def check_kind(path: Path) -> None:
    """Check that a path leads to nothing, or to a socket.

    Raises:
        ReactorhostError: it leads to something else.
    """
    hint = "remove it, or choose another path"
    if os.path.exists(path):
        if not path.is_socket():
            raise AddressInUseError(f"{path} exists and is not a socket", hint=hint)
    elif os.path.islink(path):
        raise AddressInUseError(f"{path} is a symbolic link to a file that does not exist", hint=hint)


def probe(path: Path) -> bool:
    """Check that no process uses a path; returns whether the file of a socket is left there.

    Raises:
        ReactorhostError: a process listens, or it is not a socket, or it cannot be accessed.
    """
    check_kind(path)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(1)
            sock.connect(str(path))
    except FileNotFoundError:
        return False
    except ConnectionRefusedError:
        if is_bound_without_listening(path):
            raise _in_use(path) from None
        return True
    except (TimeoutError, BlockingIOError):
        # The queue is full, so a process listens.
        pass
    except OSError as error:
        raise bind_error(path, error) from None
    raise _in_use(path)


def _in_use(path: Path) -> AddressInUseError:
    return AddressInUseError(f"unix://{path} is in use by another process", hint=f"see which with: ss -lxp src {path}")


def bind_error(path: Path, error: OSError) -> ReactorhostError:
    """Return the error for a path where no socket can be made."""
    if error.errno == errno.EADDRINUSE:
        return _in_use(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        what = f"the folder {path.parent} of unix://{path} does not exist"
        return ReactorhostError(what, hint="create it, or choose another path")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        what = f"not permitted to create unix://{path}: {error.strerror}"
        return NotPermittedError(what, hint=f"this user cannot write to {path.parent}")
    return ReactorhostError(f"cannot listen on unix://{path}: {error.strerror}")
