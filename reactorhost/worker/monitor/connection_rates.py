"""How fast connections receive and send, between two lists of them.

A connection has no room for an earlier count: an idle one must not get larger. So what all connections had counted when
they were listed is kept beside them, and forgotten when no list was requested for a while.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reactorhost.api.connection import Connection
from reactorhost.reactor import Reactor, TimerHandle

_SHORTEST_SECONDS = 0.5
_KEPT_SECONDS = 10.0

Rate = tuple[float, float] | tuple[None, None]
"""Bytes per second in and out."""


@dataclass(slots=True)
class _Counts:
    """Bytes in and out of connections at one moment, by their id.

    Two dicts of numbers: 20,000 tuples would make the garbage collector examine all objects of the worker.
    """

    at: float
    bytes_in: dict[int, int] = field(default_factory=dict)
    bytes_out: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RatesSince:
    """The rates of one list. `add` counts for the next one, if enough time has passed since the list before."""

    now: float
    _before: _Counts | None
    _counted: _Counts | None

    def add(self, connections: Iterable[Connection]) -> None:
        """Count connections for later lists."""
        if self._counted is not None:
            bytes_in, bytes_out = self._counted.bytes_in, self._counted.bytes_out
            for each in connections:
                bytes_in[each.id], bytes_out[each.id] = each.bytes_in, each.bytes_out

    def of(self, connection: Connection) -> Rate:
        """Return the rates of a connection, unknown in the first list of it."""
        if self._before is None:
            return None, None
        seconds, number = self.now - self._before.at, connection.id
        if number not in self._before.bytes_in and connection.age > seconds:
            return None, None
        bytes_in = connection.bytes_in - self._before.bytes_in.get(number, 0)
        bytes_out = connection.bytes_out - self._before.bytes_out.get(number, 0)
        return round(bytes_in / seconds, 1), round(bytes_out / seconds, 1)


class ConnectionRates:
    """Keeps what the last two lists have counted; lists of several clients alternate."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._older: _Counts | None = None
        self._newer: _Counts | None = None
        self._timer: TimerHandle | None = None

    def begin(self) -> RatesSince:
        """Begin another list."""
        now = self._reactor.now
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._reactor.call_later(_KEPT_SECONDS, self._forget)
        # Over less time a rate says nothing: another client may have requested a list a moment ago.
        if self._newer is not None and now - self._newer.at < _SHORTEST_SECONDS:
            return RatesSince(now, self._older, None)
        self._older, self._newer = self._newer, _Counts(now)
        return RatesSince(now, self._older, self._newer)

    def _forget(self) -> None:
        self._older = self._newer = self._timer = None
