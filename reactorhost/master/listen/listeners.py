"""The listening sockets: one for each service address and slot, made before any fork and kept by the master.

What waits belongs to the slot and not to a worker, because the master holds every socket open until the slot is
retired. That is why nothing that happens to a worker loses a connection or a datagram.

Clients come to a TCP socket when it listens, and to a UDP socket as soon as it is bound. So a slot's TCP sockets are
bound with the slot and listen when its first worker is ready, and its UDP sockets are bound only then. Slot 0's are
bound at the start, to have the port; what comes before the first worker waits in its buffer.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reactorhost.address import Address
from reactorhost.config.service import Service
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.status import ListenerStatus
from reactorhost.master.listen import bind, queue_info, reuseport_filter
from reactorhost.master.listen.bind import SocketAddress
from reactorhost.master.listen.unix_socket_files import UnixSocketFiles
from reactorhost.system.fork import ForkRegistry

_PORT_TRIES = 16


@dataclass(slots=True, eq=False)
class SlotSocket:
    """One socket; `slot` is None where all slots share it (unix sockets), `open` says that clients come there."""

    slot: int | None
    group: Group
    socket: socket.socket
    is_open: bool = False

    def open(self, backlog: int) -> None:
        """Let clients come.

        Raises:
            OSError: the address is none of this machine's any more.
        """
        if self.group.scheme == "udp":
            self.socket.bind(self.group.sockaddr)
        else:
            self.socket.listen(backlog)
        self.joined()

    def joined(self) -> None:
        """Note that clients come, and that the kernel counts it in its group."""
        self.is_open = True
        self.group.order.append(self)

    def waiting(self) -> int:
        """Return how many clients wait to be taken; of datagrams only whether there are any."""
        if not self.is_open:
            return 0
        if self.group.scheme == "udp":
            return int(queue_info.has_datagrams(self.socket))
        return queue_info.connections(self.socket)[0]

    def facts(self) -> ListenerStatus:
        """Return what the kernel tells of it."""
        group = self.group
        depth, limit = queue_info.connections(self.socket) if group.scheme in ("tcp", "tls") else (None, None)
        return {
            "service": group.service,
            "address": str(group),
            "slot": self.slot,
            "depth": depth,
            "limit": limit,
            "dropped": None if group.scheme == "unix" else queue_info.dropped(self.socket),
        }


@dataclass(slots=True, eq=False)
class Group:
    """All sockets of one bound address: the kernel spreads clients over those that are open.

    `scheme` is how clients are spoken to: `tls` also where `tcp` is written and the service has a certificate.
    `order` is the kernel's own: sockets join at listen(), those of UDP at bind(), and closing one moves the last into
    its place.
    """

    service: str
    scheme: str
    family: socket.AddressFamily
    sockaddr: SocketAddress | str
    order: list[SlotSocket] = field(default_factory=list)
    steered: bool = False

    def __str__(self) -> str:
        if isinstance(self.sockaddr, str):
            return f"unix://{self.sockaddr}"
        host, port = self.sockaddr[:2]
        return str(Address(self.scheme, host, port))


class Listeners:
    """Every listening socket of a host."""

    def __init__(
        self, services: Sequence[Service], backlog: int, peer_timeout: float | None, registry: ForkRegistry
    ) -> None:
        self._backlog = backlog
        self._peer_timeout = peer_timeout
        self._services = services
        self._registry = registry
        self.groups: list[Group] = []
        self._sockets: list[SlotSocket] = []
        self._unix_files = UnixSocketFiles()
        self._leaving: Sequence[int] = ()
        self._steered = False

    def bind(self) -> None:
        """Find out the address of every service, make sure that it is free, and bind slot 0.

        Raises:
            ReactorhostError: an address is in use, unknown, or not for this user.
        """
        for service in self._services:
            for address in service.listen:
                if address.scheme == "unix":
                    self._bind_unix(service, Path(address.path))
                else:
                    self._bind_internet(service, address)

    def open_slot(self, slot: int) -> None:
        """Make the sockets of a slot; no client comes there yet.

        Raises:
            OSError: the system has no room for them, or an address is none of this machine's any more.
        """
        for group in self.groups:
            if isinstance(group.sockaddr, str) or any(each.group is group for each in self.owned_by(slot)):
                continue
            self._keep(SlotSocket(slot, group, self._made(group.scheme, group.family, group.sockaddr)))

    def of_slot(self, slot: int) -> list[SlotSocket]:
        """Return the sockets that a worker of this slot accepts from, the shared ones too."""
        return [each for each in self._sockets if each.slot in (slot, None)]

    def owned_by(self, slot: int) -> list[SlotSocket]:
        """Return the sockets that only this slot has."""
        return [each for each in self._sockets if each.slot == slot]

    def open(self, slot: int) -> None:
        """Let clients come to a slot; called when a worker of it is ready.

        Raises:
            OSError: an address is none of this machine's any more; the others are open.
        """
        problem: OSError | None = None
        for each in self.of_slot(slot):
            if not each.is_open:
                try:
                    each.open(self._backlog)
                except OSError as error:
                    problem = error
        self._steer_all()
        if problem is not None:
            raise problem

    def steer_away(self, slots: Sequence[int]) -> bool:
        """Keep new connections away from these slots; False where the kernel does not let us."""
        self._leaving = slots
        return self._steer_all()

    @property
    def steered(self) -> bool:
        """Whether the slots that leave get no new connections."""
        return self._steered

    def facts(self) -> list[ListenerStatus]:
        """Return every socket that is open, with its queue as the kernel sees it."""
        return [each.facts() for group in self.groups for each in group.order]

    def queued(self, slot: int) -> int:
        """Return how many clients wait in a slot's own queues."""
        return sum(each.waiting() for each in self.owned_by(slot))

    def close_slot(self, slot: int) -> None:
        """Close a slot's own sockets; whatever still waits there is reset."""
        for each in self.owned_by(slot):
            self._sockets.remove(each)
            order = each.group.order
            if each in order:
                # The kernel will move the last socket into the gap: nobody may count on its old index meanwhile.
                self._steer(each.group, len(order) - 1)
                order[order.index(each)] = order[-1]
                order.pop()
            self._close(each)
            self._steer(each.group)
        # The next slot of this number is to be served like any other.
        self._leaving = [number for number in self._leaving if number != slot]

    def close(self) -> None:
        """Close every socket, and remove the files of unix sockets that are still ours."""
        for each in self._sockets:
            self._close(each)
            each.group.order.clear()
        self._sockets.clear()
        self._unix_files.remove()

    def effective_backlog(self) -> int:
        """Return how long a queue may get: what was asked for, or what the kernel gives."""
        try:
            limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
        except (OSError, ValueError):
            return self._backlog
        return min(self._backlog, limit)

    # Binding.

    def _bind_internet(self, service: Service, address: Address) -> None:
        scheme = "tls" if service.speaks_tls(address) else address.scheme
        port = address.port
        for attempt in range(_PORT_TRIES):
            bound: list[SlotSocket] = []
            try:
                for family, sockaddr in bind.resolved(address):
                    wanted = (sockaddr[0], port, *sockaddr[2:])
                    if port:
                        bind.probe(family, wanted, address)
                    try:
                        sock = self._bound(scheme, family, wanted)
                    except OSError as error:
                        raise bind.refusal(address, error) from None
                    port = sock.getsockname()[1]
                    group = Group(service.name, scheme, family, sock.getsockname())
                    bound.append(SlotSocket(0, group, sock))
            except ReactorhostError:
                for each in bound:
                    each.socket.close()
                # A free port of IPv4 may be taken on IPv6; the kernel is asked for another.
                if address.port == 0 and bound and attempt + 1 < _PORT_TRIES:
                    port = 0
                    continue
                raise
            self.groups += [each.group for each in bound]
            for each in bound:
                self._keep(each)
                if scheme == "udp":
                    each.joined()
            return

    def _bind_unix(self, service: Service, path: Path) -> None:
        sock = self._unix_files.bind(path, service)
        group = Group(service.name, "unix", socket.AF_UNIX, str(path))
        self.groups.append(group)
        self._keep(SlotSocket(None, group, sock))

    def _made(self, scheme: str, family: socket.AddressFamily, sockaddr: SocketAddress) -> socket.socket:
        """Return a socket that no client comes to yet."""
        if scheme == "udp":
            return bind.datagrams(family, sockaddr)
        return bind.stream(family, sockaddr, self._peer_timeout)

    def _bound(self, scheme: str, family: socket.AddressFamily, sockaddr: SocketAddress) -> socket.socket:
        """Return a socket that has its address."""
        sock = self._made(scheme, family, sockaddr)
        if scheme == "udp":
            try:
                sock.bind(sockaddr)
            except OSError:
                sock.close()
                raise
        return sock

    def _keep(self, each: SlotSocket) -> None:
        self._sockets.append(each)
        self._registry.add(each, each.socket.close)

    def _close(self, each: SlotSocket) -> None:
        self._registry.discard(each)
        each.socket.close()

    # Steering.

    def _steer_all(self) -> bool:
        answers = [self._steer(group) for group in self.groups]
        self._steered = all(answers)
        return self._steered

    def _steer(self, group: Group, *besides: int) -> bool:
        """Let the kernel choose among the sockets that stay; indexes in `besides` are left out too."""
        order = group.order
        leaving = {index for index, each in enumerate(order) if each.slot in self._leaving}
        if not leaving:
            if group.steered:
                group.steered = not reuseport_filter.detach(order[0].socket)
            return True
        left_out = sorted(leaving.union(besides))
        if len(left_out) == len(order):
            return False
        group.steered = reuseport_filter.attach(order[0].socket, len(order), left_out)
        return group.steered
