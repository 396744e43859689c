"""A service in this worker: its plugin chain, its connections, and what they all share."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from reactorhost.connection import CloseReason, Connection, transport_of
from reactorhost.logs import EventLog
from reactorhost.plugins.chain import resolve
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.reactor import Reactor
from reactorhost.scoreboard import Counters
from reactorhost.worker.stopwatch import Stopwatch
from reactorhost.worker.transport import Phase, StreamTransport


class HookFailure(Protocol):
    """Who hears of an exception in a hook or a timer of a plugin."""

    def __call__(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        """Tell the log."""


class RunningService:
    """One service of one worker.

    Attributes:
        receive: the resolved receive chain; with one handler it is the plugin's own function, but in timed turns.
        tally: the worker's counters, plain attributes that every message adds to.
        close_timeout: seconds for the flush and the client's answer when a connection is closed.
        idle_timeout: seconds without traffic that end a connection, or None.
        max_send_buffer: bytes that may wait for a client that does not read.
    """

    def __init__(
        self,
        name: str,
        plugins: Sequence[LoadedPlugin],
        reactor: Reactor,
        tally: Counters,
        ids: itertools.count[int],
        failed: HookFailure,
        stopwatch: Stopwatch,
        log: EventLog,
        *,
        close_timeout: float,
        idle_timeout: float | None,
        max_send_buffer: int,
    ) -> None:
        self.name = name
        self._plain = self.chain = resolve(plugins, self.failed)
        self._timed = resolve(plugins, self.failed, stopwatch.around)
        self._timed_receive = stopwatch.around_receive(self._timed.receive)
        self.receive = self.chain.receive
        self.reactor = reactor
        self.tally = tally
        self.close_timeout = close_timeout
        self.idle_timeout = idle_timeout
        self.max_send_buffer = max_send_buffer
        self.transports: set[StreamTransport] = set()
        self.on_ended: Callable[[], object] | None = None
        self._ids = ids
        self._failed = failed
        self._log = log

    def set_timed(self, timed: bool) -> None:
        """Call the hooks with a stopwatch from now on, or without."""
        self.chain = self._timed if timed else self._plain
        self.receive = self._timed_receive if timed else self._plain.receive

    def accept(self, sock: socket.socket, peer: Any) -> None:
        """Take over a socket that was just accepted."""
        transport = StreamTransport(self, sock, peer, next(self._ids))
        self.transports.add(transport)
        self.tally.accepted += 1
        self.tally.connections += 1
        transport.open()
        if transport.phase is not Phase.OPEN:
            self.tally.refused += 1

    def failed(self, plugin: str, hook: str, connection: Connection, error: Exception) -> None:
        """Tell of an exception in a plugin's code, and close the connection that it came over."""
        self._failed(plugin, hook, connection, error)
        transport_of(connection).close_for(CloseReason.ERROR)

    def ended(self, transport: StreamTransport, reason: CloseReason) -> None:
        """Call the close hooks of a connection whose socket is closed, and forget it."""
        self.chain.close(transport.connection, reason)
        self.transports.discard(transport)
        self.tally.connections -= 1
        if self.on_ended is not None:
            self.on_ended()

    def overflowed(self, connection: Connection) -> None:
        """Tell of a client that is closed because it does not read what it is sent."""
        self._log.warning(
            "send_buffer_overflow",
            service=self.name,
            peer=connection.peer,
            connection=connection.id,
            queued_bytes=connection.queued,
            max_send_buffer=self.max_send_buffer,
        )

    def drain(self) -> None:
        """Tell every connection that the worker goes away."""
        if self.chain.has_drain:
            for transport in tuple(self.transports):
                self.chain.drain(transport.connection)

    def connections(self) -> Iterator[Connection]:
        """Yield the connections that are open."""
        return (transport.connection for transport in self.transports)
