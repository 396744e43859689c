"""The sockets that a worker borrows, of its own slot and of adopted slots: listeners and UDP sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from reactorhost.ipc.worker_spec import BorrowedListener
from reactorhost.system.fork import ForkRegistry
from reactorhost.worker.accept.acceptor import Acceptor, WatchedListener
from reactorhost.worker.admission.accept_rate import AcceptRate
from reactorhost.worker.service import RunningService
from reactorhost.worker.udp.socket import UdpSocket


@dataclass(slots=True, eq=False)
class _BorrowedUdp:
    """A UDP socket that the worker borrows; `slot` is None where all slots share it."""

    slot: int | None
    service: str
    socket: UdpSocket


@dataclass(slots=True, eq=False, repr=False)
class SlotSockets:
    """Every borrowed socket; `on_released` is called with a slot when all its sockets are closed in this worker.

    It is called with None when those are closed that all slots share.

    A UDP socket that was released stays open, and in the list, until it owes no answer any more.

    Attributes:
        rates: by service, how fast its clients are accepted, if that is limited.
        waiting: the sockets from the fork, which are served from `begin` on.
    """

    acceptor: Acceptor
    services: Mapping[str, RunningService]
    refusing_services: Collection[str]
    fork_registry: ForkRegistry
    on_released: Callable[[int | None], object]
    waiting: list[BorrowedListener]
    rates: Mapping[str, AcceptRate] = field(default_factory=dict)
    _udp_sockets: list[_BorrowedUdp] = field(default_factory=list, init=False)

    @property
    def in_use(self) -> bool:
        """Whether datagrams that were received may still be answered."""
        return bool(self._udp_sockets)

    def begin(self) -> None:
        """Serve the clients of the sockets that wait."""
        while self.waiting:
            self.add(self.waiting.pop(0))

    def add(self, borrowed: BorrowedListener) -> None:
        """Serve the clients of a socket."""
        service = self.services[borrowed.service]
        slot, sock = borrowed.slot, borrowed.socket
        if borrowed.scheme != "udp":
            refuses = borrowed.service in self.refusing_services
            accept, rate = service.acceptor(borrowed.scheme), self.rates.get(borrowed.service)
            counters = service.context.counters
            listener = WatchedListener(
                slot, borrowed.service, sock, accept, counters=counters, refuses=refuses, rate=rate
            )
            self.acceptor.replace_or_add(listener)
            return
        self.fork_registry.add(sock, sock.close)
        udp = _BorrowedUdp(slot, borrowed.service, service.udp_socket(sock, lambda: self._udp_socket_closed(udp, sock)))
        self._udp_sockets.append(udp)
        udp.socket.open()

    def release(self, slot: int | None) -> None:
        """Leave what is queued at a slot's sockets to another worker."""
        self.acceptor.release(slot)
        # Apart from the list of all, which changes in the loop: a socket that owes nothing is closed at once.
        udp_sockets = [each.socket for each in self._udp_sockets if each.slot == slot]
        for udp_socket in udp_sockets:
            udp_socket.release()
        if not udp_sockets:
            self.on_released(slot)

    def give_up(self, service: str, slots: Collection[int | None], to: int | None) -> None:
        """Leave what is queued at a service's sockets in these slots to the worker that adopts the slot `to`.

        None among the slots is for the socket that all slots share.
        """
        for borrowed in [each for each in self.waiting if each.service == service and each.slot in slots]:
            self.waiting.remove(borrowed)
            self.fork_registry.discard(borrowed.socket)
            borrowed.socket.close()
        for slot in slots:
            self.acceptor.release(slot, service)
        given_up = [each for each in self._udp_sockets if each.service == service and each.slot in slots]
        for each in given_up:
            if each.slot is None:
                each.socket.release()
            elif to is not None:
                each.slot = to
        if to is not None:
            self.release(to)

    def release_all(self) -> None:
        """Leave what is queued at all sockets to other workers."""
        for slot in self.acceptor.release_all() | {each.slot for each in self._udp_sockets}:
            self.release(slot)

    def empty_queues(self) -> None:
        """Accept and read everything that is queued, then close: no other worker will."""
        self.acceptor.empty_queues()
        for each in tuple(self._udp_sockets):
            each.socket.empty_queue()

    def abandon(self) -> None:
        """Stop reading datagrams, cancel their hooks and timers, and wait only for the end of cancelled hooks."""
        for each in tuple(self._udp_sockets):
            each.socket.abandon()

    def _udp_socket_closed(self, udp: _BorrowedUdp, sock: socket.socket) -> None:
        self.fork_registry.discard(sock)
        self._udp_sockets.remove(udp)
        if all(each.slot != udp.slot for each in self._udp_sockets):
            self.on_released(udp.slot)
