"""The message rate of each worker over the last seconds; the status document has a history of the host only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reactorhost.ipc.status import StatusDocument

MOST_SAMPLES = 60


@dataclass(frozen=True, slots=True)
class WorkerTrends:
    """Samples by process id, one a second, the newest last; `end` is the Unix time of the newest."""

    end: float = 0.0
    samples: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    def after(self, document: StatusDocument) -> WorkerTrends:
        """Return the trends after a document. Workers that have ended are forgotten."""
        missed = int(document["time"]) - int(self.end)
        if missed <= 0:
            return self
        samples: dict[int, tuple[float, ...]] = {}
        for worker in document["workers"]:
            known = self.samples.get(worker["pid"], ())
            # Seconds without a document get the rate of this one.
            added = [worker["rates"]["messages"]] * (min(missed, MOST_SAMPLES) if known else 1)
            samples[worker["pid"]] = (*known, *added)[-MOST_SAMPLES:]
        return WorkerTrends(document["time"], samples)

    @property
    def highest(self) -> float:
        """The highest rate of any worker, to which all are compared."""
        return max((max(each) for each in self.samples.values()), default=0.0)
