"""Workers that this one is not linked with: which have ended, and what waits for those that may come.

A worker is introduced to the others a moment after it has first used the bus, and those of other hosts are known a
moment after the backend has connected. Until then the `ref` of one of their connections may have come here by another
way: through a third worker, a client or a database. So what is for a worker that is not known waits, until it is known
or a `down_period` has passed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from reactorhost.bus.refs import Origin
from reactorhost.reactor import Reactor, TimerHandle

MOST_UNKNOWN = 1000
"""For so many unknown workers at most messages wait: a client may make up refs."""

_MOST_ENDED = 1000


@dataclass(slots=True)
class _Waiting:
    """Messages for connections of one worker, and the timer that drops them."""

    timer: TimerHandle
    frames: list[bytes] = field(default_factory=list)


class UnlinkedWorkers:
    """Keeps messages for connections of unknown workers, `max_queue` bytes for `seconds` at most."""

    def __init__(self, reactor: Reactor, max_queue: int, seconds: float) -> None:
        self._reactor = reactor
        self._max_queue = max_queue
        self._seconds = seconds
        self._size = 0
        self._waiting: dict[Origin, _Waiting] = {}
        self._ended: dict[Origin, None] = {}

    def may_come(self, origin: Origin) -> bool:
        """Return whether an unknown worker may still become known."""
        return origin not in self._ended and (origin in self._waiting or len(self._waiting) < MOST_UNKNOWN)

    def keep(self, origin: Origin, frame: bytes) -> bool:
        """Keep a message for a connection of a worker; returns False if it was dropped."""
        if self._size and self._size + len(frame) > self._max_queue:
            return False
        if origin not in self._waiting:
            # What is for a worker that does not come is not lost: that has ended before this one knew it.
            self._waiting[origin] = _Waiting(self._reactor.call_later(self._seconds, self.take, origin))
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

    def ended(self, origin: Origin) -> None:
        """Note that a worker has ended."""
        self._ended[origin] = None
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    def stop(self) -> None:
        """Drop what waits."""
        for origin in list(self._waiting):
            self.take(origin)
