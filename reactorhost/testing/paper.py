"""A socket and a reactor of paper: a transport runs on them as on real ones, without a descriptor or a clock."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from reactorhost.reactor import READ, WRITE
from reactorhost.reactor.timers import Timer, Timers


class PaperSocket:
    """The host's end of a connection, with a client behind it that reads everything unless it pauses."""

    _numbers = itertools.count(1_000_000)

    def __init__(self) -> None:
        self.incoming: deque[bytes | Exception] = deque()
        self.taken = bytearray()
        self.reading = True
        self.finished = False
        self.ended = False
        self._number = next(self._numbers)

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


class PaperReactor:
    """What a transport needs of a reactor; a clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.sockets: dict[int, PaperSocket] = {}
        self._watched: dict[int, tuple[int, Callable[[int], object]]] = {}
        self._timers = Timers()
        self._soon: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    def register(self, descriptor: int, events: int, callback: Callable[[int], object]) -> None:
        """Call back in a turn in which the socket is ready."""
        self._watched[descriptor] = (events, callback)

    modify = register

    def unregister(self, descriptor: int) -> None:
        """Forget a socket."""
        del self._watched[descriptor]

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

    def turn(self) -> bool:
        """Call back what is ready now; returns whether anything was."""
        ready = [
            (callback, events & self.sockets[descriptor].ready())
            for descriptor, (events, callback) in self._watched.items()
            if events & self.sockets[descriptor].ready()
        ]
        for callback, events in ready:
            callback(events)
        soon, self._soon = self._soon, deque()
        for callback, args in soon:
            callback(*args)
        return bool(ready or soon)
