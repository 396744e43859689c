"""The workers of other hosts, as far as a backend carries their frames: presence, heartbeats and requests.

There is no stream whose end says that a worker has ended. Another worker of its host reports that (`ended_peers`). If
none does, it counts as ended when it was silent for a `down_period`; members that leave before are removed at once. A
worker becomes known by its first frame, a heartbeat for example. One that connects requests the presence of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from reactorhost.bus import frames
from reactorhost.bus.frames import Frame
from reactorhost.bus.refs import Origin
from reactorhost.bus.replica import Difference, Journal, Replica, Replicated
from reactorhost.worker.bus.contract import HEARTBEATS_A_PERIOD, Inbound
from reactorhost.worker.bus.latest_origins import LatestOrigins

MOST_WORKERS = 10_000

SendFrames = Callable[[Origin | None, bytes], bool]
"""Sends frames to one worker, or with None to those of all other hosts; returns False if they are dropped."""


@dataclass(slots=True)
class _RemoteWorker:
    """A worker of another host; `quiet_heartbeats` were sent here since something has arrived from it."""

    quiet_heartbeats: int = 0
    replica: Replica = field(default_factory=Replica)


class RemoteWorkers:
    """The workers of other hosts that one worker knows."""

    def __init__(self, inbound: Inbound, send: SendFrames) -> None:
        self._inbound = inbound
        self._send = send
        self._journal = Journal()
        self._workers: dict[Origin, _RemoteWorker] = {}
        # Those that were removed. Their members have left here, so they join when the worker comes back.
        self._silent = LatestOrigins(MOST_WORKERS)
        # What they had sent may arrive later than the report of their end.
        self._ended = LatestOrigins(MOST_WORKERS)

    def knows(self, origin: Origin) -> bool:
        """Return whether something has arrived from a worker, and it is not silent."""
        return origin in self._workers

    def has_ended(self, origin: Origin) -> bool:
        """Return whether the end of a worker was reported, and not too many others have ended since."""
        return origin in self._ended

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
        """Request the presence of every worker, and send the version of the own one."""
        self._send(None, frames.resync(Replicated.PRESENCE))
        self.beat()

    def beat(self) -> None:
        """Send a heartbeat."""
        versions = [0] * len(Replicated)
        versions[Replicated.PRESENCE] = self._journal.version
        self._send(None, frames.heartbeat(versions))

    def remove_silent(self) -> None:
        """Remove the workers that were silent for too long; called after each heartbeat is due."""
        for origin, worker in tuple(self._workers.items()):
            worker.quiet_heartbeats += 1
            if worker.quiet_heartbeats == HEARTBEATS_A_PERIOD:
                del self._workers[origin]
                self._silent.add(origin)
                self._inbound.gone(origin, worker.replica.table)

    def end(self, origin: Origin) -> bool:
        """Remove a worker that has ended; returns False if it was not known."""
        worker = self._workers.pop(origin, None)
        if worker is None:
            return False
        self._ended.add(origin)
        self._inbound.gone(origin, worker.replica.table)
        return True

    # What arrives.

    def received(self, origin: Origin, frame: Frame) -> None:
        """Handle a frame of a worker of another host."""
        worker = self._workers.get(origin)
        if worker is None:
            if len(self._workers) >= MOST_WORKERS or origin in self._ended:
                return
            worker = self._workers[origin] = _RemoteWorker()
        worker.quiet_heartbeats = 0
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
            first = difference.first and origin not in self._silent
            self._inbound.replica_changed(origin, difference.removed, difference.added, first=first)
            self._silent.discard(origin)
