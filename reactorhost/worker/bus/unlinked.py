"""What waits for workers that this one is not linked with yet.

A worker is introduced to the others a moment after it has first used the bus, and those of other hosts are known a
moment after the backend has connected. Until then the `ref` of one of their connections may have come here by another
way: through a third worker, a client or a database. So what is for such a worker waits until it is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reactorhost.bus.refs import Origin
from reactorhost.reactor import Reactor, TimerHandle

MOST_WAITING = 1000
"""For so many workers messages wait at most: a client may make up the refs of other hosts."""


@dataclass(slots=True)
class _Waiting:
    """Messages for connections of one worker, and the timer that drops them."""

    timer: TimerHandle
    frames: list[bytes] = field(default_factory=list)


class UnlinkedWorkers:
    """Keeps messages for connections of workers, `max_queue` bytes for `seconds` at most.

    `expired` is called with a worker that did not become known in this time, and the number of messages for it.
    """

    def __init__(
        self, reactor: Reactor, max_queue: int, seconds: float, expired: Callable[[Origin, int], object]
    ) -> None:
        self._reactor = reactor
        self._max_queue = max_queue
        self._seconds = seconds
        self._on_expired = expired
        self._size = 0
        self._waiting: dict[Origin, _Waiting] = {}

    def keep(self, origin: Origin, frame: bytes) -> bool:
        """Keep a message for a connection of a worker; returns False if it was dropped."""
        if self._size and self._size + len(frame) > self._max_queue:
            return False
        if origin not in self._waiting:
            if len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting[origin] = _Waiting(self._reactor.call_later(self._seconds, self._expired, origin))
        self._waiting[origin].frames.append(frame)
        self._size += len(frame)
        return True

    def take(self, origin: Origin) -> list[bytes]:
        """Return what waits for a worker, and keep it no longer."""
        waiting = self._waiting.pop(origin, None)
        if waiting is None:
            return []
        waiting.timer.cancel()
        self._size -= sum(map(len, waiting.frames))
        return waiting.frames

    def stop(self) -> None:
        """Drop what waits."""
        for origin in list(self._waiting):
            self.take(origin)

    def _expired(self, origin: Origin) -> None:
        self._on_expired(origin, len(self.take(origin)))
