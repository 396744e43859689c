"""Scaling: reports to the client that requested a number of workers until the host has it."""

from __future__ import annotations

from reactorhost.errors import BootError, ReactorhostError
from reactorhost.master.plan.watcher import Watcher


class Scaling:
    """The newest request; an earlier one ends when it is superseded. The number itself is the planner's `target`."""

    def __init__(self) -> None:
        self._watcher: Watcher | None = None
        self._reported = -1

    def request(self, watcher: Watcher) -> None:
        """Report to this client from now on."""
        self.fail(ReactorhostError("superseded by another request to scale"))
        self._watcher, self._reported = watcher, -1

    def report(self, ready: int, target: int, draining: int, *, reached: bool) -> None:
        """Report the workers that are ready if their number changed, and the end if the target is reached."""
        watcher = self._watcher
        if watcher is None:
            return
        if ready != self._reported:
            self._reported = ready
            watcher.progress(f"{ready} of {target} workers ready", done=ready, total=target)
        if reached:
            self._watcher = None
            watcher.done(workers=target, draining=draining)

    def worker_failed(self, slot: int, error: ReactorhostError) -> None:
        """Stop reporting because a worker did not boot; the slot is retried all the same."""
        what = f"slot {slot} is not ready: {error.what}"
        self.fail(BootError(what, where=error.where, hint="the host keeps trying", details=error.details))

    def fail(self, error: ReactorhostError) -> None:
        """End with a failure."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.failed(error)
