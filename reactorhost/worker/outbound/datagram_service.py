"""The service of one outbound UDP connection: it makes the transport, as `RunningService` does for streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactorhost.worker.context import Limits, Resolve, ServiceContext, WorkerContext
from reactorhost.worker.stream.socket import StreamSocket
from reactorhost.worker.udp.connected import ConnectedTransport


class DatagramService:
    """A service with one connection; `on_ended` is called after its end.

    Attributes:
        context: the part of the service that the transport reads.
        transports: the transport while the connection is open.
    """

    def __init__(
        self, name: str, worker: WorkerContext, limits: Limits, resolve: Resolve, on_ended: Callable[[], object]
    ) -> None:
        self.context = ServiceContext(name, worker, limits, resolve)
        self.context.on_closed = self._closed
        self.transports: set[ConnectedTransport] = set()
        self._ids = worker.ids
        self._on_ended = on_ended

    def begin(self, sock: StreamSocket, peer: Any) -> ConnectedTransport:
        """Serve a connected socket from its `connect` on."""
        transport = ConnectedTransport(self.context, sock, peer, next(self._ids))
        self.transports.add(transport)
        if self.context.loop_thread.has_others:
            self.context.loop_thread.check_sends(transport.connection)
        transport.open()
        return transport

    def drain(self) -> None:
        """Call `drain` of the connection, if it is open."""
        self.context.draining = True
        for transport in tuple(self.transports):
            self.context.drain(transport)

    def _closed(self, transport: ConnectedTransport) -> None:
        self.transports.discard(transport)
        transport.release()
        self._on_ended()
