"""JSON objects, one a line, in both directions over a non-blocking unix socket, with descriptors attached.

It is the protocol between master and worker (over a socket pair) and on the control socket, where `nc -U` is a client.

Descriptors are attached with SCM_RIGHTS. The kernel delivers them with the first byte of the data that they were sent
with, and one `recvmsg` returns nothing that was sent after that data (unix(7)). So they have arrived when their line is
complete, in the order of the lines, and are queued until the receiver of the line takes them.
"""

from __future__ import annotations

import array
import json
import os
import socket
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from reactorhost.ipc.messages import Message, MessageDecoder
from reactorhost.reactor import READ, WRITE, Reactor
from reactorhost.system.fork import ForkRegistry

__all__ = ["JsonLine", "Message", "Receiver"]

_READ_BYTES = 65536
# The kernel passes at most 253 descriptors with one message (SCM_MAX_FD). A line has as many as a slot has listeners.
_MOST_DESCRIPTORS = 64


class Receiver(Protocol):
    """Handles what a line receives."""

    def message_received(self, line: JsonLine, message: Message) -> None:
        """Handle one object; `line.take_descriptors()` returns the descriptors that came with it."""

    def line_closed(self, line: JsonLine) -> None:
        """Handle the end of the line, by the peer or for a broken protocol; called once, when the line is closed."""


class JsonLine:
    """One end of a line of JSON objects.

    Attributes:
        closed: whether this end is closed.
        queued: bytes that the kernel has not accepted yet; more than `most_queued` of them end the line.
    """

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket,
        receiver: Receiver,
        registry: ForkRegistry,
        *,
        most_queued: int | None = None,
    ) -> None:
        sock.setblocking(False)
        self._reactor = reactor
        self._socket = sock
        self._receiver = receiver
        self._registry = registry
        self._most_queued = most_queued
        self._decoder = MessageDecoder()
        self._descriptors: deque[int] = deque()
        self._outgoing: deque[tuple[bytes, Sequence[int]]] = deque()
        self.closed = False
        self.queued = 0
        reactor.register(sock.fileno(), READ, self._ready)
        registry.add(self, self._close_in_child)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send one object, or queue what the kernel does not accept now; on a closed line, do nothing.

        Raises:
            OSError: no descriptor is left for the duplicate of one that is to be sent; nothing was sent.
        """
        if self.closed:
            return
        data = json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n"
        self._outgoing.append((data, _duplicates(descriptors)))
        self.queued += len(data)
        if len(self._outgoing) == 1:
            self._flush()
        # A client that requests but does not read would otherwise make the master buffer without limit.
        if self._most_queued is not None and self.queued > self._most_queued:
            self._end()

    def take_descriptors(self, count: int) -> list[int]:
        """Return the `count` oldest received descriptors, fewer if the kernel dropped some; the caller closes them."""
        return [self._descriptors.popleft() for _ in range(min(count, len(self._descriptors)))]

    def close(self) -> None:
        """Close without calling the receiver; closing again does nothing."""
        if self.closed:
            return
        self.closed = True
        self._registry.discard(self)
        self._reactor.unregister(self._socket.fileno())
        self._close_descriptors()

    def _close_in_child(self) -> None:
        # Without unregistering: the epoll set is shared with the parent, whose registration must stay.
        self.closed = True
        self._close_descriptors()

    def read_rest(self) -> None:
        """Receive everything that is in the kernel's buffer, for example what a peer sent before it exited."""
        while not self.closed and self._receive():
            pass

    def _close_descriptors(self) -> None:
        self._socket.close()
        _close_all(self._descriptors)
        self._descriptors.clear()
        self._drop_outgoing()

    def _ready(self, events: int) -> None:
        # One read for each report: the reactor reports what is left again, after the other connections had their turn.
        if events & WRITE and not self.closed:
            self._flush()
        if events & READ and not self.closed:
            self._receive()

    def _receive(self) -> bool:
        """Receive once; returns False when nothing was received."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(_READ_BYTES, socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4))
        except BlockingIOError:
            return False
        except OSError:
            # A reset, for instance, is an end of the line like EOF.
            data, ancillary = b"", []
        # Queued before the lines are delivered: the receiver of a line takes the descriptors that came with it.
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                # Only whole numbers, as in the example of `socket.recvmsg`: a truncated payload may end inside one.
                received = array.array("i")
                received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
                self._descriptors.extend(received)
        if not data:
            self._end()
            return False
        self._deliver(data)
        return True

    def _deliver(self, data: bytes) -> None:
        messages = self._decoder.feed(data)
        # The receiver may close the line: the messages after that one are dropped.
        while not self.closed:
            # Not one `try` around a `for`: it would also catch a ConnectionError that the receiver raises.
            try:
                message = next(messages, None)
            except ConnectionError:
                self._end()
                return
            if message is None:
                return
            self._receiver.message_received(self, message)

    def _flush(self) -> None:
        while self._outgoing:
            data, descriptors = self._outgoing[0]
            try:
                sent = (
                    socket.send_fds(self._socket, [data], list(descriptors)) if descriptors else self._socket.send(data)
                )
            except BlockingIOError:
                break
            except OSError:
                # The peer is gone. `_receive` handles that, after everything that the peer has sent before.
                self._drop_outgoing()
                break
            # Sent with the first byte, so the rest of the data goes without them: sent again, they would arrive twice.
            _close_all(descriptors)
            self.queued -= sent
            self._outgoing.popleft()
            if sent < len(data):
                self._outgoing.appendleft((data[sent:], ()))
        self._reactor.modify(self._socket.fileno(), READ | WRITE if self._outgoing else READ, self._ready)

    def _drop_outgoing(self) -> None:
        for _, descriptors in self._outgoing:
            _close_all(descriptors)
        self._outgoing.clear()
        self.queued = 0

    def _end(self) -> None:
        self.close()
        self._receiver.line_closed(self)


def _duplicates(descriptors: Sequence[int]) -> list[int]:
    """Return duplicates, so that the caller may close its own descriptors at once."""
    duplicates: list[int] = []
    try:
        for descriptor in descriptors:
            duplicates.append(os.dup(descriptor))  # noqa: PERF401  those that were made are closed on failure
    except OSError:
        _close_all(duplicates)
        raise
    return duplicates


def _close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
