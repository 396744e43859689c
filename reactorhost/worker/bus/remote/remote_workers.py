"""The workers of other hosts, as far as a backend carries their frames: presence, heartbeats and requests.

There is no stream whose end says that a worker has ended. It has ended when it was silent for `down_period`; members
that leave before are removed at once. A worker of which nothing is known is learned by its heartbeat, and a worker that
connects asks all others for their presence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from reactorhost.bus import frames
from reactorhost.bus.frames import Frame
from reactorhost.bus.refs import Origin
from reactorhost.bus.replica import Difference, Journal, Replica, Replicated
from reactorhost.worker.bus.contract import Inbound

MOST_WORKERS = 10_000

SendFrames = Callable[[Origin | None, bytes], bool]
"""Sends frames to one worker, or with None to those of all other hosts; returns False if they are dropped."""


@dataclass(slots=True)
class _RemoteWorker:
    """A worker of another host, and when it was last heard of."""

    heard_at: float
    replica: Replica = field(default_factory=Replica)


class RemoteWorkers:
    """The workers of other hosts that one worker knows."""

    def __init__(
        self, own: Origin, inbound: Inbound, send: SendFrames, now: Callable[[], float], down_period: float
    ) -> None:
        self._own = own
        self._inbound = inbound
        self._send = send
        self._now = now
        self._down_period = down_period
        self._journal = Journal()
        self._workers: dict[Origin, _RemoteWorker] = {}

    def knows(self, origin: Origin) -> bool:
        """Return whether a worker was heard of, and not too long ago."""
        return origin in self._workers

    def presence(self) -> Iterable[tuple[Origin, Mapping[str, bytes]]]:
        """Return the PRESENCE of every worker."""
        return [(origin, worker.replica.table) for origin, worker in self._workers.items()]

    # What is sent.

    def set_member(self, member: str, info: bytes | None) -> None:
        """Change the own PRESENCE."""
        change = self._journal.set(member, info)
        if change is not None:
            # If it is dropped, the version in the next heartbeat shows it.
            self._send(None, frames.table_change(Replicated.PRESENCE, change))

    def leave(self) -> None:
        """Remove the own PRESENCE from all others at once, because the connections to them are about to close."""
        for member in tuple(self._journal.table):
            self._journal.set(member, None)
        # One frame, however many members there were: a snapshot of what is left.
        for chunk in self._journal.snapshot():
            self._send(None, frames.table_chunk(Replicated.PRESENCE, chunk))

    def introduce(self) -> None:
        """Ask every worker for its presence, and say which version the own one has."""
        self._send(None, frames.resync(Replicated.PRESENCE))
        self.beat()

    def beat(self) -> None:
        """Say that this worker runs."""
        versions = [0] * len(Replicated)
        versions[Replicated.PRESENCE] = self._journal.version
        self._send(None, frames.heartbeat(versions))

    def remove_silent(self) -> None:
        """Remove the workers that were silent for too long."""
        oldest = self._now() - self._down_period
        for origin in [origin for origin, worker in self._workers.items() if worker.heard_at < oldest]:
            worker = self._workers.pop(origin)
            self._inbound.gone(origin, worker.replica.table)

    # What arrives.

    def received(self, origin: Origin, frame: Frame) -> None:
        """Handle a frame of a worker of another host."""
        worker = self._workers.get(origin)
        if worker is None:
            if len(self._workers) >= MOST_WORKERS:
                return
            worker = self._workers[origin] = _RemoteWorker(self._now())
        worker.heard_at = self._now()
        difference: Difference | None = None
        match frame:
            case frames.TableChange(Replicated.PRESENCE, change):
                difference = worker.replica.change(*change)
            case frames.TableChunk(Replicated.PRESENCE, chunk):
                difference = worker.replica.chunk(chunk)
            case frames.Heartbeat(versions):
                worker.replica.check(versions[Replicated.PRESENCE])
            case frames.Resync(Replicated.PRESENCE):
                for chunk in self._journal.snapshot():
                    self._send(origin, frames.table_chunk(Replicated.PRESENCE, chunk))
        if worker.replica.wanted:
            worker.replica.wanted = False
            self._send(origin, frames.resync(Replicated.PRESENCE))
        if difference is not None:
            self._inbound.replica_changed(origin, difference.removed, difference.added, first=difference.first)
