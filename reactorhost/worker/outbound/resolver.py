"""Host names to socket addresses.

getaddrinfo blocks, so it runs in threads, one for each name that is looked up. They are not those of `run_in_thread`: a
name server that does not answer would use these up. A thread in getaddrinfo cannot be stopped, so a cancelled lookup
only drops its result. No thread is started before the first name.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from reactorhost.reactor import Reactor, WakeUp

_MAX_THREADS = 8


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """An address that a stream socket can connect to, with its family, as the socket module has both."""

    family: int
    sockaddr: Any


@dataclass(slots=True, eq=False, repr=False)
class Lookup:
    """One caller that waits for a name."""

    found: Callable[[Sequence[SocketAddress]], object]
    failed: Callable[[str], object]
    cancelled: bool = False

    def cancel(self) -> None:
        """Call neither callback."""
        self.cancelled = True


@dataclass(slots=True, eq=False, repr=False)
class _Query:
    """A name and port that several callers may wait for; a thread sets `addresses`, or else `reason`."""

    host: str
    port: int
    lookups: list[Lookup] = field(default_factory=list)
    addresses: Sequence[SocketAddress] = ()
    reason: str = ""


class Resolver:
    """Looks up names in threads, and calls back in the event loop."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._queries: dict[tuple[str, int], _Query] = {}
        self._waiting: deque[_Query] = deque()
        self._running = 0
        self._finished: deque[_Query] = deque()
        # Once made, it is kept: a thread may still use it after its result was read.
        self._wake_up: WakeUp | None = None

    def look_up(
        self, host: str, port: int, found: Callable[[Sequence[SocketAddress]], object], failed: Callable[[str], object]
    ) -> Lookup:
        """Call `found` with the addresses of a name, at least one, or `failed` with a reason.

        Raises:
            OSError: no descriptor is left.
        """
        if self._wake_up is None:
            self._wake_up = WakeUp(self._reactor, self._deliver)
        query = self._queries.get((host, port))
        if query is None:
            query = self._queries[host, port] = _Query(host, port)
            self._waiting.append(query)
        lookup = Lookup(found, failed)
        query.lookups.append(lookup)
        self._start_waiting()
        return lookup

    def _start_waiting(self) -> None:
        assert self._wake_up is not None
        while self._waiting and self._running < _MAX_THREADS:
            query = self._waiting.popleft()
            if all(lookup.cancelled for lookup in query.lookups):
                del self._queries[query.host, query.port]
                continue
            # A daemon, so that one that hangs does not delay the end of the process.
            thread = threading.Thread(
                target=_resolve, args=(query, self._finished, self._wake_up), name="reactorhost-names", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                query.reason = "no thread could be started to resolve the name"
                self._finished.append(query)
                self._wake_up.wake()
            # Also without a thread: `_deliver` subtracts it again.
            self._running += 1

    def _deliver(self) -> None:
        while self._finished:
            query = self._finished.popleft()
            self._running -= 1
            # Before the callbacks: one that looks up the same name again starts a new query.
            del self._queries[query.host, query.port]
            for lookup in query.lookups:
                if lookup.cancelled:
                    continue
                if query.addresses:
                    lookup.found(query.addresses)
                else:
                    lookup.failed(query.reason)
        self._start_waiting()


def numeric_address(host: str, port: int) -> SocketAddress | None:
    """Return the socket address of an IP address, without a lookup; None for a name."""
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, ValueError):
        return None
    family, _, _, _, sockaddr = found[0]
    return SocketAddress(family, sockaddr)


def interleaved(addresses: Sequence[SocketAddress]) -> list[SocketAddress]:
    """Return the addresses with the first one's family and the others alternating, each in its own order.

    So when no address of one family can be reached, the second attempt uses another (RFC 8305, section 4).
    """
    first = deque(address for address in addresses if address.family == addresses[0].family)
    others = deque(address for address in addresses if address.family != addresses[0].family)
    ordered = []
    while first or others:
        ordered += [queue.popleft() for queue in (first, others) if queue]
    return ordered


def _resolve(query: _Query, finished: deque[_Query], wake_up: WakeUp) -> None:
    """Resolve one name; in a thread."""
    try:
        found = socket.getaddrinfo(query.host, query.port, type=socket.SOCK_STREAM)
        query.addresses = list(dict.fromkeys(SocketAddress(family, sockaddr) for family, _, _, _, sockaddr in found))
    except OSError as error:
        query.reason = (error.strerror or str(error)).lower()
    except ValueError:
        # The IDNA codec refuses it, for a label of more than 63 characters for example.
        query.reason = "that is not a name"
    finished.append(query)
    wake_up.wake()
