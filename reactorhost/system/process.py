"""Set up a forked process: signals, name, crash dumps, limits, privileges, the signal at the end of its parent.

The order matters: `tie_to_parent` comes after `drop_privileges`, because a change of user clears that request.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import signal
from types import FrameType

from reactorhost.errors import NotPermittedError
from reactorhost.system.account import Account
from reactorhost.system.libc import last_error, libc

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

# Signals for the master. Ctrl-C and the hangup of a terminal are sent to its whole process group.
_FOR_MASTER = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU)
_OF_TERMINAL = (signal.SIGTTIN, signal.SIGTTOU)

# With few descriptors, most of them are for listeners and workers.
_SHARE_OF_DESCRIPTORS = 4


def reset_signals() -> None:
    """Remove the parent's handlers, ignore signals that are for the master, and unblock all signals."""
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    # Not SIG_IGN: a program that a plugin starts inherits that, but never a handler.
    for number in _FOR_MASTER:
        signal.signal(number, _ignore)
        signal.siginterrupt(number, False)
    if any(map(os.isatty, (0, 1, 2))):
        # The kernel sends these for the use of the terminal from the background, TTOU only after `stty tostop`. It
        # repeats the call after a handler, without end, and sends them to the master too.
        for number in _OF_TERMINAL:
            signal.signal(number, signal.SIG_IGN)
    # Without PIPE a write to a client that is gone fails with EPIPE in place of ending the worker.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # `fork` blocked them all. Last: one that waited must not find the parent's handler.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def stop_ignoring_signals() -> None:
    """Restore Python's defaults of the signals that `reset_signals` ignores; those that a plugin handles stay."""
    for number in _FOR_MASTER:
        handler = signal.getsignal(number)
        if handler is _ignore or (handler is signal.SIG_IGN and number in _OF_TERMINAL):
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing."""


def tie_to_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Request a signal from the kernel when the parent ends (PR_SET_PDEATHSIG), in place of an earlier request.

    Call it after `drop_privileges`: the kernel clears the request when the user changes. If the parent has ended before
    this call, no signal comes; the worker notices by the end of file on its line to the master. PDEATHSIG in turn
    reaches a worker that is stuck and does not read its line.
    """
    _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number))


def adopt_orphans() -> None:
    """Become the parent of what child processes have started, when these end (PR_SET_CHILD_SUBREAPER)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))


def name_process(name: str) -> None:
    """Set the name that `ps` and `top` show; the kernel keeps 15 bytes."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]))


def dump_stacks_on_crash(descriptor: int) -> None:
    """Write the Python stack to `descriptor` on SEGV, FPE, ABRT, BUS and ILL; the master reads and logs it.

    Only the stack of the thread that gets the signal is written. The kernel delivers ABRT of the master to the main
    thread, which is the one of the event loop.
    """
    faulthandler.enable(descriptor, all_threads=False)


def raise_descriptor_limit() -> None:
    """Raise the limit of open descriptors to the maximum for this user."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def client_limit(most: int) -> int:
    """Return how many clients a server of the master may have: `most`, or fewer with few descriptors."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if limit == resource.RLIM_INFINITY else min(most, limit // _SHARE_OF_DESCRIPTORS)


def require_free_descriptors(count: int) -> None:
    """Make sure that so many descriptors can be opened.

    Raises:
        OSError: the limit is closer.
    """
    opened: list[int] = []
    try:
        for _ in range(count):
            opened.append(os.dup(0))  # noqa: PERF401  closed on failure too
    finally:
        for descriptor in opened:
            os.close(descriptor)


def drop_privileges(account: Account) -> None:
    """Change user, group and the variables of the user irrevocably, and verify it.

    Group before user: without root's rights the group cannot be changed any more. `setresuid` sets the saved id too;
    with `setuid` in a process that is not root, the old user could be restored.

    Raises:
        NotPermittedError: the process lacks the rights, or could change back.
    """
    # Even if the ids are the same: `sudo -u USER` may leave HOME as it was.
    os.environ.update(account.environment)
    uid, gid = account.uid, account.gid
    if (os.geteuid(), os.getegid()) == (uid, gid):
        return
    try:
        if account.user is None:
            os.setgroups([gid])
        else:
            os.initgroups(account.user, gid)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except PermissionError:
        raise NotPermittedError(
            f"cannot change to {account}: not permitted", hint="start as root, or without --user and --group"
        ) from None
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise NotPermittedError(f"the change to {account} could be undone")
    _prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1))


def _prctl(option: int, argument: ctypes.c_ulong | ctypes.c_char_p) -> None:
    zero = ctypes.c_ulong(0)
    if libc().prctl(option, argument, zero, zero, zero) != 0:
        raise last_error()
