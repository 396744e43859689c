"""The operations that replace workers: a reload, and recycling.

A reload replaces the workers of all slots:

    IDLE -> CHOOSING <-> REPLACING     CHOOSING -> IDLE when every slot was replaced     any -> IDLE when it fails

The first slot is the canary: one replacement that does not become ready ends the reload, and every worker that was not
replaced serves on. A request that arrives during a reload starts another one after it, because code that was read
before the request may be older than what the request is about; one reload serves all requests that waited.

Recycling replaces single workers on request, at most one in a slot. Where a reload replaces the worker anyway, its
replacement ends both.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Collection, Iterable, Sequence

from reactorhost.errors import ReactorhostError, counted, failure_of
from reactorhost.master.plan import progress
from reactorhost.master.plan.progress import BootProgress, Watcher
from reactorhost.master.plan.slot import Backoff
from reactorhost.master.plan.worker_table import WorkerRecord


class ReloadState(enum.Enum):
    """How far a reload is: it has to choose the next slot (CHOOSING), or its replacement boots in `slot`."""

    IDLE = "idle"
    CHOOSING = "choosing"
    REPLACING = "replacing"


class Reload:
    """The reload of a host, the same object for one after the other.

    Attributes:
        requested: another reload is to start.
        generation: number that the replacements have; 0 before the first reload.
        waiting: slots that are still to be replaced, the next one first.
        slot: slot whose replacement boots, or -1.
        replaced: replacements that became ready.
        total: slots that are replaced in this reload.
        error: why the newest reload failed, or None.
    """

    def __init__(self) -> None:
        self.state = ReloadState.IDLE
        self.requested = False
        self.generation = 0
        self.waiting: list[int] = []
        self.slot = -1
        self.replaced = 0
        self.total = 0
        self.error: ReactorhostError | None = None
        self._reported: BootProgress | None = None
        self._watchers: list[Watcher] = []
        self._queue: list[Watcher] = []

    @property
    def running(self) -> bool:
        """Whether a reload runs."""
        return self.state is not ReloadState.IDLE

    def request(self, watcher: Watcher | None = None) -> None:
        """Start a reload as soon as none runs."""
        self.requested = True
        if watcher is not None:
            self._queue.append(watcher)
            if self.running:
                watcher.progress("waiting for the reload that is running")

    def begin(self, generation: int, slots: Sequence[int]) -> None:
        """Start the requested reload; all watchers that waited follow it."""
        # Here and not at the end: a request from now on is about code that this reload may not have read.
        self.state, self.requested = ReloadState.CHOOSING, False
        self._watchers, self._queue = self._queue, []
        self.generation, self.waiting = generation, list(slots)
        self.replaced, self.total, self.error = 0, len(self.waiting), None

    def choose(self, wanted: Collection[int]) -> int | None:
        """Return the slot to replace now, or None; slots that are not wanted are skipped, the present one too."""
        if self.state is ReloadState.REPLACING and self.slot not in wanted:
            self._continue()
        while self.state is ReloadState.CHOOSING and self.waiting:
            # One at a time: of N workers at least N - 1 serve, and memory for one more is enough.
            slot = self.waiting.pop(0)
            if slot in wanted:
                self.state, self.slot = ReloadState.REPLACING, slot
                return slot
        return None

    def replaces(self, slot: int) -> bool:
        """Say whether a replacement boots in this slot."""
        return self.state is ReloadState.REPLACING and self.slot == slot

    def is_replacement(self, worker: WorkerRecord) -> bool:
        """Say whether this worker is the replacement that boots."""
        # The slot may also have a worker of the old generation that booted when the reload began.
        return self.replaces(worker.slot) and worker.generation == self.generation

    def replacement_ready(self, pid: int, old_pids: Sequence[int]) -> None:
        """Record that the replacement is ready; `old_pids` drain from now on."""
        self.replaced += 1
        old = ", ".join(str(each) for each in old_pids) or "none"
        text = f"slot {self.slot}: pid {old} -> {pid} ready ({self.replaced} of {self.total})"
        for watcher in self._watchers:
            watcher.progress(text, done=self.replaced, total=self.total)
        self._continue()

    def report(self, workers: Iterable[WorkerRecord], now: float) -> None:
        """Report what the replacement does, if that has changed."""
        booting = progress.slowest(worker for worker in workers if self.is_replacement(worker))
        if booting is None or booting == self._reported:
            return
        self._reported = booting
        text = f"{self.replaced} of {counted(self.total, 'worker')} replaced"
        text, fields = progress.of_boots(text, booting, now)
        for watcher in self._watchers:
            watcher.progress(text, done=self.replaced, total=self.total, **fields)

    def finish(self) -> bool:
        """End the reload if every slot was replaced; returns whether it ended now."""
        if self.state is not ReloadState.CHOOSING or self.waiting:
            return False
        for watcher in self._end():
            watcher.done(generation=self.generation, replaced=self.replaced)
        return True

    def fail(self, error: ReactorhostError, serving: str) -> None:
        """End the reload: its replacement did not become ready. Requests that wait are not affected.

        Args:
            error: why it did not become ready.
            serving: what serves now, for those who watch.
        """
        self.error = error
        failure = failure_of(f"reload failed at slot {self.slot} ({serving})", error)
        for watcher in self._end():
            watcher.failed(failure)

    def abandon(self, error: ReactorhostError) -> None:
        """End the reload and drop the requests that wait."""
        watchers = [*self._end(), *self._queue]
        self.requested, self._queue = False, []
        for watcher in watchers:
            watcher.failed(error)

    def _continue(self) -> None:
        self.state, self.slot = ReloadState.CHOOSING, -1

    def _end(self) -> list[Watcher]:
        self.state, self.slot, self.waiting = ReloadState.IDLE, -1, []
        watchers, self._watchers = self._watchers, []
        return watchers


class Recycling:
    """The workers that are being replaced, at most one in a slot.

    Attributes:
        backoff: replacements in a row that did not boot, and the delay before limits cause another one.
    """

    def __init__(self) -> None:
        self.backoff = Backoff()
        # By slot: the process id of the worker, and the client that requested it.
        self._requests: dict[int, tuple[int, Watcher]] = {}

    def __contains__(self, slot: int) -> bool:
        return slot in self._requests

    @property
    def running(self) -> bool:
        """Whether a worker is being replaced."""
        return bool(self._requests)

    def request(self, worker: WorkerRecord, watcher: Watcher) -> None:
        """Replace a worker that is ready; the latest request for a slot is the one that counts."""
        self.fail(worker.slot, ReactorhostError(f"pid {worker.pid} was requested to be recycled again"))
        self._requests[worker.slot] = (worker.pid, watcher)

    def replacement_ready(self, worker: WorkerRecord) -> None:
        """Report that a slot has a new worker."""
        self.backoff = Backoff()
        request = self._requests.pop(worker.slot, None)
        if request is not None:
            old_pid, watcher = request
            watcher.done(slot=worker.slot, old=old_pid, new=worker.pid)

    def not_booted(self, slot: int, error: ReactorhostError, now: float, jitter: random.Random) -> bool:
        """Report that the worker that was forked in a slot did not boot; returns whether it was a replacement."""
        if slot in self:
            self.backoff.add_boot_failure(now, jitter)
        return self.fail(slot, error)

    def worker_ended(self, pid: int) -> None:
        """Report that a worker ended before its replacement was ready; its slot is filled as after any crash."""
        for slot, (old_pid, _) in tuple(self._requests.items()):
            if old_pid == pid:
                self.fail(slot, ReactorhostError(f"pid {pid} ended before its replacement was ready"))

    def fail(self, slot: int, error: ReactorhostError) -> bool:
        """Give up the replacement in a slot; returns whether there was one."""
        request = self._requests.pop(slot, None)
        if request is None:
            return False
        request[1].failed(error)
        return True

    def keep_only(self, wanted: Collection[int]) -> None:
        """Give up the replacements in slots that the host was scaled below."""
        for slot in self._requests.keys() - wanted:
            self.fail(slot, ReactorhostError(f"slot {slot} is not wanted any more"))

    def abandon(self, error: ReactorhostError) -> None:
        """Give up every replacement."""
        for slot in tuple(self._requests):
            self.fail(slot, error)
