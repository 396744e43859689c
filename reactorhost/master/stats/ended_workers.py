"""What workers that ended have counted: with it, sums over all workers never fall."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from reactorhost import histogram
from reactorhost.ipc.counters import TOTALS, Counters, Timings
from reactorhost.master.plan.planner import Exit, ExitKind
from reactorhost.master.plan.worker_table import WorkerState
from reactorhost.master.workers.exit_report import ExitReport, Sample


class ExitReason(enum.StrEnum):
    """Why a worker ended; the values are public, in the metrics."""

    EXPECTED = "expected"
    NOT_BOOTED = "not_booted"
    CRASHED = "crashed"
    STUCK = "stuck"
    OUT_OF_MEMORY = "out_of_memory"


@dataclass(slots=True)
class EndedWorkers:
    """The counts of workers that ended, and how they ended.

    Attributes:
        slots: the counters that only grow, by slot.
        receive: timings of the whole `receive` in all of them.
        plugins: timings by plugin.
        exits: how many ended, by reason.
    """

    slots: dict[int, Counters] = field(default_factory=dict)
    receive: Timings = field(default_factory=Timings)
    plugins: dict[str, Timings] = field(default_factory=dict)
    exits: Counter[ExitReason] = field(default_factory=Counter)

    def add(self, slot: int, last: Sample) -> None:
        """Add the last sample of a worker that ended."""
        add_totals(self.slots.setdefault(slot, Counters()), last.counters)
        add_timings(self.receive, last.timings[0])
        for name, timings in plugin_timings(last):
            add_timings(self.plugins.setdefault(name, Timings()), timings)


def exit_reason(ended: Exit, report: ExitReport) -> ExitReason:
    """Return why a worker ended."""
    if report.out_of_memory:
        return ExitReason.OUT_OF_MEMORY
    if ended.worker.state is WorkerState.STUCK:
        return ExitReason.STUCK
    match ended.kind:
        case ExitKind.EXPECTED:
            return ExitReason.EXPECTED if report.is_orderly(ended.worker.reason) else ExitReason.CRASHED
        case ExitKind.NOT_BOOTED:
            return ExitReason.NOT_BOOTED
        case ExitKind.CRASHED:
            return ExitReason.CRASHED


def plugin_timings(sample: Sample) -> Iterator[tuple[str, Timings]]:
    """Yield the timings of each plugin of a worker."""
    # Not strict: only the first plugins of a worker have timings of their own (scoreboard.py).
    yield from zip(sample.plugins, sample.timings[1:], strict=False)


def add_totals(total: Counters, more: Counters) -> None:
    """Add the counters that only grow to a sum."""
    for name in TOTALS:
        setattr(total, name, getattr(total, name) + getattr(more, name))


def add_timings(total: Timings, *many: Timings) -> None:
    """Add timings to a sum."""
    total.calls += sum(each.calls for each in many)
    total.nanoseconds += sum(each.nanoseconds for each in many)
    total.errors += sum(each.errors for each in many)
    total.receive_nanoseconds += sum(each.receive_nanoseconds for each in many)
    total.waiting_nanoseconds += sum(each.waiting_nanoseconds for each in many)
    total.receive = histogram.total([total.receive, *(each.receive for each in many)])
