"""The connections that plugins have throttled, with the time until which nothing of them is delivered."""

from __future__ import annotations

from typing import Protocol

from reactorhost.reactor import Reactor, TimerHandle


class Throttled(Protocol):
    """A transport that can be throttled."""

    def throttle_ended(self) -> None:
        """Deliver again."""


class Throttles:
    """The throttled connections of a worker; few are, so a connection has no place of its own for the time."""

    __slots__ = ("_reactor", "_timers")

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._timers: dict[Throttled, TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def add(self, transport: Throttled, seconds: float) -> None:
        """Let a throttle end `seconds` from now, unless it ends later already."""
        timer = self._timers.get(transport)
        due_at = self._reactor.clock() + seconds
        if timer is not None:
            if timer.when >= due_at:
                return
            timer.cancel()
        self._timers[transport] = self._reactor.call_at(due_at, self._end, transport)

    def remove(self, transport: Throttled) -> None:
        """Forget a connection that is being closed."""
        self._timers.pop(transport).cancel()

    def _end(self, transport: Throttled) -> None:
        del self._timers[transport]
        transport.throttle_ended()
