"""What a freshly forked process does to itself: signals, privileges, limits, the tie to its master."""

from __future__ import annotations

import ctypes
import faulthandler
import grp
import os
import pwd
import resource
import signal
from collections.abc import Iterable

from reactorhost.errors import NotPermittedError, UsageError

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_NO_NEW_PRIVS = 38

_IGNORED = (
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


def reset_signals(ignored: Iterable[signal.Signals] = _IGNORED) -> None:
    """Forget the parent's handlers, ignore what only the master acts on, and let signals through again.

    A terminal's Ctrl-C reaches workers too; they leave it to the master.
    """
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def tie_to_parent() -> None:
    """Ask the kernel for TERM when the parent ends.

    The last step after dropping privileges: the kernel clears the request on setuid. A parent that has ended
    already is seen as the end of the line to it.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def name_process(name: str) -> None:
    """Set the name that `ps` and `top` show, of which the kernel keeps 15 bytes."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]))


def dump_stacks_on_death(descriptor: int) -> None:
    """Write the Python stack to `descriptor` on SEGV, FPE, ABRT, BUS and ILL, for the master to log.

    Of the thread at fault only; ABRT, which the master sends, goes to the main thread while that lives.
    """
    faulthandler.enable(descriptor, all_threads=False)


def raise_descriptor_limit() -> None:
    """Raise the limit of open descriptors to what this user may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def resolve_account(user: str | None, group: str | None) -> tuple[int, int, str] | None:
    """Return user id, group id and user name to become, or None to stay who we are.

    Raises:
        UsageError: there is no such user or group.
    """
    if user is None and group is None:
        return None
    try:
        entry = pwd.getpwnam(user) if user is not None else pwd.getpwuid(os.geteuid())
    except KeyError:
        raise UsageError(f"there is no user {user!r}", hint="give the name of an account of this machine") from None
    try:
        gid = grp.getgrnam(group).gr_gid if group is not None else entry.pw_gid
    except KeyError:
        raise UsageError(f"there is no group {group!r}", hint="give the name of a group of this machine") from None
    return entry.pw_uid, gid, entry.pw_name


def drop_privileges(uid: int, gid: int, user: str) -> None:
    """Become another user for good, and make sure that it happened.

    Raises:
        NotPermittedError: this process may not, or could go back.
    """
    if (os.geteuid(), os.getegid()) == (uid, gid):
        return
    try:
        os.initgroups(user, gid)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except PermissionError:
        raise NotPermittedError(f"may not become user {user!r}", hint="start as root, or without --user") from None
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise NotPermittedError(f"did not become user {user!r} for good")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int | ctypes.c_char_p) -> None:
    argument = value if isinstance(value, ctypes.c_char_p) else ctypes.c_ulong(value)
    zero = ctypes.c_ulong(0)
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, zero, zero, zero) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
