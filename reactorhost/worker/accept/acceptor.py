"""Accept connections from the listeners of this slot and of adopted slots.

Accepting pauses while the worker is full or out of descriptors; waiting clients keep their place in the kernel's queue,
and the master lets another worker accept them. If no worker has room, the master orders the clients of services with
`when_full = "refuse"` to be refused: they are accepted and closed at once.

Above `accept_rate` the listeners of a service are not watched for a while. The master does not know of it: nothing is
wrong with the worker, and another one has a rate of its own.

All workers share the listener of a unix socket. The kernel wakes one of them for a client, the first of its list that
waits. So a worker takes one client at a time, and then goes to the end of the list: clients are spread evenly. A worker
that was woken may not come to accept, because it is killed or its turn ends the registration (a drain, a pause), and
the kernel wakes no other one for that client. So each worker also goes to the end of the list every second: joining it
reports a queue that is not empty.

The asyncio bridge waits for the reactor's epoll set in another one, for which the kernel wakes all: in workers with
async hooks each client wakes every worker, as with pollers other than epoll.
"""

from __future__ import annotations

import errno
import math
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import EXCLUSIVE, READ, Reactor
from reactorhost.reactor.timers import next_second
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.rate_limit import RateLimit
from reactorhost.worker.accept.capacity import CapacityReport
from reactorhost.worker.admission.accept_rate import AcceptRate
from reactorhost.worker.service import Accept

# The rest of a queue waits for the next turn: clients with a connection have their messages handled in between.
_BATCH = 64
_RETRY_SECONDS = 0.5
_REFUSAL_LINE_SECONDS = 60.0
_RATE_LINE_SECONDS = 60.0
# accept(2): an error of the connection that was to be accepted, not of the listener.
_CLIENT_GONE = (errno.ECONNABORTED, errno.EPROTO)
# The connection stays in the queue, so epoll would report the listener again at once, in every turn.
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class WatchedListener:
    """A listening socket that the worker borrows from a slot; `slot` is None where all slots share the socket.

    `on_accepted` is called with each accepted socket and the peer's address; `refuses`: clients that no worker has room
    for are refused. `counters` are the service's. `rate` limits how fast clients are accepted; all listeners of a
    service share it.
    """

    __slots__ = (
        "_kind",
        "accept",
        "counters",
        "on_accepted",
        "rate",
        "refuses",
        "served",
        "service",
        "slot",
        "socket",
        "waits",
        "watched",
    )

    def __init__(
        self,
        slot: int | None,
        service: str,
        sock: socket.socket,
        on_accepted: Accept,
        *,
        counters: Counters,
        refuses: bool = False,
        rate: AcceptRate | None = None,
    ) -> None:
        self.slot = slot
        self.service = service
        self.counters = counters
        self.refuses = refuses
        self.rate = rate
        self.served = False
        self.waits = False
        self.watched = False
        self.socket = sock
        self.on_accepted = on_accepted if rate is None else rate.counted(on_accepted)
        self._kind = (int(sock.family), int(sock.type), sock.proto)
        # `_accept` is private to CPython's socket module, so another interpreter or version may not have it.
        self.accept = self._accept_quickly if hasattr(sock, "_accept") else self._accept_portably

    def _accept_quickly(self) -> tuple[socket.SocketType, Any]:
        """Accept as `socket.accept()`, in a fifth of the time.

        `socket.accept()` makes an instance of a Python class and looks up two enum members for each connection.

        Raises:
            OSError: as `socket.accept()`.
        """
        descriptor, peer = self.socket._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        sock = socket.SocketType(*self._kind, descriptor)
        sock.setblocking(False)
        return sock, peer

    def _accept_portably(self) -> tuple[socket.SocketType, Any]:
        sock, peer = self.socket.accept()
        sock.setblocking(False)
        return sock, peer


@dataclass(slots=True, eq=False, repr=False)
class Acceptor:
    """All listeners that a worker accepts from."""

    reactor: Reactor
    counters: Counters
    log: EventLog
    fork_registry: ForkRegistry
    most_connections: int
    capacity: CapacityReport
    _listeners: list[WatchedListener] = field(default_factory=list, init=False)
    _accepting: bool = field(default=True, init=False)
    _refusing: Collection[str] = field(default=(), init=False)
    _will_rejoin: bool = field(default=False, init=False)
    # Logged once until a queue was empty again, not for every connection that ends and makes room for one more.
    _pause_lines: RateLimit = field(default_factory=lambda: RateLimit(1, math.inf), init=False)
    _refusal_lines: RateLimit = field(default_factory=lambda: RateLimit(1, _REFUSAL_LINE_SECONDS), init=False)
    _rate_lines: RateLimit = field(default_factory=lambda: RateLimit(1, _RATE_LINE_SECONDS), init=False)

    def add(self, listeners: Sequence[WatchedListener]) -> None:
        """Accept from these listeners too."""
        for listener in listeners:
            self.fork_registry.add(listener.socket, listener.socket.close)
            self._listeners.append(listener)
            self._update(listener)
        self._rejoin_later()

    def replace_or_add(self, listener: WatchedListener) -> None:
        """Accept from a listener, and in place of an older one that all slots share if it has the same address."""
        if listener.slot is None:
            name = listener.socket.getsockname()
            for old in [each for each in self._listeners if each.slot is None and each.socket.getsockname() == name]:
                self._empty(old)
        self.add([listener])

    def release(self, slot: int | None, service: str | None = None) -> None:
        """Close this worker's copies of a slot's listeners, by default of all services; others serve their queues."""
        for listener in [listener for listener in self._listeners if listener.slot == slot]:
            if service in (None, listener.service):
                self._close(listener)

    def release_all(self) -> set[int]:
        """Close this worker's copies of all listeners; returns their slots."""
        released = tuple(self._listeners)
        for listener in released:
            self._close(listener)
        return {listener.slot for listener in released if listener.slot is not None}

    def empty_queues(self) -> None:
        """Accept every connection that is queued, then close the listeners: no other process will accept them.

        This may be the last copy of a listener: closing it resets what is queued, so nothing runs in between.
        """
        for listener in tuple(self._listeners):
            self._empty(listener)

    def resume(self) -> None:
        """Accept again after a pause, if the worker is not full; called when a connection has ended."""
        if not self._accepting and self.counters.connections < self.most_connections:
            self._accepting = True
            self.capacity.resume()
            self._update_all()

    def refuse(self, services: Collection[str]) -> None:
        """Refuse the clients of these services while this worker is full, and let all others wait."""
        self._refusing = services
        self._update_all()

    def _update_all(self) -> None:
        for listener in self._listeners:
            self._update(listener)

    def _update(self, listener: WatchedListener) -> None:
        # Not while descriptors are what is missing: refusing needs one.
        full = self.counters.connections >= self.most_connections
        refuses = listener.refuses and listener.service in self._refusing
        self._watch(listener, (self._accepting and not listener.waits) or (refuses and full))

    def _watch(self, listener: WatchedListener, watched: bool) -> None:
        if watched is listener.watched:
            return
        listener.watched = watched
        if watched:
            events = READ if listener.slot is not None else READ | EXCLUSIVE
            self.reactor.register(listener.socket.fileno(), events, lambda events: self._serve(listener))
        else:
            self.reactor.unregister(listener.socket.fileno())

    def _serve(self, listener: WatchedListener) -> None:
        if not self._accepting:
            self._refuse_batch(listener)
        elif listener.slot is None:
            self._accept_one(listener)
        else:
            self._accept_batch(listener)

    def _rejoin(self, listener: WatchedListener) -> None:
        """Go to the end of the list of processes that the kernel wakes for a shared listener."""
        self._watch(listener, False)
        self._watch(listener, True)

    def _rejoin_later(self) -> None:
        if not self._will_rejoin and any(listener.slot is None for listener in self._listeners):
            self._will_rejoin = True
            # At whole seconds, when an idle worker wakes up anyway.
            self.reactor.call_at(next_second(self.reactor.clock()), self._rejoin_all)

    def _rejoin_all(self) -> None:
        self._will_rejoin = False
        if self._accepting:
            for listener in self._listeners:
                if listener.slot is None and not listener.waits:
                    self._rejoin(listener)
        self._rejoin_later()

    def _close(self, listener: WatchedListener) -> None:
        self._listeners.remove(listener)
        # Before closing: other processes have this socket open too, so epoll would continue to report it.
        self._watch(listener, False)
        self.fork_registry.discard(listener.socket)
        listener.socket.close()

    def _empty(self, listener: WatchedListener) -> None:
        while self._accept(listener):
            pass
        self._close(listener)

    def _accept_batch(self, listener: WatchedListener) -> None:
        for accepted in range(_BATCH):
            if listener.rate is not None and not self._within_rate(listener, listener.rate, is_reported=not accepted):
                return
            if not self._accepting or not self._accept(listener):
                return
            if self.counters.connections >= self.most_connections:
                self._pause("max_connections")
                return

    def _refuse_batch(self, listener: WatchedListener) -> None:
        for _ in range(_BATCH):
            try:
                sock, _peer = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _CLIENT_GONE:
                    continue
                # Out of descriptors: they wait.
                self._watch(listener, False)
                self.reactor.call_later(_RETRY_SECONDS, self._update_all)
                return
            sock.close()
            for counters in (self.counters, listener.counters):
                counters.accepted += 1
                counters.refused += 1
            if self._refusal_lines.admits(self.reactor.now):
                suppressed = self._refusal_lines.take_suppressed()
                self.log.warning("clients_refused", reason="max_connections", suppressed=suppressed)

    def _accept_one(self, listener: WatchedListener) -> None:
        if listener.rate is not None and not self._within_rate(listener, listener.rate, is_reported=True):
            return
        if not self._accepting or not self._accept(listener):
            return
        if self.counters.connections >= self.most_connections:
            self._pause("max_connections")
        # Not if the client's hooks have led to the release of the listener.
        elif listener in self._listeners:
            self._rejoin(listener)

    def _within_rate(self, listener: WatchedListener, rate: AcceptRate, *, is_reported: bool) -> bool:
        """Return whether the rate of a service allows one more client; if not, its listener waits.

        `is_reported`: the poller has reported a client, and it was not accepted yet.
        """
        now = self.reactor.now
        if rate.allows(now):
            listener.served = True
            return True
        if not is_reported:
            # The queue may be empty. If it is not, the poller reports that in the next turn.
            return False
        # One token at a time comes back. The listener that has had the last one must not get each of them.
        ready_at = rate.ready_at(now, after_others=listener.served)
        listener.served = False
        listener.waits = True
        self.counters.rate_pauses += 1
        listener.counters.rate_pauses += 1
        if self._rate_lines.admits(now, listener.service):
            self.log.warning("accept_rate_reached", service=listener.service, accept_rate=rate.per_second)
        self._update(listener)
        self.reactor.call_at(ready_at, self._end_wait, listener)
        return False

    def _end_wait(self, listener: WatchedListener) -> None:
        listener.waits = False
        if listener in self._listeners:
            self._update(listener)

    def _accept(self, listener: WatchedListener) -> bool:
        """Accept one connection; returns False when none is queued or none can be accepted now."""
        try:
            sock, peer = listener.accept()
        except BlockingIOError:
            self._pause_lines.reset()
            return False
        except OSError as error:
            if error.errno in _OUT_OF_RESOURCES:
                self.counters.accept_pauses += 1
                self._pause(error.strerror or "out of resources")
                self.reactor.call_later(_RETRY_SECONDS, self.resume)
                return False
            # Any other error is of a listener that was closed in this turn.
            return error.errno in _CLIENT_GONE
        listener.on_accepted(sock, peer)
        return True

    def _pause(self, reason: str) -> None:
        if self._pause_lines.admits(self.reactor.now):
            self.log.warning("accepting_paused", reason=reason, connections=self.counters.connections)
        if self._accepting:
            self._accepting = False
            self.capacity.pause()
            self._update_all()
