"""The counters of a worker and the timings of its hooks, as they are stored on its page of the scoreboard."""

from __future__ import annotations

from dataclasses import dataclass, field

from reactorhost.histogram import BUCKETS

HEARTBEAT_SECONDS = 0.25
"""The most between two heartbeats of a loop that turns."""

SILENT_SECONDS = 1.0
"""A loop that has not turned for so long is silent."""


@dataclass(slots=True)
class Counters:
    """The stats of one worker, in the order of the fields on its page.

    Attributes:
        pid: process that wrote the page; 0 before the first write.
        tick: monotonic seconds of the last write.
        heartbeat: monotonic seconds by which the master finds a loop that does not turn: it is never more than a
            quarter of a second old while the loop turns, and in the future while an idle worker writes less often.
        connections: open now, pending handshakes included.
        accepted: connections accepted.
        refused: connections that a plugin ended in its `connect` hook, or that failed before it.
        denied: connections and datagrams refused because of their network.
        over_address_limit: connections refused because their address has as many as it may have.
        late_messages: connections closed because a message was not complete in time.
        rate_pauses: how often accepting paused because of `accept_rate`.
        messages: calls of `receive`.
        bytes_in: bytes received.
        bytes_out: bytes that the kernel accepted.
        hook_errors: exceptions in hooks.
        accept_pauses: how often accepting paused because descriptors or memory ran out.
        rss_peak_bytes: largest resident memory so far.
        cpu_seconds: processor time used so far, user and system.
        lag_max_seconds: longest turn of the loop in about the last second.
        busy_seconds: time that the loop did not wait so far; of a worker with an event loop of asyncio, only the turns
            of the reactor in it.
        bus_groups: groups that have members among this worker's connections now.
        bus_members: memberships of this worker's connections now; one in three groups counts three times.
        bus_in: messages of other workers that arrived and were wanted here.
        bus_out: messages that plugins of this worker published to topics, groups and refs.
        bus_dropped: messages lost on their way to or from other workers, as far as this worker knows.
        jobs_until: monotonic seconds up to which this worker, as the leader, has started the jobs of the host.
        jobs_until_unix: the same by the wall clock.
    """

    pid: int = 0
    tick: float = 0.0
    heartbeat: float = 0.0
    connections: int = 0
    accepted: int = 0
    refused: int = 0
    denied: int = 0
    over_address_limit: int = 0
    late_messages: int = 0
    rate_pauses: int = 0
    messages: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    hook_errors: int = 0
    accept_pauses: int = 0
    rss_peak_bytes: int = 0
    cpu_seconds: float = 0.0
    lag_max_seconds: float = 0.0
    busy_seconds: float = 0.0
    bus_groups: int = 0
    bus_members: int = 0
    bus_in: int = 0
    bus_out: int = 0
    bus_dropped: int = 0
    jobs_until: float = 0.0
    jobs_until_unix: float = 0.0

    def silent_seconds(self, now: float) -> float | None:
        """Return how long the loop has not turned; None below a second, and before its first turn."""
        silent = now - self.heartbeat
        return silent if self.heartbeat and silent >= SILENT_SECONDS else None

    def lag_seconds(self, now: float) -> float:
        """Return the longest turn of about the last second, or the age of the present turn if that is longer."""
        # An overdue heartbeat shows that a turn lasts. One that is due says nothing yet.
        present = self.silent_seconds(now) or now - self.heartbeat - HEARTBEAT_SECONDS
        return max(self.lag_max_seconds, present)


@dataclass(slots=True)
class Timings:
    """Sampled calls: of `receive` as a whole on a worker's page, and of each plugin's hooks.

    Attributes:
        calls: calls of `receive` that were timed.
        nanoseconds: time on the loop in all timed hooks, without the time of other plugins called inside.
        errors: exceptions in all calls, not only in timed ones.
        receive_nanoseconds: time in the timed calls of `receive`, the sum of what the histogram counts, with what they
            await.
        waiting_nanoseconds: time in which timed async hooks awaited something, likewise without that of other plugins.
        receive: histogram of the durations of `receive`.
    """

    calls: int = 0
    nanoseconds: int = 0
    errors: int = 0
    receive_nanoseconds: int = 0
    waiting_nanoseconds: int = 0
    receive: list[int] = field(default_factory=lambda: [0] * BUCKETS)


SERVICE_TOTALS = (
    "accepted",
    "refused",
    "denied",
    "over_address_limit",
    "late_messages",
    "rate_pauses",
    "messages",
    "bytes_in",
    "bytes_out",
    "hook_errors",
)
"""The counters that only grow, and are counted for each service too."""

TOTALS = (
    *SERVICE_TOTALS,
    "accept_pauses",
    "cpu_seconds",
    "busy_seconds",
    "bus_in",
    "bus_out",
    "bus_dropped",
)
"""The counters that only grow; the host keeps the sums of workers that have ended."""
