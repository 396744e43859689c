"""Dispatch: calls the plugins, client by client, with what the reactor has read of all clients in a turn.

Nothing here reads. A hook may close or pause any client, including one whose bytes were read already in this turn:
each transport is checked before its call, and input that is not to be delivered now is returned to it. That is the
price of two passes, all reads and then all hooks, which cost 5 % less: each pass stays in the processor's cache.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from reactorhost.ipc.counters import Counters
from reactorhost.reactor import READ_BYTES, Arrivals, Reactor

if TYPE_CHECKING:
    from reactorhost.worker.stream.transport import StreamTransport

_LONG_SECONDS = 0.01


class Dispatcher:
    """Dispatches the input of the connections that share `counters`.

    Attributes:
        arrivals: the list that the reactor adds to.
    """

    def __init__(self, reactor: Reactor, counters: Counters) -> None:
        self.arrivals: Arrivals = []
        self.counters = counters
        self._reactor = reactor
        self._in_progress: Iterator[tuple[StreamTransport, bytes | None]] = iter(())
        reactor.on_arrivals(self.arrivals, self.dispatch)

    @property
    def handed_over(self) -> int:
        """How many messages were dispatched so far: a number that grows within a turn too."""
        return self.counters.messages - operator.length_hint(self._in_progress)

    def dispatch(self, arrived: Sequence[tuple[StreamTransport, bytes | None]]) -> None:
        """Call the receiver of each transport with its input, or the transport if that is an end or not wanted now."""
        counters, now = self.counters, self._reactor.now
        # Counted once for all, as the bytes are: an attribute that every message changes costs it one percent.
        counters.messages += len(arrived)
        total = 0
        # The watchdog reads from it how far this loop is: a length hint is free, a counter is not.
        self._in_progress = in_progress = iter(arrived)
        for transport, data in in_progress:
            if not data or transport.held:
                counters.messages -= 1
                transport.handle_undelivered(data)
                continue
            received = len(data)
            total += received
            connection = transport.connection
            connection.bytes_in += received
            transport.active_at = now
            # Looked up apart from the call, which CPython 3.11 does faster.
            receive = transport.receiver.receive
            try:
                transport.runner.run(receive, connection, data)
            except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
                transport.context.hook_raised("receive", connection, raised)
            if received >= READ_BYTES:
                transport.grow_reads(received)
        counters.bytes_in += total
        ended = self._reactor.clock()
        if ended - now > _LONG_SECONDS:
            # A client that was answered last was not silent while the hooks of others took their time.
            for transport, _ in arrived:
                transport.active_at = ended
