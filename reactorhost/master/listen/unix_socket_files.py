"""The files of unix sockets: made with the rights that were asked for and never with wider ones, and removed again."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import socket
from pathlib import Path

from reactorhost.config.service import Service
from reactorhost.config.settings import Settings
from reactorhost.errors import ConfigError, NotPermittedError, Problem, ReactorhostError
from reactorhost.master.listen.bind import AddressInUseError

_UNCHANGED = -1
_ALL = 0o777


class UnixSocketFiles:
    """The files of this host."""

    def __init__(self) -> None:
        self._made: dict[Path, tuple[int, int]] = {}

    def bind(self, path: Path, service: Service) -> socket.socket:
        """Return a socket bound to a path, whose file has the mode and the owner of its service.

        Raises:
            ReactorhostError: the path is taken, or not for this user, or its folder is not there.
        """
        owner = _owner_ids(service)
        _remove_stale(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            _bind(sock, path, service, owner)
        except BaseException:
            sock.close()
            raise
        # Of what tells it from another file that takes its path later, the last change comes last.
        self._made[path] = _mark(path)
        return sock

    def remove(self) -> None:
        """Remove the files that are still ours."""
        for path, mark in self._made.items():
            with contextlib.suppress(OSError):
                if _mark(path) == mark:
                    path.unlink()
        self._made.clear()


def check_owners(settings: Settings) -> None:
    """Make sure that there is every user and group that a socket's file is to belong to.

    Raises:
        ConfigError: there is not.
    """
    problems: list[Problem] = []
    for service in settings.services:
        try:
            _owner_ids(service)
        except KeyError as error:
            what = f"service {service.name!r}: unix_owner is {service.unix_owner!r}, and there is no {error.args[0]}"
            where = settings.where(f"service.{service.name}.unix_owner")
            problems.append(Problem(what, where, "give names or numbers of accounts of this machine"))
    if problems:
        raise ConfigError(problems)


def _owner_ids(service: Service) -> tuple[int, int] | None:
    """Return the ids of user and group, `_UNCHANGED` for whoever starts the host, or None when it is both.

    Raises:
        KeyError: there is no such account; the text says which.
    """
    if service.unix_owner is None:
        return None
    user, _, group = service.unix_owner.partition(":")
    return _user_id(user), _group_id(group)


def _user_id(user: str) -> int:
    if not user or user.isdecimal():
        return int(user or _UNCHANGED)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise KeyError(f"user {user!r}") from None


def _group_id(group: str) -> int:
    if not group or group.isdecimal():
        return int(group or _UNCHANGED)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise KeyError(f"group {group!r}") from None


def _bind(sock: socket.socket, path: Path, service: Service, owner: tuple[int, int] | None) -> None:
    before = os.umask(0)
    mode = _ALL & ~before if service.unix_mode is None else service.unix_mode
    # Nobody has any right to it before it has its owner.
    os.umask(_ALL & ~mode if owner is None else _ALL)
    try:
        sock.bind(str(path))
    except OSError as error:
        raise _refusal(path, error) from None
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
        what = f"cannot give unix://{path} to {service.unix_owner}: {error.strerror}"
        raise kind(what, hint="only root gives files away; a group has to be one of this user's") from None


def _remove_stale(path: Path) -> None:
    """Remove a unix socket's file that nobody listens on any more.

    Raises:
        ReactorhostError: somebody does, or it is no socket, or it cannot be looked at.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(1)
            sock.connect(str(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        if not path.is_socket():
            what = f"{path} exists and is not a socket"
            raise AddressInUseError(what, hint="remove it, or choose another path") from None
        try:
            path.unlink()
        except OSError as error:
            raise _refusal(path, error) from None
        return
    except (TimeoutError, BlockingIOError):
        # Its queue is full: somebody listens.
        pass
    except OSError as error:
        raise _refusal(path, error) from None
    raise AddressInUseError(f"unix://{path} is in use by another process", hint=f"see which with: ss -lxp src {path}")


def _refusal(path: Path, error: OSError) -> ReactorhostError:
    if error.errno == errno.EADDRINUSE:
        return AddressInUseError(f"unix://{path} is in use by another process", hint="see which with: ss -lxp")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ReactorhostError(
            f"there is no folder {path.parent} for unix://{path}", hint="make it, or choose another"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NotPermittedError(
            f"may not make unix://{path}: {error.strerror}", hint=f"this user cannot write to {path.parent}"
        )
    return ReactorhostError(f"cannot listen on unix://{path}: {error.strerror}")


def _mark(path: Path) -> tuple[int, int]:
    """Return what tells a file from another that took its path later."""
    facts = path.stat()
    return facts.st_ino, facts.st_ctime_ns
