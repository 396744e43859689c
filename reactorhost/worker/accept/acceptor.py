"""The intake: accepts from this slot's listeners and from those that it holds for others.

Accepting pauses while the worker is full or out of descriptors; who waits keeps its place in the kernel's queue.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Any

from reactorhost.ipc.scoreboard import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import READ, Reactor
from reactorhost.worker.service import Accept

_BATCH = 64
_RETRY_SECONDS = 0.5
_CLIENT_GONE = (errno.ECONNABORTED, errno.EPROTO)
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """One listening socket that a worker borrows from a slot; `slot` is None where all slots share it.

    `accept` is handed each accepted socket with the peer's address.
    """

    __slots__ = ("_kind", "accept", "slot", "socket")

    def __init__(self, slot: int | None, sock: socket.socket, accept: Accept) -> None:
        self.slot = slot
        self.socket = sock
        self.accept = accept
        self._kind = (int(sock.family), int(sock.type), sock.proto)

    def accepted(self) -> tuple[socket.SocketType, Any]:
        """Accept as `socket.accept()` does, but for a socket of C's and without looking up two enums: a fifth of it.

        Raises:
            OSError: as `socket.accept()`.
        """
        descriptor, peer = self.socket._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        sock = socket.SocketType(*self._kind, descriptor)
        sock.setblocking(False)
        return sock, peer


class Acceptor:
    """Everything that a worker accepts from."""

    def __init__(self, reactor: Reactor, counters: Counters, log: EventLog, most_connections: int) -> None:
        self._reactor = reactor
        self._counters = counters
        self._log = log
        self._most_connections = most_connections
        self._listeners: list[Listener] = []
        self._accepting = True
        self._told = False

    def add(self, listeners: Sequence[Listener]) -> None:
        """Accept from these too."""
        for listener in listeners:
            self._listeners.append(listener)
            if self._accepting:
                self._watch(listener)

    def release(self, slot: int) -> None:
        """Leave the listeners of a slot to somebody else; what waits in their queues stays there."""
        for listener in [listener for listener in self._listeners if listener.slot == slot]:
            self._drop(listener)

    def release_all(self) -> set[int]:
        """Leave every listener to somebody else; returns the slots that they are of."""
        released = tuple(self._listeners)
        for listener in released:
            self._drop(listener)
        return {listener.slot for listener in released if listener.slot is not None}

    def drain_and_close(self) -> None:
        """Accept everything that waits in the queues, then close them: nobody comes after us."""
        for listener in tuple(self._listeners):
            while self._accept(listener):
                pass
            self._drop(listener)

    def close_inherited(self) -> None:
        """Close the copies of a process that a plugin forked, which is not the worker."""
        for listener in self._listeners:
            listener.socket.close()

    def connection_ended(self) -> None:
        """Accept again, if there was no room."""
        if not self._accepting:
            self._resume()

    def _watch(self, listener: Listener) -> None:
        def ready(events: int) -> None:
            self._accept_batch(listener)

        self._reactor.register(listener.socket.fileno(), READ, ready)

    def _drop(self, listener: Listener) -> None:
        self._listeners.remove(listener)
        if self._accepting:
            # Before closing: other processes hold this socket too, so epoll would go on reporting it.
            self._reactor.unregister(listener.socket.fileno())
        listener.socket.close()

    def _accept_batch(self, listener: Listener) -> None:
        for _ in range(_BATCH):
            if not self._accepting or not self._accept(listener):
                return
            if self._counters.connections >= self._most_connections:
                self._pause("max_connections")
                return

    def _accept(self, listener: Listener) -> bool:
        """Accept one connection; False when none waits, or none can be taken now."""
        try:
            sock, peer = listener.accepted()
        except BlockingIOError:
            self._told = False
            return False
        except OSError as error:
            if error.errno in _OUT_OF_RESOURCES:
                self._counters.accept_pauses += 1
                self._pause(error.strerror or "out of resources")
                self._reactor.call_later(_RETRY_SECONDS, self._resume)
                return False
            # Anything else is a listener that was dropped in this very turn.
            return error.errno in _CLIENT_GONE
        listener.accept(sock, peer)
        return True

    def _pause(self, reason: str) -> None:
        if not self._told:
            # Said once until a queue was seen empty again, not at every connection that comes and goes.
            self._told = True
            self._log.warning("accepting_paused", reason=reason, connections=self._counters.connections)
        if self._accepting:
            self._accepting = False
            for listener in self._listeners:
                self._reactor.unregister(listener.socket.fileno())

    def _resume(self) -> None:
        if not self._accepting and self._counters.connections < self._most_connections:
            self._accepting = True
            for listener in self._listeners:
                self._watch(listener)
