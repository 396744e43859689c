"""Recycling: the replacement of single workers on request."""

from __future__ import annotations

from collections.abc import Collection

from reactorhost.errors import ReactorhostError
from reactorhost.master.plan.watcher import Watcher
from reactorhost.master.plan.worker_table import WorkerRecord


class Recycling:
    """The workers that are being replaced, at most one in a slot."""

    def __init__(self) -> None:
        # By slot: the process id of the worker, and the client that requested it.
        self._requests: dict[int, tuple[int, Watcher]] = {}

    def __contains__(self, slot: int) -> bool:
        return slot in self._requests

    def request(self, worker: WorkerRecord, watcher: Watcher) -> None:
        """Replace a worker that is ready; the latest request for a slot is the one that counts."""
        self.fail(worker.slot, ReactorhostError(f"pid {worker.pid} was requested to be recycled again"))
        self._requests[worker.slot] = (worker.pid, watcher)

    def replacement_ready(self, worker: WorkerRecord) -> None:
        """Report that a slot has a new worker."""
        request = self._requests.pop(worker.slot, None)
        if request is not None:
            old_pid, watcher = request
            watcher.done(slot=worker.slot, old=old_pid, new=worker.pid)

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
        _, watcher = request
        watcher.failed(error)
        return True

    def keep_only(self, wanted: Collection[int]) -> None:
        """Give up the replacements in slots that the host was scaled below."""
        for slot in self._requests.keys() - wanted:
            self.fail(slot, ReactorhostError(f"slot {slot} is not wanted any more"))

    def abandon(self, error: ReactorhostError) -> None:
        """Give up every replacement."""
        for slot in tuple(self._requests):
            self.fail(slot, error)
