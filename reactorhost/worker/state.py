"""The states of a worker and the transitions between them."""

from __future__ import annotations

import enum


class WorkerState(enum.Enum):
    """What a worker does; it never returns to an earlier state."""

    BOOTING = "booting"
    """Loads plugins and runs `worker_start`; accepts nothing."""
    SERVING = "serving"
    DRAINING = "draining"
    """Accepts nothing; waits for the open connections, at most until the deadline."""
    LEAVING = "leaving"
    """Has no clients; closes outbound connections, waits for threads, runs `worker_stop`."""


_NEXT = {
    # An order to drain may arrive while an async `worker_start` is awaited.
    WorkerState.BOOTING: (WorkerState.SERVING, WorkerState.DRAINING),
    WorkerState.SERVING: (WorkerState.DRAINING,),
    WorkerState.DRAINING: (WorkerState.LEAVING,),
    WorkerState.LEAVING: (),
}


class Lifecycle:
    """The current state of one worker.

    Attributes:
        state: changed by `enter` only.
    """

    def __init__(self) -> None:
        self.state = WorkerState.BOOTING

    @property
    def accepting(self) -> bool:
        """Whether new clients are accepted, now or after boot."""
        return self.state in (WorkerState.BOOTING, WorkerState.SERVING)

    def enter(self, state: WorkerState) -> None:
        """Change the state; a transition that is not in the table is a bug."""
        assert state in _NEXT[self.state], f"a worker cannot go from {self.state.value} to {state.value}"
        self.state = state
