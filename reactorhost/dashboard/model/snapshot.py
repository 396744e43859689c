"""Snapshot: what is known of a host at one moment, and how the next document changes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reactorhost.ipc.status import History, StatusDocument, WorkerStatus

_MOST_SAMPLES = 300

ConnectionRow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trend:
    """The last minutes, one sample a second, the newest last; `end` is its Unix time in seconds."""

    end: float = 0.0
    messages: tuple[float, ...] = ()
    bytes_in: tuple[float, ...] = ()

    def after(self, document: StatusDocument) -> Trend:
        """Return the trend that a document continues: by its own history, or by one sample for a new second."""
        history = document["history"]
        if history is not None:
            return _told(history)
        now, rates = document["time"], document["rates"]
        missed = int(now) - int(self.end)
        if missed <= 0:
            return self
        # What was missed is drawn as what came then; who misses much asks for the history instead.
        again = min(missed, _MOST_SAMPLES) if self.messages else 1
        return Trend(
            now,
            (*self.messages, *[rates["messages"]] * again)[-_MOST_SAMPLES:],
            (*self.bytes_in, *[rates["bytes_in"]] * again)[-_MOST_SAMPLES:],
        )


@dataclass(frozen=True, slots=True)
class Link:
    """How it stands with the host; texts say more than colours, so `notice` may hold what a request came to.

    Attributes:
        lost_seconds: since when the host is gone, None while it is there.
        silent_seconds: how long it has not answered.
        source: what is said instead of the interval, such as `replay 2x`.
    """

    lost_seconds: int | None = None
    silent_seconds: int = 0
    source: str = ""
    notice: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Connections:
    """The connections of one worker, once it told them; `unanswered` if it did not in time."""

    pid: int | None = None
    rows: tuple[ConnectionRow, ...] = ()
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of a host.

    Attributes:
        document: the newest document, of which the header tells.
        body: the document that everything else shows: older than the newest while the view is paused.
        peak: most messages a second since the start of the view or the last reset.
    """

    document: StatusDocument
    body: StatusDocument
    trend: Trend
    peak: float
    link: Link = Link()
    connections: Connections = Connections()

    @property
    def workers(self) -> Sequence[WorkerStatus]:
        """The workers that are shown."""
        return self.body["workers"]

    def process(self, pid: int | None) -> WorkerStatus | None:
        """Return the worker with a process id."""
        return next((worker for worker in self.body["workers"] if worker["pid"] == pid), None)

    def with_peak_reset(self) -> Snapshot:
        """Return this with the peak that is now."""
        return replace(self, peak=self.document["rates"]["messages"])


def following(before: Snapshot | None, document: StatusDocument, *, paused: bool = False) -> Snapshot:
    """Return the snapshot that a new document makes of the one before."""
    if before is None or before.document["pid"] != document["pid"]:
        trend = Trend().after(document)
        peak = max((document["rates"]["messages"], *trend.messages))
        return Snapshot(document, document, trend, peak, Link(), Connections())
    return replace(
        before,
        document=document,
        body=before.body if paused else document,
        trend=before.trend.after(document),
        peak=max(before.peak, document["rates"]["messages"]),
    )


def _told(history: History) -> Trend:
    return Trend(history["end"], tuple(history["messages"]), tuple(history["bytes_in"]))
