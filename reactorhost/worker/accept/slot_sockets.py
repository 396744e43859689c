"""The sockets that a worker borrows, of its own slot and of adopted slots: listeners and UDP sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reactorhost.ipc.worker_spec import BorrowedListener
from reactorhost.system.fork import ForkRegistry
from reactorhost.worker.accept.acceptor import Acceptor, WatchedListener
from reactorhost.worker.accept.udp_sockets import UdpSockets
from reactorhost.worker.service import RunningService


class SlotSockets:
    """Every borrowed socket; `on_released` is called with a slot when all its sockets are closed in this worker."""

    def __init__(
        self,
        acceptor: Acceptor,
        services: Mapping[str, RunningService],
        fork_registry: ForkRegistry,
        on_released: Callable[[int], object],
    ) -> None:
        self._acceptor = acceptor
        self._udp_sockets = UdpSockets(fork_registry, self._udp_socket_closed)
        self._services = services
        self._on_released = on_released

    @property
    def in_use(self) -> bool:
        """Whether datagrams that were received may still be answered."""
        return bool(self._udp_sockets.slots())

    def add(self, borrowed: BorrowedListener) -> None:
        """Serve the clients of a socket."""
        service = self._services[borrowed.service]
        if borrowed.scheme == "udp":
            assert borrowed.slot is not None, "slots do not share UDP sockets"
            self._udp_sockets.add(borrowed.slot, service, borrowed.socket)
        else:
            self._acceptor.add([WatchedListener(borrowed.slot, borrowed.socket, service.acceptor(borrowed.scheme))])

    def release(self, slot: int) -> None:
        """Leave what is queued at a slot's sockets to another worker."""
        self._acceptor.release(slot)
        if slot in self._udp_sockets.slots():
            self._udp_sockets.release(slot)
        else:
            self._on_released(slot)

    def release_all(self) -> None:
        """Leave what is queued at all sockets to other workers."""
        for slot in self._acceptor.release_all() | self._udp_sockets.slots():
            self.release(slot)

    def empty_queues(self) -> None:
        """Accept and read everything that is queued, then close: no other worker will."""
        self._acceptor.empty_queues()
        self._udp_sockets.empty_queues()

    def abandon(self) -> None:
        """Cancel the hooks and timers of datagrams."""
        self._udp_sockets.abandon()

    def connection_ended(self) -> None:
        """Accept again if the worker was full."""
        self._acceptor.connection_ended()

    def _udp_socket_closed(self, slot: int) -> None:
        if slot not in self._udp_sockets.slots():
            self._on_released(slot)
