"""What is known of a host at one moment, and how the next document changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reactorhost.dashboard.model.log_reader import LogLines
from reactorhost.dashboard.model.worker_trends import WorkerTrends
from reactorhost.ipc.connection_query import ConnectionQuery
from reactorhost.ipc.status import StatusDocument, WorkerStatus

_MOST_SAMPLES = 300

ConnectionRow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trend:
    """The last minutes, one sample per second, the newest last; `end` is the Unix time of the newest."""

    end: float = 0.0
    messages: tuple[float, ...] = ()
    bytes_in: tuple[float, ...] = ()

    def after(self, document: StatusDocument) -> Trend:
        """Return the trend after a document: its history if it has one, else one more sample for each new second."""
        history = document["history"]
        if history is not None:
            return Trend(history["end"], tuple(history["messages"]), tuple(history["bytes_in"]))
        now, rates = document["time"], document["rates"]
        missed = int(now) - int(self.end)
        if missed <= 0:
            return self
        # Seconds without a document get the rate of this one. With a long interval, the source requests the history.
        repeats = min(missed, _MOST_SAMPLES) if self.messages else 1
        return Trend(
            now,
            (*self.messages, *[rates["messages"]] * repeats)[-_MOST_SAMPLES:],
            (*self.bytes_in, *[rates["bytes_in"]] * repeats)[-_MOST_SAMPLES:],
        )


@dataclass(frozen=True, slots=True)
class Link:
    """The state of the link to the host.

    Attributes:
        lost_seconds: how long the host has been gone; None while it runs.
        silent_seconds: how long a request has been unanswered.
        source: what the header shows in place of the interval, such as `replay 2x`.
        notice: the progress or the result of a request.
        failed: whether the request failed.
    """

    lost_seconds: int | None = None
    silent_seconds: int = 0
    source: str = ""
    notice: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Connections:
    """Connections, or groups of them.

    Attributes:
        query: what was requested; None while there is no reply.
        rows: the first rows, in the order of the query.
        matched: how many connections the query matches.
        total: how many connections the workers have.
        groups: how many groups there are; None without groups.
        unanswered: slot and process id of the workers that did not answer in time.
    """

    query: ConnectionQuery | None = None
    rows: tuple[ConnectionRow, ...] = ()
    matched: int = 0
    total: int = 0
    groups: int | None = None
    unanswered: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of a host.

    Attributes:
        document: the newest document, shown by the header.
        body: the document that the rest of the screen shows; while the view is paused, an older one.
        trend: the rates of the last minutes.
        peak: the highest rate of messages since the start of the view or the last reset.
        link: the state of the link to the host.
        connections: the connections that the page shows.
        worker_trends: the rates of the workers up to `body`.
        log: the log file of the host, while its page is shown.
    """

    document: StatusDocument
    body: StatusDocument
    trend: Trend
    peak: float
    link: Link = Link()
    connections: Connections = Connections()
    worker_trends: WorkerTrends = field(default_factory=WorkerTrends)
    log: LogLines | None = None

    def worker(self, pid: int | None) -> WorkerStatus | None:
        """Return the worker with this process id, or None."""
        return next((worker for worker in self.body["workers"] if worker["pid"] == pid), None)

    def with_peak_reset(self) -> Snapshot:
        """Return this snapshot with the current rate as its peak."""
        return replace(self, peak=self.document["rates"]["messages"])


def following(before: Snapshot | None, document: StatusDocument, *, paused: bool = False) -> Snapshot:
    """Return the snapshot after a new document. A document of another master starts anew."""
    # The process id, because a restarted host has the same name and socket, but counts from zero.
    if before is None or before.document["pid"] != document["pid"]:
        trend = Trend().after(document)
        peak = max((document["rates"]["messages"], *trend.messages))
        trends = WorkerTrends().after(document)
        return Snapshot(document, document, trend, peak, Link(), Connections(), trends)
    return replace(
        before,
        document=document,
        body=before.body if paused else document,
        trend=before.trend.after(document),
        peak=max(before.peak, document["rates"]["messages"]),
        # Frozen with the body: while the view is paused, a row and its trend are of the same moment.
        worker_trends=before.worker_trends if paused else before.worker_trends.after(document),
    )
