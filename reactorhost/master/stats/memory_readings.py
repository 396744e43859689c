"""The memory of processes, of which few are read at a time: the kernel computes it anew each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf


@dataclass(slots=True)
class MemoryReadings:
    """The memory of many processes, of which few are read again at a time: with many of them the values are older.

    Attributes:
        reader: reads one process.
        most_reads: how many processes are read again in `period_seconds`.
        least_seconds: a younger value is not read again.
        oldest_seconds: an older value is read at once: it was not requested for long.
    """

    reader: Callable[[int], int | None]
    most_reads: int
    period_seconds: float
    least_seconds: float
    oldest_seconds: float
    _known: dict[int, tuple[float, int | None]] = field(default_factory=dict, init=False)
    _period: int = field(default=0, init=False)
    _reads: int = field(default=0, init=False)

    def read(self, pid: int, now: float) -> int | None:
        """Return the memory of one process; `now` is monotonic seconds."""
        known = self._known.get(pid)
        age = inf if known is None else now - known[0]
        rounds = len(self._known) / self.most_reads
        # With many of them no sooner than all others: the first ones would use up what may be read, again and again.
        interval = max(self.least_seconds, rounds * self.period_seconds if rounds > 1 else 0.0)
        if known is None or age >= max(self.oldest_seconds, 2 * interval) or (age >= interval and self._may_read(now)):
            known = self._known[pid] = (now, self.reader(pid))
        return known[1]

    def _may_read(self, now: float) -> bool:
        if len(self._known) <= self.most_reads:
            return True
        period = int(now / self.period_seconds)
        if period != self._period:
            self._period, self._reads = period, 0
        self._reads += 1
        return self._reads <= self.most_reads

    def forget(self, pid: int) -> None:
        """Drop the cached value of a process that ended."""
        self._known.pop(pid, None)
