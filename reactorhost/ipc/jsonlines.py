"""JSON objects, one a line, over a unix socket, both ways, without ever blocking; descriptors may ride along.

Master and worker talk like this over a socket pair, and the control socket's clients too, so `nc -U` is a client.
"""

from __future__ import annotations

import array
import json
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from reactorhost.reactor import READ, WRITE, Reactor
from reactorhost.system.fork import ForkRegistry

Message = dict[str, Any]

_READ_BYTES = 65536
_LONGEST_LINE = 4 * 1024 * 1024
_MOST_DESCRIPTORS = 64


class Receiver(Protocol):
    """Who hears of what comes over a line."""

    def message_received(self, line: JsonLine, message: Message) -> None:
        """Take one whole object; descriptors that came with it are taken by `line.take_descriptors()`."""

    def line_closed(self, line: JsonLine) -> None:
        """Note that the other side is gone, or broke the protocol; the line is closed already. Called once."""


class JsonLine:
    """One end of a line of JSON objects.

    Attributes:
        queued: bytes that wait for the other side to read.
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
        self._incoming = bytearray()
        self._descriptors: deque[int] = deque()
        self._outgoing: deque[tuple[bytes, Sequence[int]]] = deque()
        self.closed = False
        self.queued = 0
        reactor.register(sock.fileno(), READ, self._ready)
        registry.add(self, self._close_in_child)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send one object; what the kernel does not take now waits. A closed line swallows it."""
        if self.closed:
            return
        data = json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n"
        # Duplicates live until they are sent, so the caller may close its own at once.
        self._outgoing.append((data, [os.dup(descriptor) for descriptor in descriptors]))
        self.queued += len(data)
        if len(self._outgoing) == 1:
            self._flush()
        if self._most_queued is not None and self.queued > self._most_queued:
            self._lost()

    def take_descriptors(self, count: int) -> list[int]:
        """Return the `count` oldest descriptors that came in, now the caller's to close."""
        return [self._descriptors.popleft() for _ in range(min(count, len(self._descriptors)))]

    def close(self) -> None:
        """Close now, without telling the receiver; closing again does nothing."""
        if self.closed:
            return
        self.closed = True
        self._registry.discard(self)
        self._reactor.unregister(self._socket.fileno())
        self._release()

    def _close_in_child(self) -> None:
        # Without unregistering: the epoll set is shared with the parent, whose registration must stay.
        self.closed = True
        self._release()

    def read_rest(self) -> None:
        """Receive everything that the other side sent before it ended, without waiting."""
        while not self.closed and self._receive():
            pass

    def _release(self) -> None:
        self._socket.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        for _, descriptors in self._outgoing:
            _close_all(descriptors)
        self._descriptors.clear()
        self._outgoing.clear()
        self.queued = 0

    def _ready(self, events: int) -> None:
        if events & WRITE and not self.closed:
            self._flush()
        if events & READ and not self.closed:
            self._receive()

    def _receive(self) -> bool:
        """Receive once; False when nothing is there."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(_READ_BYTES, socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4))
        except BlockingIOError:
            return False
        except OSError:
            data, ancillary = b"", []
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                received = array.array("i")
                received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
                self._descriptors.extend(received)
        if not data:
            self._lost()
            return False
        self._incoming += data
        self._deliver()
        return True

    def _deliver(self) -> None:
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = rest
        for line in lines:
            if self.closed:
                return
            message = _object(line)
            if message is None:
                self._lost()
                return
            self._receiver.message_received(self, message)
        if len(self._incoming) > _LONGEST_LINE and not self.closed:
            self._lost()

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
                # The end of the other side is told by the read side; what was meant for it has no reader.
                self._drop_outgoing()
                break
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

    def _lost(self) -> None:
        self.close()
        self._receiver.line_closed(self)


def _object(line: bytes | bytearray) -> Message | None:
    """Return the object that a line holds, or None when it holds none."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        # RecursionError: some thousand brackets in each other.
        return None
    return message if isinstance(message, dict) else None


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
