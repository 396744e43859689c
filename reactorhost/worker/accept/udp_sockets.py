"""The UDP sockets that a worker holds: those that it reads, and those that it only answers from any more."""

from __future__ import annotations

from collections.abc import Callable

from reactorhost.worker.service import RunningService
from reactorhost.worker.udp.socket import DatagramSocket, UdpSocket


class UdpSockets:
    """Every UDP socket of a worker, by the slot that it is borrowed from; `on_closed` is called with that slot."""

    def __init__(self, on_closed: Callable[[int], object]) -> None:
        self._on_closed = on_closed
        self._ports: list[tuple[int, UdpSocket]] = []

    def add(self, slot: int, service: RunningService, sock: DatagramSocket) -> None:
        """Read this one too."""
        port = service.udp_socket(sock, lambda: self._closed(slot))
        self._ports.append((slot, port))
        port.open()

    def slots(self) -> set[int]:
        """Return the slots of which it holds sockets."""
        return {slot for slot, _ in self._ports}

    def release(self, slot: int) -> None:
        """Leave the sockets of a slot to somebody else; each is closed when nothing is to be answered any more."""
        for of, port in tuple(self._ports):
            if of == slot:
                port.release()

    def finish(self) -> None:
        """Read what waits, then no more: nobody comes after us."""
        for _, port in tuple(self._ports):
            port.finish()

    def abandon(self) -> None:
        """Read no more, and wait for nothing but the end of hooks that are cancelled."""
        for _, port in tuple(self._ports):
            port.abandon()

    def close_inherited(self) -> None:
        """Close the copies of a process that a plugin forked, which is not the worker."""
        for _, port in self._ports:
            port.close_inherited()

    def _closed(self, slot: int) -> None:
        self._ports = [(of, port) for of, port in self._ports if not port.closed]
        self._on_closed(slot)
