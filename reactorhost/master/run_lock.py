"""The lock of a run directory, which a master holds until it ends.

An instance runs exactly while its lock is held. It is a record lock (fcntl, not flock): the kernel reports the process
that holds it, so a process id that was reused is never mistaken for a master, and a forked worker does not inherit it.
POSIX drops a record lock when the process closes any descriptor of the file, so the master opens it once only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from pathlib import Path

from reactorhost.config.default_paths import Selection
from reactorhost.errors import AlreadyRunningError
from reactorhost.system.ownership import is_trusted

LOCK = "lock"
"""The file name of the lock in the run directory."""

# struct flock: type, whence, start, length, pid, and its padding to a multiple of 8 bytes.
_FLOCK = struct.Struct("@hhllii")


def take(run_dir: Path, selection: Selection) -> int:
    """Take the lock of a run directory; returns the descriptor of its file.

    Raises:
        AlreadyRunningError: another process has it.
        OSError: the file cannot be made.
    """
    path = run_dir / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            lock(descriptor, run_dir, selection)
        except AlreadyRunningError:
            os.close(descriptor)
            raise
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                # With read permission, any user could hold a shared lock on a file that a killed master left.
                os.fchmod(descriptor, 0o600)
                return descriptor
        # The last holder removed the file between open and lock: this lock is on a file without a name.
        os.close(descriptor)


def lock(descriptor: int, run_dir: Path, selection: Selection) -> None:
    """Lock the file of a descriptor; `selection` names the host in the message.

    Raises:
        AlreadyRunningError: another process has locked it.
    """
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = holder_pid(run_dir)
        what = f"a host already runs in {run_dir}" + (f", pid {holder}" if holder else "")
        other = "--run-dir" if selection.by_run_dir else "--name"
        hint = f"stop it with `reactorhost stop{selection.flags}`, or start another one with another {other}"
        raise AlreadyRunningError(what, hint=hint) from None


def holder_pid(run_dir: Path) -> int | None:
    """Return the process that holds the lock of a run directory, or None; another user's lock does not count."""
    # F_GETLK does not take the lock, so that a query never makes a start fail.
    try:
        # A link could lead to the lock of any process. Without NONBLOCK, a FIFO of that name would block here.
        descriptor = os.open(run_dir / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not is_trusted(os.fstat(descriptor).st_uid):
                return None
            found = fcntl.fcntl(file, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0, 0))
    except OSError:
        return None
    # The kernel writes the first conflicting lock over the request; without one, it sets the type to F_UNLCK.
    kind, _, _, _, pid, _ = _FLOCK.unpack(found)
    return None if kind == fcntl.F_UNLCK else int(pid)
