"""The inbox: hands the plugins, client by client, what the reactor has read of all of them in a turn.

Nothing here reads. A hook may close or pause any client, also one whose bytes are here already: those are given back
to their transport.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from reactorhost.ipc.scoreboard import Counters
from reactorhost.reactor import READ_BYTES, Arrivals, Reactor

if TYPE_CHECKING:
    from reactorhost.worker.stream.transport import StreamTransport

_LONG_SECONDS = 0.01


class Dispatcher:
    """What came for connections that are counted in one tally.

    Attributes:
        arrivals: where the reactor puts it.
    """

    def __init__(self, reactor: Reactor, counters: Counters) -> None:
        self.arrivals: Arrivals = []
        self._reactor = reactor
        self._counters = counters
        self._under_way: Iterator[tuple[StreamTransport, bytes | None]] = iter(())
        reactor.on_arrivals(self.arrivals, self.give)

    @property
    def handed_over(self) -> int:
        """How many messages were handed over so far: a number that grows within a turn too."""
        return self._counters.messages - operator.length_hint(self._under_way)

    def give(self, arrived: Sequence[tuple[StreamTransport, bytes | None]]) -> None:
        """Call each client's service with what came from it, or its transport if that is no input."""
        counters, now = self._counters, self._reactor.now
        # Counted in one go, as the bytes are: an attribute that every message changes costs it one percent.
        counters.messages += len(arrived)
        taken = 0
        self._under_way = under_way = iter(arrived)
        for transport, data in under_way:
            if not data or not transport.takes_input:
                counters.messages -= 1
                transport.take_aside(data)
                continue
            received = len(data)
            taken += received
            connection = transport.connection
            connection.bytes_in += received
            transport.active_at = now
            # Looked up apart from the call, which CPython 3.11 does faster.
            receive = transport.receiver.receive
            try:
                receive(connection, data)
            except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
                transport.receive_failed(raised)
            if received >= READ_BYTES:
                transport.filled_a_read(received)
        counters.bytes_in += taken
        ended = self._reactor.clock()
        if ended - now > _LONG_SECONDS:
            # Who was answered last was not silent while the hooks of others took their time.
            for transport, _ in arrived:
                transport.active_at = ended
