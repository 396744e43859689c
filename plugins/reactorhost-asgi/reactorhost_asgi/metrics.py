"""What a worker counts: requests, answers by class of status and by duration, WebSockets."""

from __future__ import annotations

from bisect import bisect_right

from reactorhost import Worker

_BOUNDS = (0.01, 0.1, 1.0, 10.0)
_DURATIONS = ("in_10ms", "in_100ms", "in_1s", "in_10s", "slower")


class Metrics:
    """The counters of one worker; `status` shows their sums over all workers.

    The durations are those of answers to HTTP requests, from the end of the headers to the end of the answer, each in
    one of five classes: sums over workers would make nothing of a mean or a quantile.
    """

    def __init__(self, worker: Worker) -> None:
        self.requests = worker.counter("requests")
        self.websockets = worker.counter("websockets")
        self.failures = worker.counter("failures")
        self._by_class = [worker.counter(f"answers_{digit}xx") for digit in range(1, 6)]
        self._abandoned = worker.counter("abandoned")
        self._by_duration = [worker.counter(f"answered_{name}") for name in _DURATIONS]

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer; status 0 is that of a client that has left before it."""
        self.requests.add()
        if not status:
            self._abandoned.add()
            return
        self._by_class[status // 100 - 1].add()
        self._by_duration[bisect_right(_BOUNDS, seconds)].add()
