"""Which worker owns the state: one at a time, also while an old and a new worker overlap in a reload.

    FREE      another process may own it; nothing is in memory
    WAITING   a client, or the start of the worker, needs it: the lock is tried every few milliseconds
    LOADING   the lock is there, and the snapshot is read, in steps
    OWNED     commands run
    LEAVING   the last snapshot is written, then the lock is released: FREE

In a reload the new worker waits while the old one has clients. When the old one drains, it closes each of its clients,
whose commands are all answered at that moment or wait for a list, writes the snapshot and releases the lock. The
clients of the new one are paused meanwhile, so their commands wait in the kernel.

An old worker without clients is not drained of any, and may live long because of the clients of other services. So a
worker that waits requests the state, over the bus, and an owner without clients leaves it. If a client then comes to
that owner nevertheless, it waits as any other worker does.

The owner holds its worker. So a worker that drains does not end before the snapshot is written: on a full disk it tries
again until there is room, at most until the host ends it. Then the hold is not released, for the host to report.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterator

from reactorhost import Worker, WorkerHold
from reactorhost_redisserver.snapshot import SnapshotError
from reactorhost_redisserver.storage import Storage

_TRY_SECONDS = 0.01
_TRIES_UNTIL_REQUEST = 25
_TRIES_UNTIL_LOGGED = 1000
_RETRY_SECONDS = 1.0
_TOPIC = "redisserver-wanted"


class State(enum.Enum):
    """How this worker is related to the state."""

    FREE = enum.auto()
    WAITING = enum.auto()
    LOADING = enum.auto()
    OWNED = enum.auto()
    LEAVING = enum.auto()


class Ownership:
    """The state machine of one worker.

    Attributes:
        state: where it is.
    """

    def __init__(
        self,
        worker: Worker,
        storage: Storage,
        *,
        on_owned: Callable[[], None],
        on_failed: Callable[[str], None],
        in_use: Callable[[], bool],
    ) -> None:
        self.state = State.FREE
        self._worker = worker
        self._storage = storage
        self._on_owned = on_owned
        self._on_failed = on_failed
        self._in_use = in_use
        self._tries = 0
        self._loading: Iterator[None] = iter(())
        self._hold: WorkerHold | None = None
        self._request = f"{os.uname().nodename}:{storage.path}:".encode() + storage.lock.host
        storage.on_end = self._saved
        worker.subscribe(_TOPIC, self._requested)

    def start(self) -> None:
        """Become the owner before returning if no other process is, and otherwise as soon as possible.

        Raises:
            SnapshotError: the snapshot is invalid.
            HandoverError: the owner cannot write it.
            OSError: it cannot be read.
        """
        if self._storage.own():
            for _ in self._storage.load():
                pass
            self._own()
        else:
            self._storage.check_handover()
            self.want()

    def want(self) -> None:
        """Become the owner as soon as possible."""
        if self.state is State.FREE:
            self.state = State.WAITING
            self._tries = 0
            self._try()

    def _try(self) -> None:
        try:
            owned = self._storage.own()
        except OSError as error:
            self._fail(error)
            return
        if owned:
            self.state = State.LOADING
            self._loading = self._storage.load()
            self._load()
            return
        if self._tries % _TRIES_UNTIL_REQUEST == 0:
            self._worker.publish(_TOPIC, self._request)
        self._tries += 1
        if self._tries == _TRIES_UNTIL_LOGGED:
            self._worker.log.warning(
                "another process has %s.lock for %g s now, so clients wait: another host with the same file, or a"
                " worker that does not end its clients",
                self._storage.path,
                _TRIES_UNTIL_LOGGED * _TRY_SECONDS,
            )
        self._worker.call_later(_TRY_SECONDS, self._try)

    def _load(self) -> None:
        try:
            next(self._loading)
        except StopIteration:
            self._own()
            self._on_owned()
        except (OSError, SnapshotError) as error:
            self._fail(error)
        else:
            self._worker.call_later(0, self._load)

    def _own(self) -> None:
        self.state = State.OWNED
        self._keep_worker("the keys are not saved")

    def _keep_worker(self, reason: str) -> None:
        """Hold the worker for another reason."""
        before = self._hold
        if before is not None and not before.active:
            # Of a worker that has waited for too long already. A new hold would not count, and the old one has to stay.
            return
        self._hold = self._worker.hold(reason, on_drain=self._drain)
        if before is not None:
            before.release()

    def _release(self) -> None:
        self._storage.release()
        self.state = State.FREE
        if self._hold is not None:
            self._hold.release()
            self._hold = None

    def _drain(self) -> None:
        if not self._in_use():
            self.leave()

    def _fail(self, error: Exception) -> None:
        self._worker.log.error("the snapshot %s cannot be read: %s", self._storage.path, error)
        self._release()
        self._on_failed("the snapshot cannot be read")

    def check(self) -> None:
        """Check that this worker is the only owner; called several times a second."""
        if self.state in (State.OWNED, State.LEAVING) and not self._storage.lock.keep():
            self._lose()

    def _lose(self) -> None:
        """Give up the state: another process has read an older one, and clients of its own change that."""
        path = self._storage.path
        try:
            saved = f"saved as {self._storage.save_aside()}"
        except OSError as error:
            saved = f"lost: {error}"
        self._worker.log.error(
            "%s.lock was removed, and another process owns the snapshot now; the keys of this one are %s", path, saved
        )
        self._release()
        self._on_failed("another process owns the snapshot")

    def _requested(self, topic: str, data: bytes) -> None:
        del topic
        if data == self._request and not self._in_use():
            self.leave()

    def leave(self) -> None:
        """Save what is not saved, and let another worker own the state."""
        if self.state is State.OWNED:
            self.state = State.LEAVING
            self._storage.check_file()
            self._save_and_release()

    def _save_and_release(self) -> None:
        self.check()
        if self.state is not State.LEAVING:
            return
        if self._storage.running or (self._storage.unsaved and self._storage.save_in_background()):
            return
        if self._storage.unsaved:
            self._retry()
            return
        self._release()
        if self._in_use():
            self.want()

    def _saved(self) -> None:
        if self.state is State.LEAVING:
            if self._storage.failed:
                self._retry()
            else:
                self._save_and_release()

    def _retry(self) -> None:
        # Without the file everything since the last snapshot would be lost, so nothing else may own it yet.
        self._keep_worker(f"{self._storage.problem}, so the snapshot {self._storage.path} is not written")
        self._worker.call_later(_RETRY_SECONDS, self._save_and_release)

    def save(self) -> None:
        """Begin to save what is not saved."""
        if self.state is State.OWNED and self._storage.unsaved and not self._storage.running:
            self._storage.save_in_background()

    def stop(self) -> None:
        """Save what is not saved, and release the lock: the worker is about to exit."""
        self.check()
        if self._storage.lock.held:
            self._storage.finish()
            self._storage.check_file()
            if self.state is not State.LOADING and self._storage.unsaved and not self._storage.save():
                self._storage.log_loss()
                # Not released: this worker has not done what it was held for.
                self._hold = None
        self._release()
