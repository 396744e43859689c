"""One other worker of the host: its link, copies of its tables, and whether it is silent."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Protocol

from reactorhost.bus.frame_decoder import FrameDecoder, FrameError
from reactorhost.bus.frames import (
    Frame,
    Gap,
    Goodbye,
    Heartbeat,
    Hello,
    Message,
    Resync,
    TableChange,
    TableChunk,
    ToConnection,
)
from reactorhost.bus.refs import Origin
from reactorhost.bus.replica import Difference, Replica, Replicated
from reactorhost.reactor import Reactor
from reactorhost.system.fork import ForkRegistry
from reactorhost.worker.bus.contract import HEARTBEATS_A_PERIOD, Inbound
from reactorhost.worker.bus.peers.outgoing import Outgoing
from reactorhost.worker.bus.peers.peer_link import PeerLink


class PeerOwner(Protocol):
    """What a peer reports to."""

    def hello_received(self, peer: Peer) -> None:
        """Handle that its origin is known now."""

    def interest_changed(self, peer: Peer, difference: Difference) -> None:
        """Handle that it wants other patterns of keys."""

    def presence_known(self, peer: Peer) -> None:
        """Handle that its first PRESENCE is known, and was passed on."""

    def left(self, peer: Peer) -> None:
        """Handle that it has sent everything and leaves; its link is closed."""

    def ended(self, peer: Peer, error: str | None) -> None:
        """Handle that its link is closed before that; `error` is what it did wrong, None if it closed the link."""


class Peer:
    """A worker at the other end of a link.

    Attributes:
        pid: its process id.
        origin: its ids, None before its HELLO.
        slot: the number of its slot, None before its HELLO.
        silent: whether nothing has arrived from it for too long.
        outgoing: what waits for it; call `link.write_soon()` after an addition.
    """

    def __init__(
        self,
        reactor: Reactor,
        registry: ForkRegistry,
        sock: socket.socket,
        pid: int,
        outgoing: Outgoing,
        owner: PeerOwner,
        inbound: Inbound,
    ) -> None:
        self.pid = pid
        self.origin: Origin | None = None
        self.slot: int | None = None
        self.silent = False
        self.outgoing = outgoing
        self.link = PeerLink(reactor, registry, sock, outgoing, self)
        self._owner = owner
        self._inbound = inbound
        self._decoder = FrameDecoder()
        self._replicas = {table: Replica() for table in Replicated}
        self._quiet_heartbeats = 0

    @property
    def members(self) -> Mapping[str, bytes]:
        """Its PRESENCE."""
        return self._replicas[Replicated.PRESENCE].table

    def beat(self) -> None:
        """Send a heartbeat, and count those since something has arrived."""
        self._quiet_heartbeats += 1
        if self._quiet_heartbeats == HEARTBEATS_A_PERIOD and self.origin is not None:
            self.silent = True
            self._inbound.gone(self.origin, self.members)
        self.outgoing.heartbeat()
        self.link.write_soon()

    # What the link reads.

    def received(self, data: bytes) -> None:
        """Handle bytes of the worker."""
        self._quiet_heartbeats = 0
        if self.silent:
            self._return()
        try:
            for frame in self._decoder.feed(data):
                self._handle(frame)
        except FrameError as error:
            self.link.close()
            self._owner.ended(self, str(error))

    def ended(self) -> None:
        """Handle that the worker has closed its end."""
        self._owner.ended(self, None)

    def _return(self) -> None:
        self.silent = False
        if self.origin is not None and self.members:
            self._inbound.replica_changed(self.origin, {}, self.members, first=False)

    def _handle(self, frame: Frame) -> None:
        origin = self.origin
        if origin is None:
            if not isinstance(frame, Hello):
                raise FrameError("its first frame is not a HELLO")
            self.origin, self.slot = Origin(frame.host, frame.worker), frame.slot
            self._owner.hello_received(self)
        # First what there is most of.
        elif isinstance(frame, Message):
            self._inbound.message(origin, frame.key, frame.number, frame.data)
        else:
            self._handle_other(origin, frame)

    def _handle_other(self, origin: Origin, frame: Frame) -> None:
        match frame:
            case ToConnection(number, data):
                self._inbound.to_connection(number, data)
            case Gap(keys, recovered):
                self._inbound.missed(origin, keys, recovered)
            case TableChange(table, change):
                self._update(origin, table, self._replicas[table].change(*change))
            case TableChunk(table, chunk):
                self._update(origin, table, self._replicas[table].chunk(chunk))
            case Resync(table):
                self.outgoing.owe_snapshot(table)
                self.link.write_soon()
            case Heartbeat(versions):
                for table, version in zip(Replicated, versions, strict=True):
                    self._replicas[table].check(version)
                    self._update(origin, table, None)
            case Goodbye():
                self.link.close()
                self._owner.left(self)
            case _:
                raise FrameError("it sent a second HELLO")

    def _update(self, origin: Origin, table: Replicated, difference: Difference | None) -> None:
        replica = self._replicas[table]
        if replica.wanted:
            replica.wanted = False
            self.outgoing.want_snapshot(table)
            self.link.write_soon()
        if difference is None:
            return
        if table is Replicated.INTEREST:
            self._owner.interest_changed(self, difference)
            return
        removed, added, first = difference
        self._inbound.replica_changed(origin, removed, added, first=first)
        if first:
            self._owner.presence_known(self)
