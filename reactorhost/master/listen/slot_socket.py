"""One listening socket of a slot, and the SO_REUSEPORT group that it is in."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from reactorhost.address import Address
from reactorhost.ipc.status import ListenerStatus
from reactorhost.master.listen import queue_info
from reactorhost.master.listen.bind import SocketAddress


@dataclass(slots=True, eq=False)
class SlotSocket:
    """One socket; `slot` is None for a unix socket, which all slots share.

    `is_open` says whether clients reach it.
    """

    slot: int | None
    group: Group
    socket: socket.socket
    is_open: bool = False

    def open(self, backlog: int) -> None:
        """Let clients reach the socket.

        Raises:
            OSError: the address was removed from this machine.
        """
        if self.group.scheme == "udp":
            self.socket.bind(self.group.sockaddr)
        else:
            self.socket.listen(backlog)
        self.mark_open()

    def mark_open(self) -> None:
        """Record that the kernel counts the socket as the last one of its group."""
        self.is_open = True
        self.group.order.append(self)

    def queued(self) -> int:
        """Return how many connections wait to be accepted; of datagrams 1 if there are any, else 0."""
        if not self.is_open:
            return 0
        if self.group.scheme == "udp":
            return int(queue_info.has_datagrams(self.socket))
        return queue_info.connections(self.socket)[0]

    def status(self) -> ListenerStatus:
        """Return the socket's part of the status document."""
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
    """All sockets of one bound address.

    Attributes:
        scheme: `tcp`, `tls`, `udp` or `unix`; `tls` also where `tcp` is configured and the service has a certificate.
        order: the open sockets, each at the index that the kernel knows it by.
        steered: the group has a BPF program.
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
