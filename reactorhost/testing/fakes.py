"""Fake sockets, a fake poller and a fake clock: the real reactor and the real transports run on them, in memory."""

from __future__ import annotations

import errno
import itertools
import math
import os
import select
import socket
import struct
from collections import deque
from typing import Any, Protocol

from reactorhost.api.peer_credentials import PeerCredentials
from reactorhost.reactor import ERROR, HANG_UP, READ, WRITE, Reactor
from reactorhost.reactor.steps import Step, TlsHandshakeError
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.hooks.watches import DuplicateDescriptor

MOST_DATAGRAM_BYTES = 65507

# As in a process whose standard descriptors are open.
_FIRST_NUMBER = 3
# As the kernel reports the credentials of a peer that has none.
_NO_ID = 0xFFFF_FFFF


class FakeClock:
    """A clock that stands still until `now` is changed."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self.now


class FakeDescriptor(Protocol):
    """What a `FakePoller` needs of a socket.

    Attributes:
        number: the descriptor, which the poller sets; -1 before.
    """

    number: int

    def ready(self) -> int:
        """Return the events that a kernel would report, requested or not."""


class FakePoller:
    """A poller of fake sockets: where a real one would wait, it moves the clock instead.

    Attributes:
        sockets: the fake sockets by descriptor.
        watched: the events of each registered descriptor.
        changes: registrations that were made, changed and removed.
        reported: whether the last poll found a descriptor ready.
    """

    longest_wait = math.inf

    def __init__(self, clock: FakeClock) -> None:
        self.sockets: dict[int, FakeDescriptor] = {}
        self.watched: dict[int, int] = {}
        self.changes = 0
        self.reported = False
        self._clock = clock
        self._numbers = itertools.count(_FIRST_NUMBER)

    def open(self, sock: FakeDescriptor) -> None:
        """Give a socket its descriptor."""
        sock.number = next(self._numbers)
        self.sockets[sock.number] = sock

    def register(self, descriptor: int, events: int) -> None:
        """See `Poller`; as the kernel does, refuse a descriptor that is registered."""
        if descriptor in self.watched:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        self.watched[descriptor] = events
        self.changes += 1

    def modify(self, descriptor: int, events: int) -> None:
        """See `Poller`."""
        if descriptor not in self.watched:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self.watched[descriptor] = events
        self.changes += 1

    def unregister(self, descriptor: int) -> None:
        """See `Poller`."""
        if self.watched.pop(descriptor, None) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self.changes += 1

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """See `Poller`."""
        ready = []
        for descriptor, events in self.watched.items():
            # As epoll does, which reports errors and hang-ups unasked.
            reported = self.sockets[descriptor].ready() & (events | ERROR | HANG_UP)
            if reported:
                ready.append((descriptor, reported))
        self.reported = bool(ready)
        if not ready:
            assert timeout < math.inf, "nothing is ready and no call is due: the loop would wait for ever"
            self._clock.now += timeout
        return ready[:most]

    def hang_up(self, descriptor: int) -> int:
        """See `Poller`."""
        return self.sockets[descriptor].ready() & (ERROR | HANG_UP)

    def fileno(self) -> int:
        """Return a number that no descriptor has."""
        return -1

    def close(self) -> None:
        """Forget every descriptor."""
        self.watched.clear()


def turn(reactor: Reactor, poller: FakePoller) -> bool:
    """Make a turn that does not wait; returns whether anything was ready or due."""
    due = reactor.wait_seconds(reactor.clock()) == 0
    reactor.turn(0)
    return due or poller.reported


class _HostSocket:
    """What the fake sockets of the host have in common."""

    number = -1

    def fileno(self) -> int:
        """Return the descriptor, -1 before the poller has assigned one."""
        return self.number

    def getsockname(self) -> tuple[str, int]:
        """Return the host's address."""
        return ("127.0.0.1", 9000)


class FakeSocket(_HostSocket):
    """The host's end of a connection, with a client behind it that reads everything unless it pauses."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def __init__(self) -> None:
        self.incoming: deque[bytes | Exception] = deque()
        self.taken = bytearray()
        self.reading = True
        self.finished = False
        self.ended = False
        self.credentials: PeerCredentials | None = None
        # For `start_tls`: what the client and the host agree on, and the reason for which they do not.
        self.tls_facts: TlsFacts | None = None
        self.tls_refusal: str | None = None

    def ready(self) -> int:
        """See `FakeDescriptor`."""
        events = (READ if self.incoming else 0) | (WRITE if self.reading else 0)
        return events | ERROR | HANG_UP if self._reset else events

    @property
    def _reset(self) -> bool:
        """Whether the connection broke; what came before that can still be read, as from a socket."""
        return bool(self.incoming) and isinstance(self.incoming[-1], Exception)

    def recv(self, size: int) -> bytes:
        """Return what the client sent, at most `size` bytes."""
        if not self.incoming:
            raise BlockingIOError
        item = self.incoming.popleft()
        if isinstance(item, Exception):
            raise item
        if len(item) > size:
            self.incoming.appendleft(item[size:])
        return item[:size]

    def send(self, data: bytes | memoryview) -> int:
        """Pass bytes to the client; returns how many it accepted."""
        if self._reset:
            raise BrokenPipeError
        if not self.reading:
            raise BlockingIOError
        self.taken += data
        return len(data)

    def sendmsg(self, buffers: list[bytes]) -> int:
        """Pass several pieces to the client."""
        return self.send(b"".join(buffers))

    def handshake(self, on_failed: object, *, lingers: bool = True) -> Step[TlsFacts]:
        """Begin TLS once the client reads."""
        yield WRITE
        if self.tls_refusal is not None:
            raise TlsHandshakeError(self.tls_refusal)
        assert self.tls_facts is not None
        return self.tls_facts

    def shutdown(self, how: int) -> None:
        """Send the client the end of the stream."""
        self.finished = True

    def setsockopt(self, *option: object) -> None:
        """Ignore an option, as the one that makes closing a reset."""

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        """Return the credentials of the client, which no other option is asked for."""
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_PEERCRED)
        return struct.pack("iII", *(self.credentials or (0, _NO_ID, _NO_ID)))

    def close(self) -> None:
        """End the connection for the client."""
        self.finished = True


class FakeUdpSocket(FakeSocket):
    """The host's end of an outbound UDP connection, with a peer behind it.

    Attributes:
        datagrams: what the peer has received.
    """

    def __init__(self) -> None:
        super().__init__()
        self.datagrams: list[bytes] = []

    def send(self, data: bytes | memoryview) -> int:
        """Pass a datagram to the peer; an answer that nothing listens is reported first, as the kernel does."""
        if len(data) > MOST_DATAGRAM_BYTES:
            raise OSError(errno.EMSGSIZE, "Message too long")
        if self._reset:
            self.incoming.pop()
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        sent = super().send(data)
        self.datagrams.append(bytes(data))
        return sent


class FakeDatagramSocket(_HostSocket):
    """A UDP socket of the host, whose clients read every answer at once."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.incoming: deque[tuple[bytes, Any]] = deque()
        self.answers: list[bytes] = []

    def ready(self) -> int:
        """See `FakeDescriptor`."""
        return READ if self.incoming else 0

    def recvfrom_into(self, buffer: bytearray, size: int, flags: int) -> tuple[int, Any]:
        """Return the size and the sender of the next datagram, copied to `buffer`."""
        if not self.incoming:
            raise BlockingIOError
        data, address = self.incoming.popleft()
        buffer[: len(data)] = data
        return len(data), address

    def recvmsg_into(
        self, buffers: list[bytearray], control_size: int, flags: int
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Any]:
        """Return the same, without the address that the datagram was sent to."""
        size, address = self.recvfrom_into(buffers[0], 0, flags)
        return size, [], 0, address

    def sendto(self, data: bytes, address: Any) -> int:
        """Pass an answer to the client."""
        if len(data) > MOST_DATAGRAM_BYTES:
            raise OSError(errno.EMSGSIZE, "Message too long")
        self.answers.append(data)
        return len(data)

    def sendmsg(self, data: list[bytes], control: list[tuple[int, int, bytes]], flags: int, address: Any) -> int:
        """Pass an answer to the client."""
        return self.sendto(b"".join(data), address)

    def getsockopt(self, level: int, option: int) -> int:
        """Return 0: no option is set."""
        return 0

    def close(self) -> None:
        """Drop the datagrams that were not read."""
        self.incoming.clear()


class RealDescriptor:
    """A descriptor of the system that a plugin watches; the fake poller asks the kernel whether it is ready."""

    number = -1

    def __init__(self, original: int) -> None:
        self._duplicate = DuplicateDescriptor(original)

    @property
    def is_stale(self) -> bool:
        """See `WatchedDescriptor`."""
        return self._duplicate.is_stale

    def ready(self) -> int:
        """See `FakeDescriptor`."""
        poller = select.poll()
        poller.register(self._duplicate.fileno(), READ | WRITE)
        return sum(events for _, events in poller.poll(0))

    def fileno(self) -> int:
        """Return the number by which the fake poller knows it."""
        return self.number

    def close(self) -> None:
        """Close the duplicate."""
        self._duplicate.close()
