"""The socket to one peer: writes what waits for it once a turn, and passes on what it reads."""

from __future__ import annotations

import socket
from typing import Protocol

from reactorhost.reactor import READ, READ_BYTES, WRITE, Reactor
from reactorhost.system.fork import ForkRegistry
from reactorhost.worker.bus.peers.outgoing import WRITE_BYTES, Outgoing

# The other links have their turn too: the peer may read as fast as this worker writes.
_MOST_WRITES = 4


class LinkReceiver(Protocol):
    """Handles what a link reads."""

    def received(self, data: bytes) -> None:
        """Handle bytes of the peer."""

    def ended(self) -> None:
        """Handle that the peer has closed its end; the link is closed."""


class PeerLink:
    """One end of a pair of connected unix sockets.

    Attributes:
        closed: whether this end is closed.
    """

    def __init__(
        self,
        reactor: Reactor,
        registry: ForkRegistry,
        sock: socket.socket,
        outgoing: Outgoing,
        receiver: LinkReceiver,
    ) -> None:
        sock.setblocking(False)
        self._reactor = reactor
        self._registry = registry
        self._socket = sock
        self._outgoing = outgoing
        self._receiver = receiver
        self._scheduled = False
        # Nothing is written before the kernel reports room. Also for ever, when the peer reads no more.
        self._blocked = False
        self.closed = False
        reactor.register(sock.fileno(), READ, self._ready)
        registry.add(self, self._close_in_child)

    def write_soon(self) -> None:
        """Write at the end of this turn what waits; call it after each addition."""
        if self._blocked or self.closed:
            return
        if self._outgoing.size >= WRITE_BYTES:
            # Now: in a long turn the bound of the queue would be reached although the peer reads.
            self._write()
        elif not self._scheduled:
            self._scheduled = True
            self._reactor.call_soon(self._write_scheduled)

    def finish(self, deadline: float) -> int:
        """Write what waits, at the latest at `deadline` of the reactor's clock, and close; returns the bytes left.

        It blocks: the loop has stopped, so nothing would write what a peer that is busy for a moment reads later.
        """
        outgoing = self._outgoing
        while outgoing.waiting and not self.closed:
            self._socket.settimeout(max(0.0, deadline - self._reactor.clock()))
            try:
                outgoing.sent(self._socket.send(outgoing.gather()))
            except (TimeoutError, BlockingIOError):
                break
            except OSError:
                # The peer is gone, so it misses nothing.
                self.close()
                return 0
        self.close()
        return outgoing.size

    def close(self) -> None:
        """Close without calling the receiver; closing again does nothing."""
        if self.closed:
            return
        self.closed = True
        self._registry.discard(self)
        self._reactor.unregister(self._socket.fileno())
        self._socket.close()

    def _close_in_child(self) -> None:
        # Without unregistering: the epoll set is shared with the parent, whose registration must stay.
        self.closed = True
        self._socket.close()

    def _write_scheduled(self) -> None:
        self._scheduled = False
        if not self._blocked and not self.closed:
            self._write()

    def _write(self) -> None:
        outgoing = self._outgoing
        for _ in range(_MOST_WRITES):
            data = outgoing.gather()
            try:
                sent = self._socket.send(data) if data else 0
            except BlockingIOError:
                sent = 0
            except OSError:
                # The peer is gone. `_ready` handles that, after everything that the peer has sent before.
                self._blocked = True
                return
            outgoing.sent(sent)
            if sent < len(data):
                break
            if not outgoing.waiting:
                return
        self._blocked = True
        self._reactor.modify(self._socket.fileno(), READ | WRITE, self._ready)

    def _ready(self, events: int) -> None:
        if events & WRITE and self._blocked:
            self._blocked = False
            self._write()
            if not self._blocked:
                self._reactor.modify(self._socket.fileno(), READ, self._ready)
        if events & READ:
            self._read()

    def _read(self) -> None:
        # Once: the reactor reports what is left again, after the other descriptors had their turn.
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            # It closed its end with unread bytes.
            data = b""
        if data:
            self._receiver.received(data)
        else:
            self.close()
            self._receiver.ended()
