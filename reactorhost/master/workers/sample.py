"""What one worker's page of the scoreboard held at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from reactorhost.ipc.scoreboard import Counters, Timings


@dataclass(frozen=True, slots=True)
class Sample:
    """One page; `timings` are those of the worker, then of its plugins in the order of `plugins`."""

    at: float
    counters: Counters
    timings: list[Timings]
    plugins: tuple[str, ...]
