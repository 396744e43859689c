"""The processor time of workers whose loop does not turn, read from the kernel: they do not write it to their page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reactorhost.ipc.counters import Counters
from reactorhost.system.procfs import cpu_seconds


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    cpu_seconds: float
    percent: float


@dataclass(slots=True)
class SilentProcesses:
    """The processor time of silent workers over about the last second; `reader` reads one process."""

    reader: Callable[[int], float | None] = cpu_seconds
    _readings: dict[int, _Reading] = field(default_factory=dict, init=False)

    def take(self, workers: Mapping[int, Counters], now: float) -> None:
        """Read the silent ones of these workers, by process id."""
        # Of others the page is as good, and a large host has many.
        silent = {pid: each for pid, each in workers.items() if each.silent_seconds(now) is not None}
        readings = {pid: self._read(pid, counters, now) for pid, counters in silent.items()}
        self._readings = {pid: reading for pid, reading in readings.items() if reading is not None}

    def _read(self, pid: int, counters: Counters, now: float) -> _Reading | None:
        used = self.reader(pid)
        before = self._readings.get(pid)
        # The first time since the last write to the page.
        at, used_before = (before.at, before.cpu_seconds) if before else (counters.tick, counters.cpu_seconds)
        if used is None or now <= at:
            return before
        # The kernel counts in ticks of a hundredth of a second, the page in microseconds.
        return _Reading(now, used, round(100 * max(0.0, used - used_before) / (now - at), 1))

    def cpu_percent(self, pid: int) -> float | None:
        """Return the processor time of a silent worker in percent of one processor; None of any other one."""
        reading = self._readings.get(pid)
        return None if reading is None else reading.percent
