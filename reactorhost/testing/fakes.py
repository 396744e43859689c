"""A socket and a reactor of paper: a transport runs on them as on real ones, without a descriptor or a clock."""

from __future__ import annotations

import errno
import itertools
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from reactorhost.reactor import READ, READ_BYTES, WRITE, Arrivals
from reactorhost.reactor.timers import Timer, Timers

_MOST_DATAGRAM_BYTES = 65507

# No descriptor has such a number.
_numbers = itertools.count(1_000_000)


class FakeSocket:
    """The host's end of a connection, with a client behind it that reads everything unless it pauses."""

    def __init__(self) -> None:
        self.incoming: deque[bytes | Exception] = deque()
        self.taken = bytearray()
        self.reading = True
        self.finished = False
        self.ended = False
        self._number = next(_numbers)

    def ready(self) -> int:
        """Return what a selector would tell of it."""
        return (READ if self.incoming else 0) | (WRITE if self.reading else 0)

    def fileno(self) -> int:
        """Return a number that no descriptor has."""
        return self._number

    def recv(self, size: int) -> bytes:
        """Give what the client sent, at most `size` bytes of it."""
        if not self.incoming:
            raise BlockingIOError
        item = self.incoming.popleft()
        if isinstance(item, Exception):
            raise item
        if len(item) > size:
            self.incoming.appendleft(item[size:])
        return item[:size]

    def send(self, data: bytes | memoryview) -> int:
        """Hand bytes to the client; returns how many it took."""
        if not self.reading:
            raise BlockingIOError
        self.taken += data
        return len(data)

    def shutdown(self, how: int) -> None:
        """Tell the client that nothing more comes."""
        self.finished = True

    def setsockopt(self, *option: object) -> None:
        """Take what precedes a reset."""

    def getsockname(self) -> tuple[str, int]:
        """Return the host's address."""
        return ("127.0.0.1", 9000)

    def close(self) -> None:
        """Tell the client that the connection is over."""
        self.finished = True


class FakeDatagramSocket:
    """A UDP socket of the host, whose clients read every answer at once."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.incoming: deque[tuple[bytes, Any]] = deque()
        self.answers: list[bytes] = []
        self._number = next(_numbers)

    def ready(self) -> int:
        """Return what a selector would tell of it."""
        return READ if self.incoming else 0

    def fileno(self) -> int:
        """Return a number that no descriptor has."""
        return self._number

    def recvfrom_into(self, buffer: bytearray, size: int, flags: int) -> tuple[int, Any]:
        """Give the next datagram and whom it is from."""
        if not self.incoming:
            raise BlockingIOError
        data, address = self.incoming.popleft()
        buffer[: len(data)] = data
        return len(data), address

    def recvmsg_into(
        self, buffers: list[bytearray], control_size: int, flags: int
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Any]:
        """Give the same, with nothing told of the address that it was sent to."""
        size, address = self.recvfrom_into(buffers[0], 0, flags)
        return size, [], 0, address

    def sendto(self, data: bytes, address: Any) -> int:
        """Hand an answer to the client."""
        if len(data) > _MOST_DATAGRAM_BYTES:
            raise OSError(errno.EMSGSIZE, "Message too long")
        self.answers.append(data)
        return len(data)

    def sendmsg(self, data: list[bytes], control: list[tuple[int, int, bytes]], flags: int, address: Any) -> int:
        """Hand an answer to the client."""
        return self.sendto(b"".join(data), address)

    def getsockopt(self, level: int, option: int) -> int:
        """Return 0: no option is set."""
        return 0

    def getsockname(self) -> tuple[str, int]:
        """Return the host's address."""
        return ("127.0.0.1", 9000)

    def close(self) -> None:
        """Forget the datagrams that nobody read."""
        self.incoming.clear()


class FakeReactor:
    """What a transport needs of a reactor; a clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.sockets: dict[int, FakeSocket | FakeDatagramSocket] = {}
        self.watched: dict[int, tuple[int, Callable[[int], object]]] = {}
        self._takers: list[tuple[Arrivals, Callable[[Arrivals], object]]] = []
        self._timers = Timers()
        self._soon: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    def clock(self) -> float:
        """Return the time, which only a test moves."""
        return self.now

    def register(self, descriptor: int, events: int, callback: Callable[[int], object]) -> None:
        """Call back in a turn in which the socket is ready."""
        assert descriptor not in self.watched, "epoll refuses a descriptor that it has"
        self.watched[descriptor] = (events, callback)

    def register_stream(self, descriptor: int, stream: Any) -> None:
        """Read a stream in a turn in which it is readable."""
        self.register(descriptor, READ, lambda events: _read(stream))

    def modify(self, descriptor: int, events: int, callback: Callable[[int], object]) -> None:
        """Wait for something else, and call somebody else back."""
        self.unregister(descriptor)
        self.register(descriptor, events, callback)

    def modify_to_stream(self, descriptor: int, stream: Any) -> None:
        """Read what had a callback until now."""
        self.unregister(descriptor)
        self.register_stream(descriptor, stream)

    def on_arrivals(self, arrivals: Arrivals, take: Callable[[Arrivals], object]) -> None:
        """Call `take` with what came in a turn."""
        self._takers.append((arrivals, take))

    def unregister(self, descriptor: int) -> None:
        """Forget a socket."""
        del self.watched[descriptor]

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Call back at the end of a turn."""
        self._soon.append((callback, args))

    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call back once, `seconds` from now."""
        return self._timers.add(self.now + seconds, callback, args)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call back once, at `when`."""
        return self._timers.add(when, callback, args)

    def next_at(self) -> float | None:
        """Return when the soonest timer is due, or None without one."""
        return self._timers.next_at()

    def call_due(self, now: float) -> None:
        """Let it be `now`, and call every timer that is due."""
        self.now = max(self.now, now)
        for timer in self._timers.pop_due(self.now):
            if timer.callback is not None:
                callback, timer.callback = timer.callback, None
                callback(*timer.args)

    def ready_for(self, descriptor: int) -> int:
        """Return what a descriptor is ready for."""
        return self.sockets[descriptor].ready()

    def turn(self) -> bool:
        """Call back what is ready now; returns whether anything was."""
        ready = [
            (callback, events & ready)
            for descriptor, (events, callback) in self.watched.items()
            if events & (ready := self.ready_for(descriptor))
        ]
        for callback, events in ready:
            callback(events)
        for arrivals, take in self._takers:
            if arrivals:
                take(arrivals)
                arrivals.clear()
        soon, self._soon = self._soon, deque()
        for callback, args in soon:
            callback(*args)
        return bool(ready or soon)


def _read(stream: Any) -> None:
    try:
        data: bytes | None = stream.socket.recv(READ_BYTES)
    except BlockingIOError:
        return
    except OSError:
        data = None
    stream.arrivals.append((stream, data))
