"""The UDP sockets of a worker: those that it reads, and those that stay open for answers only."""

from __future__ import annotations

import socket
from collections.abc import Callable

from reactorhost.system.fork import ForkRegistry
from reactorhost.worker.service import RunningService
from reactorhost.worker.udp.socket import UdpSocket


class UdpSockets:
    """Every UDP socket of a worker; `on_closed` is called with the slot that a closed socket was borrowed from."""

    def __init__(self, fork_registry: ForkRegistry, on_closed: Callable[[int], object]) -> None:
        self._fork_registry = fork_registry
        self._on_closed = on_closed
        self._sockets: list[tuple[int, UdpSocket]] = []

    def add(self, slot: int, service: RunningService, sock: socket.socket) -> None:
        """Read this socket too."""
        self._fork_registry.add(sock, sock.close)
        udp_socket = service.udp_socket(sock, lambda: self._closed(slot, sock))
        self._sockets.append((slot, udp_socket))
        udp_socket.open()

    def slots(self) -> set[int]:
        """Return the slots whose sockets are open here."""
        return {slot for slot, _ in self._sockets}

    def release(self, slot: int) -> None:
        """Stop reading a slot's sockets; each is closed when it owes no answer any more."""
        for owner, udp_socket in tuple(self._sockets):
            if owner == slot:
                udp_socket.release()

    def empty_queues(self) -> None:
        """Read what is queued at every socket, then release it."""
        for _, udp_socket in tuple(self._sockets):
            udp_socket.empty_queue()

    def abandon(self) -> None:
        """Stop reading, and wait only for the end of cancelled hooks."""
        for _, udp_socket in tuple(self._sockets):
            udp_socket.abandon()

    def _closed(self, slot: int, sock: socket.socket) -> None:
        self._fork_registry.discard(sock)
        self._sockets = [(owner, udp_socket) for owner, udp_socket in self._sockets if not udp_socket.closed]
        self._on_closed(slot)
