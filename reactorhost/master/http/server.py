"""The server of the HTTP endpoint, on the reactor of the master.

A client that has connected may be idle for minutes, as one that scrapes metrics is. From the first byte of a request on
it has seconds until it must have the response. One request for each path is answered in a turn: however many wait, the
master turns to its workers in between, and a probe does not wait behind metrics, which take longer. With too many
clients the one that is idle for longest is disconnected, or else the one whose request began first: whatever slow
clients do, a probe is answered.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import h11

from reactorhost.address import Address
from reactorhost.master.http.exchange import exchange, first_bytes
from reactorhost.master.http.messages import Route
from reactorhost.master.http.sockets import EndpointSockets, EndpointState
from reactorhost.reactor import READ, Reactor, TimerHandle
from reactorhost.reactor.steps import StepRunner
from reactorhost.system import process
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.own_file import FileState

IDLE_SECONDS = 120.0
EXCHANGE_SECONDS = 20.0
_MOST_CLIENTS = 64
# In a turn. Clients that connect faster than they are accepted fill the queue, and the kernel drops those of probes.
_ACCEPT_BATCH = 16
# What clients leave free: for files that the master writes.
_SPARE_DESCRIPTORS = 4
_MOST_HEADER_BYTES = 16 * 1024
_RETRY_SECONDS = 0.5
# A client that connects sends its request at once; a response that is read arrives at once.
_ARRIVAL_SECONDS = 0.05
_LAST_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class _Client:
    """One client, as the descriptor of the steps that run for it.

    Attributes:
        idle: whether no byte of a request has arrived.
        since: when that began.
    """

    socket: socket.socket
    http: h11.Connection
    on_close: Callable[[_Client], object]
    since: float
    idle: bool = True
    steps: StepRunner[bytes] | StepRunner[bool] | None = None

    def fileno(self) -> int:
        """Return the descriptor of the connection."""
        return self.socket.fileno()

    def close(self) -> None:
        """Close the connection."""
        self.on_close(self)
        self.socket.close()

    def end(self) -> None:
        """Close the connection, whatever runs for it."""
        if self.steps is None or self.steps.step is None:
            self.close()
        else:
            self.steps.end()


@dataclass(slots=True)
class HttpServer:
    """Answers the requests for `routes`, which are by path."""

    reactor: Reactor
    registry: ForkRegistry
    sockets: EndpointSockets
    routes: Mapping[str, Route]
    most_clients: int = field(default_factory=lambda: process.client_limit(_MOST_CLIENTS))
    _clients: set[_Client] = field(default_factory=set)
    _watched: list[socket.socket] = field(default_factory=list)
    _retry: TimerHandle | None = None
    _quiet_since: float | None = None
    _turn: int = -1
    _answered: set[str] = field(default_factory=set)

    @classmethod
    def at(
        cls,
        address: Address,
        reactor: Reactor,
        registry: ForkRegistry,
        routes: Mapping[str, Route],
        state: EndpointState | None = None,
    ) -> HttpServer:
        """Return a server that listens on an address, or with the sockets of another program that are bound to it.

        Raises:
            ReactorhostError: it cannot.
        """
        server = cls(reactor, registry, EndpointSockets(address), routes)
        if state is None:
            server.open()
        else:
            server.sockets.restore(state)
            server._listen()
        return server

    def open(self) -> None:
        """Listen; called again when the file of a unix socket was removed.

        Raises:
            ReactorhostError: the address is in use, or cannot be bound.
        """
        before = self.sockets.opened
        self.sockets.open()
        self._unwatch()
        for sock in before:
            self.registry.discard(sock)
            sock.close()
        self._listen()

    def _listen(self) -> None:
        for sock in self.sockets.opened:
            self.registry.add(sock, sock.close)
        self._watch()

    def quiesce(self) -> bool:
        """Accept no more clients for a moment, and return whether those of before can be disconnected.

        Called again and again until it returns True. That is when no client waits for a response, or has waited for so
        long that it is one that is slow. New clients wait in the queue, and are accepted if the calls end.
        """
        now = self.reactor.now
        since = now if self._quiet_since is None else self._quiet_since
        self._unwatch_for_a_while()
        self._quiet_since = since
        if now - since < _ARRIVAL_SECONDS:
            return False
        return now - since >= _LAST_SECONDS or all(client.idle for client in self._clients)

    @property
    def path(self) -> Path | None:
        """The file of a unix socket, or None for another address."""
        return self.sockets.path

    def state(self) -> FileState:
        """Return what is at the path."""
        return self.sockets.state()

    def close(self) -> None:
        """Stop listening and disconnect every client."""
        self._unwatch()
        for sock in self.sockets.opened:
            self.registry.discard(sock)
        self.sockets.close()
        for client in tuple(self._clients):
            client.end()

    # Clients.

    def _accept(self, listener: socket.socket, events: int) -> None:
        for _ in range(_ACCEPT_BATCH):
            if not self._accept_one(listener):
                return

    def _accept_one(self, listener: socket.socket) -> bool:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            # At the limit of descriptors the client stays in the queue. The listener, which would be reported in every
            # turn, is not looked at for a while, unless a client was disconnected for it.
            if error.errno in (errno.EMFILE, errno.ENFILE) and not self._make_room():
                self._unwatch_for_a_while()
            # Else the queue is empty, or the client has disconnected.
            return False
        sock.setblocking(False)
        try:
            process.require_free_descriptors(_SPARE_DESCRIPTORS)
        except OSError:
            self._make_room()
        if len(self._clients) >= self.most_clients:
            self._make_room()
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEADER_BYTES)
        client = _Client(sock, http, self._closed, self.reactor.now)
        self._clients.add(client)
        self.registry.add(client, sock.close)
        self._wait(client)
        return True

    def _make_room(self) -> bool:
        """Disconnect the client that needs its place least; returns False without clients."""
        chosen = min(self._clients, key=lambda each: (not each.idle, each.since), default=None)
        if chosen is not None:
            chosen.end()
        return chosen is not None

    def _closed(self, client: _Client) -> None:
        self._clients.discard(client)
        self.registry.discard(client)

    # Requests.

    def _wait(self, client: _Client) -> None:
        """Wait for the next request of a client."""
        if client not in self._clients:
            # It was disconnected to make room.
            return
        client.idle, client.since = True, self.reactor.now
        received, _ = client.http.trailing_data
        if received:
            # The client sent several requests at once.
            self._answer(client)
            return

        def begun(data: bytes) -> None:
            client.http.receive_data(data)
            self._answer(client)

        client.steps = StepRunner(self.reactor, client, first_bytes(client.socket), begun, _drop)
        client.steps.begin(self.reactor.now + IDLE_SECONDS)

    def _answer(self, client: _Client) -> None:
        client.idle, client.since = False, self.reactor.now

        def answered(continues: bool) -> None:
            if continues:
                # In the next turn: a client that sends without end must not keep the others waiting.
                self.reactor.call_soon(self._wait, client)
            else:
                client.close()

        steps = exchange(client.socket, client.http, self.routes, self._may_answer)
        client.steps = StepRunner(self.reactor, client, steps, answered, _drop)
        client.steps.begin(self.reactor.now + EXCHANGE_SECONDS)

    def _may_answer(self, path: str) -> bool:
        if self._turn != self.reactor.turns:
            self._turn = self.reactor.turns
            self._answered.clear()
        if path in self._answered:
            return False
        self._answered.add(path)
        return True

    # Listeners.

    def _watch(self) -> None:
        self._retry = self._quiet_since = None
        for sock in self.sockets.opened:
            self.reactor.register(sock.fileno(), READ, partial(self._accept, sock))
        self._watched = list(self.sockets.opened)

    def _unwatch_for_a_while(self) -> None:
        self._unwatch()
        self._retry = self.reactor.call_later(_RETRY_SECONDS, self._watch)

    def _unwatch(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for sock in self._watched:
            self.reactor.unregister(sock.fileno())
        self._watched = []


def _drop(error: Exception) -> None:
    """Ignore that a client was too slow, or has gone: its socket is closed by then."""
