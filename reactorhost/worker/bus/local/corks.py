"""Group messages of one turn, collected so that each member gets them in few system calls.

The first message of a turn to a group is sent at once, those that follow it in the same turn are corked: where many
clients of a group send at the same time, a `send` for each message and member is nearly all that the worker does. They
wait until the end of the turn. If that takes long, they are sent with the next group message after a millisecond.
"""

from __future__ import annotations

from reactorhost.reactor import Reactor
from reactorhost.worker.stream.transport import StreamTransport

_MOST_SECONDS = 0.001


class Corks:
    """The connections whose messages are collected in this turn."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._corked: dict[StreamTransport, None] = {}
        self._since = 0.0

    def begin(self) -> None:
        """Send what waits for too long; call this before `add` for each message."""
        now = self._reactor.clock()
        if not self._corked:
            self._since = now
            self._reactor.call_soon(self._end_turn)
        elif now - self._since > _MOST_SECONDS:
            self._since = now
            for transport in self._corked:
                transport.uncork()

    def add(self, transport: StreamTransport) -> None:
        """Collect what is sent to a connection, unless it waits for the kernel anyway."""
        if not transport.send_state:
            transport.cork()
            self._corked[transport] = None

    def _end_turn(self) -> None:
        corked, self._corked = self._corked, {}
        for transport in corked:
            transport.uncork()
            # A client that has sent its end was kept for what waited.
            transport.end_if_served()
