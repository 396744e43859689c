"""One listening socket of a slot, what the kernel reports of its queue, and the SO_REUSEPORT group that it is in."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from reactorhost.address import Address
from reactorhost.master.listen import reuseport_filter
from reactorhost.master.listen.bind import SocketAddress
from reactorhost.system.scope import host_of

_TCP_INFO_BYTES = 32
_TCP_INFO_UNACKED = 24
# Not in the socket module. The last field of nine, SK_MEMINFO_DROPS, came with Linux 4.12.
_SO_MEMINFO = 55
_MEMINFO_BYTES = 36


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits at one socket; None where the kernel reports nothing.

    Attributes:
        slot: its slot, or None if all slots share it.
        depth: connections that wait to be accepted.
        limit: the most that can wait.
        dropped: connections or datagrams that the kernel dropped.
    """

    slot: int | None
    depth: int | None
    limit: int | None
    dropped: int | None

    @property
    def fill(self) -> float:
        """How full it is, 0 to 1."""
        return (self.depth or 0) / (self.limit or 1)


@dataclass(slots=True, eq=False)
class SlotSocket:
    """One socket; `slot` is None for one that all slots share: a unix socket, or one that was passed to the host.

    `is_open` says whether clients reach it.
    """

    slot: int | None
    group: Group
    socket: socket.socket
    is_open: bool = False

    def open(self, backlog: int) -> None:
        """Let clients reach the socket.

        Raises:
            OSError: the address was removed from this machine, or another process listens on it.
        """
        if self.group.scheme == "udp":
            self.socket.bind(self.group.sockaddr)
        else:
            # Before listen(), so that every accepted socket inherits it (bind.py). A unix socket has no use for it.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.listen(backlog)
        self.is_open = True
        # The kernel counts it as the last one of its group from now on.
        self.group.order.append(self)

    def queued(self) -> int:
        """Return how many connections wait to be accepted; of datagrams 1 if there are any, else 0."""
        if not self.is_open:
            return 0
        if self.group.scheme != "udp":
            return self._accept_queue()[0]
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return 0
        return 1

    def queue(self) -> Queue:
        """Return the state of the socket's queue."""
        scheme = self.group.scheme
        depth, limit = self._accept_queue() if scheme in ("tcp", "tls") else (None, None)
        return Queue(self.slot, depth, limit, None if scheme == "unix" else self._dropped())

    def _accept_queue(self) -> tuple[int, int]:
        """Return length and limit of the queue of a TCP listener."""
        # Of a listener, the kernel reports them in tcpi_unacked and tcpi_sacked, which mean something else otherwise.
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        depth, limit = struct.unpack_from("II", info, _TCP_INFO_UNACKED)
        return depth, limit

    def _dropped(self) -> int | None:
        """Return how many connections or datagrams the kernel dropped, or None before Linux 4.12."""
        try:
            info = self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO_BYTES)
        except OSError:
            return None
        return int.from_bytes(info[-4:], sys.byteorder) if len(info) == _MEMINFO_BYTES else None


@dataclass(slots=True, eq=False)
class Group:
    """All sockets of one bound address.

    Attributes:
        sockaddr: of a unix socket the path, or `@` and an abstract name.
        scheme: `tcp`, `tls`, `udp` or `unix`; `tls` also where `tcp` is configured and the service has a certificate.
        order: the open sockets, each at the index that the kernel knows it by.
        steered: the group has a BPF program.
        is_passed: its only socket is one that a service manager made and keeps.
    """

    service: str
    scheme: str
    family: socket.AddressFamily
    sockaddr: SocketAddress | str
    order: list[SlotSocket] = field(default_factory=list)
    steered: bool = False
    is_passed: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether all slots share one socket."""
        return self.is_passed or self.scheme == "unix"

    @property
    def has_file(self) -> bool:
        """Whether it is a unix socket with a path, which this host made, and not an abstract name."""
        return self.scheme == "unix" and not self.is_passed and not str(self.sockaddr).startswith("@")

    def steer(self, leaving_slots: Sequence[int], full_slots: Sequence[int], excluded: Collection[int]) -> bool:
        """Let the kernel choose among the sockets of slots that stay, and have room if any has.

        The numbers in `excluded` are left out too. Returns False where the kernel may choose a slot that leaves.
        """
        order = self.order
        leaving = {index for index, each in enumerate(order) if each.slot in leaving_slots}
        # Datagrams need no room, and the program would spread those of one client over all slots.
        slots = () if self.scheme == "udp" else full_slots
        full = {index for index, each in enumerate(order) if each.slot in slots}
        if len(leaving.union(full, excluded)) == len(order):
            full = set()
        if not leaving and not full:
            if self.steered:
                self.steered = not reuseport_filter.detach(order[0].socket)
            return True
        left_out = sorted(leaving.union(full, excluded))
        if len(left_out) == len(order):
            # No socket would be left for the program to return.
            return False
        # Any socket will do: the kernel keeps the program with the group.
        self.steered = reuseport_filter.attach(order[0].socket, len(order), left_out)
        return self.steered or not leaving

    def __str__(self) -> str:
        if isinstance(self.sockaddr, str):
            return f"unix://{self.sockaddr}"
        return str(Address(self.scheme, host_of(self.sockaddr), self.sockaddr[1]))
