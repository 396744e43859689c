"""The snapshot of one server on a disk: what of the state it has, and whether it can be written."""

from __future__ import annotations

import errno
import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from reactorhost import Watch, Worker
from reactorhost_redisserver.keyspace import Keyspace
from reactorhost_redisserver.lock import StateLock
from reactorhost_redisserver.snapshot import read_snapshot, write_snapshot

_FAILED = 255
"""Exit status of a background process that has failed for another reason than an error of the system."""
_LOG_AGAIN_SECONDS = 60.0


class HandoverError(Exception):
    """The owner could not hand the keys over; the text says why."""


class Storage:
    """The snapshot of a keyspace.

    Attributes:
        path: its file.
        lock: what another process must not have while this one uses the state.
        saved_at: when it was written last, in Unix seconds.
        problem: why the last attempt has failed, or empty.
        on_end: called when a snapshot was written in the background, or could not be.
    """

    def __init__(self, worker: Worker, path: Path, keyspace: Keyspace) -> None:
        self.path = path
        self.lock = StateLock(worker, path.with_name(f"{path.name}.lock"))
        self.saved_at = 0.0
        self.problem = ""
        self.on_end: Callable[[], None] = lambda: None
        self._worker = worker
        self._keyspace = keyspace
        self._saved_changes = 0
        self._has_file = False
        self._logged_at = 0.0
        self._child: _Child | None = None

    @property
    def failed(self) -> bool:
        """Whether the last attempt has failed."""
        return bool(self.problem)

    @property
    def running(self) -> bool:
        """Whether a snapshot is being written in the background."""
        return self._child is not None

    @property
    def unsaved(self) -> int:
        """How many changes are not in the snapshot."""
        return self._keyspace.changes - self._saved_changes

    def own(self) -> bool:
        """Acquire the lock if it is free, and no other host may need it.

        Raises:
            OSError: its file cannot be opened.
        """
        owned = self.lock.acquire()
        if owned:
            self.lock.note_owner(saved=not self.failed)
        return owned

    def check_handover(self) -> None:
        """Check that the owner, another worker of this host, can write the snapshot.

        It keeps the keys until it can, but nothing is served meanwhile. So a worker that would replace it does not
        start.

        Raises:
            HandoverError: it cannot.
            OSError: the file of the lock cannot be read.
        """
        saved = self.lock.owner_has_saved()
        if saved is None:
            return
        if not saved:
            raise HandoverError("the last attempt has failed, see the log of the host")
        disk = os.statvfs(self.path.parent)
        size, free = self.path.stat().st_size if self.path.exists() else 0, disk.f_bavail * disk.f_frsize
        if free < size:
            raise HandoverError(f"it needs about {size} bytes beside the old one, and the disk has {free}")

    def check_file(self) -> None:
        """Count everything as unsaved if the file was removed, so that a handover does not lose it."""
        if self._has_file and not self.path.exists():
            self._has_file = False
            self._saved_changes = -1

    def load(self) -> Iterator[None]:
        """Read the snapshot, in steps; see `read_snapshot`."""
        yield from read_snapshot(self.path, self._keyspace)
        self._saved_changes = self._keyspace.changes
        try:
            self.saved_at = self.path.stat().st_mtime
            self._has_file = True
        except FileNotFoundError:
            self.saved_at = time.time()

    def save(self) -> bool:
        """Write the snapshot before returning; returns whether it is written."""
        self.finish()
        try:
            write_snapshot(self.path, self._keyspace)
        except OSError as error:
            self._saved(error.errno or _FAILED, self._keyspace.changes)
        else:
            self._saved(0, self._keyspace.changes)
        return not self.failed

    def log_loss(self) -> None:
        """Log what is lost when this worker exits now, after a save that has failed."""
        keys = _counted(self._keyspace.count, "key")
        lost = f"lost all of {keys}"
        if self._has_file:
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.saved_at))
            lost = f"lost {_counted(self.unsaved, 'change')} since {since}, in a state of {keys}"
        self._worker.log.error(
            "%s: the snapshot %s is not written: %s; make room on the disk before the next start",
            lost,
            self.path,
            self.problem,
        )

    def save_aside(self) -> Path:
        """Write the keys beside the snapshot, which belongs to another process now; returns the file.

        Raises:
            OSError: it cannot be written.
        """
        self.finish()
        path = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        write_snapshot(path, self._keyspace)
        return path

    def save_in_background(self) -> bool:
        """Begin to write the snapshot in a process of its own; returns whether that has begun."""
        changes = self._keyspace.changes
        try:
            pid = os.fork()
        except OSError as error:
            self._saved(error.errno or _FAILED, changes)
            return False
        if not pid:
            self._write_and_exit()
        self._child = _Child(self._worker, pid, changes, self._child_ended)
        return True

    def _write_and_exit(self) -> None:
        status = _FAILED
        try:
            # A collection would touch every object, and so copy its page.
            gc.disable()
            write_snapshot(self.path, self._keyspace)
            status = 0
        except OSError as error:
            status = error.errno or _FAILED
        except MemoryError:
            status = errno.ENOMEM
        finally:
            os._exit(status)

    def _child_ended(self) -> None:
        self.finish()
        self.on_end()

    def finish(self) -> None:
        """Wait for the process that writes in the background."""
        child, self._child = self._child, None
        if child:
            self._saved(child.wait(), child.changes)

    def _saved(self, status: int, changes: int) -> None:
        before, self.problem = self.problem, _problem(status)
        self.lock.note_owner(saved=not status)
        if not status:
            self._saved_changes = changes
            self._has_file = True
            self.saved_at = time.time()
        elif self.problem != before or self._worker.now() - self._logged_at >= _LOG_AGAIN_SECONDS:
            # A worker that drains tries once a second.
            self._logged_at = self._worker.now()
            self._worker.log.error("the snapshot %s is not written: %s", self.path, self.problem)

    def release(self) -> None:
        """Let another process own the state, and forget it. What is not saved is lost."""
        self.finish()
        self.lock.release()
        # Last, because it takes a while, and the next owner can begin. This worker may live on without the state.
        self._keyspace.clear()


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _problem(status: int) -> str:
    """Return why a process with this exit status has not written the snapshot; empty if it has."""
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    if status == _FAILED:
        return "its process has failed"
    return os.strerror(status) if status else ""


class _Child:
    """The process that writes a snapshot.

    Attributes:
        changes: how many changes the snapshot has.
    """

    def __init__(self, worker: Worker, pid: int, changes: int, on_end: Callable[[], None]) -> None:
        self.changes = changes
        self._pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._watch: Watch = worker.watch(self._descriptor, on_readable=on_end)

    def wait(self) -> int:
        """Return its exit status, as `os.waitstatus_to_exitcode` does."""
        self._watch.cancel()
        os.close(self._descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
