"""What the contexts of a worker and of its services refer to, and do not import: dispatcher, groups, protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from reactorhost.api.connection import Connection
from reactorhost.api.connection_protocols import Groups
from reactorhost.ipc.counters import Counters
from reactorhost.reactor import Arrivals


class Dispatcher(Protocol):
    """Calls the services' `receive` for what the reactor has read."""

    @property
    def arrivals(self) -> Arrivals:
        """Where the reactor puts what it reads."""

    @property
    def counters(self) -> Counters:
        """The counters that the dispatched messages are added to."""

    @property
    def handed_over(self) -> int:
        """Return how many messages were dispatched so far; the number grows within a turn too."""

    def dispatch(self, arrived: Sequence[tuple[Any, bytes | None]], /) -> None:
        """Dispatch pairs of a transport and what was read from it."""


class Memberships(Groups, Protocol):
    """The groups of the worker's connections."""

    def ended(self, connection: Connection, /) -> None:
        """Remove a connection that has ended from all its groups."""


class ProtocolEvents(Protocol):
    """The asyncio protocols that serve the connections of a service; notified of what the hooks do not report."""

    def peer_ended(self, transport: Any, /) -> None:
        """Handle the client's end, once everything before it was delivered."""

    def send_failed(self, transport: Any, /) -> None:
        """Handle that nothing can be sent to the client any more."""

    def flushed(self, transport: Any, /) -> None:
        """Handle that the kernel has accepted the last byte before a close."""

    def protocol_of(self, connection: Connection, /) -> object | None:
        """Return the protocol that serves a connection."""

    def holds_input(self, connection: Connection, /) -> bool:
        """Return whether input waits that the plugin has not read."""

    def forget(self, connection: Connection, /) -> None:
        """Release the protocol of a connection that has ended, after its `close` hooks."""
