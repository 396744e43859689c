"""The lock by which one process at a time owns the state of a server.

It is a flock(2) of a file beside the snapshot. It belongs to the open file, which the process that writes a snapshot in
the background inherits: as long as that one writes, no other worker owns the state, even if the worker that has started
it was killed. The kernel releases the lock when both have ended.

Between two workers of a host, in a reload or after a crash, the lock is free for a moment. So its file has the host of
the last owner, and the worker of another host does not use the lock while that host may still need it.

If the file is removed, another worker could make a new one and lock that. So the owner looks after it several times a
second, and makes it again. A worker that waits for a file that has gone leaves it to the owner for a while.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from reactorhost import Worker

_NOT_SAVED = b"not saved\n"
"""Behind the host in the file, while the owner cannot write the snapshot."""
_HANDOVER_SECONDS = 10.0
"""How long the lock must be free until another host uses it, if that of the last owner runs: it may have been given
another file."""
_MISSING_SECONDS = 1.0


class StateLock:
    """The lock in a file, as one process uses it.

    Attributes:
        path: the file.
        host: identifies the host on this machine; empty if it is not known.
    """

    def __init__(self, worker: Worker, path: Path) -> None:
        self.path = path
        # The master is the same process after an upgrade.
        self.host = _running(os.getppid())
        self._worker = worker
        self._descriptor: int | None = None
        self._noted = self.host
        self._free_since: float | None = None
        self._missing_since: float | None = None
        self._seen = False

    @property
    def held(self) -> bool:
        """Whether this process has the lock."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Acquire the lock if it is free, and no other host may need it.

        Raises:
            OSError: its file cannot be opened.
        """
        try:
            descriptor = self._open()
        except FileNotFoundError:
            if not self._is_lost():
                return False
            descriptor = self._open(os.O_CREAT)
        self._missing_since = None
        self._seen = True
        if not _locked(descriptor):
            self._free_since = None
            return False
        self._descriptor = descriptor
        if self._is_needed_elsewhere(os.pread(descriptor, 64, 0).removesuffix(_NOT_SAVED)):
            self.release()
            return False
        self._free_since = None
        return True

    def _open(self, flags: int = 0) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)

    def _is_lost(self) -> bool:
        """Return whether to make the file: at the beginning, or if no owner has done it for a second."""
        now = self._worker.now()
        if self._missing_since is None:
            self._missing_since = now
        return not self._seen or now - self._missing_since >= _MISSING_SECONDS

    def _is_needed_elsewhere(self, last: bytes) -> bool:
        if not last or last == self.host or last != _running(int(last.split()[0])):
            return False
        now = self._worker.now()
        if self._free_since is None:
            self._free_since = now
        return now - self._free_since < _HANDOVER_SECONDS

    def note_owner(self, *, saved: bool) -> None:
        """Write into the file which host has the lock, and whether its state is saved."""
        self._noted = self.host if saved else self.host + _NOT_SAVED
        if self._descriptor is not None:
            self._write(self._descriptor)

    def _write(self, descriptor: int) -> None:
        # On a full disk the file may stay empty: then the next owner may be of any host.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, len(self.host))
            os.pwrite(descriptor, self._noted, 0)

    def owner_has_saved(self) -> bool | None:
        """Return what `note_owner` has written; None if the owner is not of this host, or not known.

        Raises:
            OSError: the file cannot be read.
        """
        with contextlib.suppress(FileNotFoundError):
            last = self.path.read_bytes()
            if self.host and last.startswith(self.host):
                return last == self.host
        return None

    def keep(self) -> bool:
        """Make the file again if it was removed; returns False if another process has a lock of its own since then."""
        assert self._descriptor is not None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(self.path), os.fstat(self._descriptor)):
                return True
        try:
            descriptor = self._open(os.O_CREAT)
        except OSError:
            # No other process can make it either.
            return True
        if not _locked(descriptor):
            return False
        self._write(descriptor)
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._worker.log.warning("made %s again, because it was removed", self.path)
        return True

    def release(self) -> None:
        """Let another process acquire the lock."""
        if self._descriptor is not None:
            # Not by closing alone: a process that another plugin has forked may have the open file too.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = None


def _locked(descriptor: int) -> bool:
    """Lock an open file, or close it if another process has it locked; returns whether it is locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True


def _running(pid: int) -> bytes:
    """Return what identifies a process among all since the boot of the machine; empty if it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return b""
    # The state, and the time of the start: process ids are used again.
    return b"" if fields[0] == b"Z" else b"%d %s\n" % (pid, fields[19])
