"""The listening sockets: one for each service address and slot, bound before any fork and kept by the master.

The accept queue belongs to the slot and not to a worker, because the master holds every socket open until the slot
is retired. That is why nothing that happens to a worker loses a connection.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reactorhost.address import Address
from reactorhost.config.service import Service
from reactorhost.errors import NotPermittedError, ReactorhostError
from reactorhost.master import steering
from reactorhost.status import ListenerStatus

_PORT_TRIES = 16
_TCP_INFO_BYTES = 32
_TCP_INFO_UNACKED = 24
_SO_MEMINFO = 55
_SK_MEMINFO_BYTES = 36


@dataclass(slots=True, eq=False)
class SlotSocket:
    """One listening socket; `slot` is None where all slots share it (unix sockets)."""

    slot: int | None
    group: Group
    socket: socket.socket
    listening: bool = False


@dataclass(slots=True, eq=False)
class Group:
    """All sockets of one bound address: the kernel spreads new connections over those that listen.

    `scheme` is how clients are spoken to: `tls` also where `tcp` is written and the service has a certificate.
    `order` is the kernel's own: sockets join at listen(), and closing one moves the last into its place.
    """

    service: str
    scheme: str
    family: socket.AddressFamily
    sockaddr: tuple[str, int] | tuple[str, int, int, int] | str
    order: list[SlotSocket] = field(default_factory=list)
    steered: bool = False

    def __str__(self) -> str:
        if isinstance(self.sockaddr, str):
            return f"unix://{self.sockaddr}"
        host, port = self.sockaddr[:2]
        return str(Address(self.scheme, host, port))


class Listeners:
    """Every listening socket of a host."""

    def __init__(self, services: Sequence[Service], backlog: int) -> None:
        self._backlog = backlog
        self._services = services
        self.groups: list[Group] = []
        self._sockets: list[SlotSocket] = []
        self._unix_paths: dict[Path, tuple[int, int]] = {}
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
                    self._bind_tcp(service, address)

    def open_slot(self, slot: int) -> None:
        """Bind the sockets of a slot, without listening: no client comes there yet."""
        for group in self.groups:
            if group.family is not socket.AF_UNIX and not any(
                each.group is group and each.slot == slot for each in self._sockets
            ):
                self._sockets.append(SlotSocket(slot, group, _bound(group.family, group.sockaddr, share=True)))

    def of_slot(self, slot: int) -> list[SlotSocket]:
        """Return the sockets that a worker of this slot accepts from, the shared ones too."""
        return [each for each in self._sockets if each.slot in (slot, None)]

    def owned_by(self, slot: int) -> list[SlotSocket]:
        """Return the sockets that only this slot has."""
        return [each for each in self._sockets if each.slot == slot]

    def listen(self, slot: int) -> None:
        """Let clients come to a slot; called when its first worker is ready."""
        for each in self.of_slot(slot):
            if not each.listening:
                each.socket.listen(self._backlog)
                each.listening = True
                each.group.order.append(each)
        self._steer_all()

    def steer_away(self, slots: Sequence[int]) -> bool:
        """Keep new connections away from these slots; False where the kernel does not let us."""
        self._leaving = slots
        return self._steer_all()

    @property
    def steered(self) -> bool:
        """Whether the slots that leave get no new connections."""
        return self._steered

    def facts(self) -> list[ListenerStatus]:
        """Return every socket that listens, with its queue as the kernel sees it."""
        return [_facts(each) for group in self.groups for each in group.order]

    def queued(self, slot: int) -> int:
        """Return how many connections wait to be accepted in a slot's own queues."""
        return sum(_queue(each.socket)[0] for each in self.owned_by(slot) if each.listening)

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
            each.socket.close()
            self._steer(each.group)
        # The next slot of this number is to be served like any other.
        self._leaving = [number for number in self._leaving if number != slot]

    def close(self) -> None:
        """Close every socket, and remove the files of unix sockets that are still ours."""
        for each in self._sockets:
            each.socket.close()
            each.group.order.clear()
        self._sockets.clear()
        for path, mark in self._unix_paths.items():
            with contextlib.suppress(OSError):
                if _mark(path) == mark:
                    path.unlink()
        self._unix_paths.clear()

    def close_inherited(self, keep: Sequence[SlotSocket]) -> None:
        """Close a forked worker's copies of what is not its own."""
        for each in self._sockets:
            if each not in keep:
                each.socket.close()

    def effective_backlog(self) -> int:
        """Return how long a queue may get: what was asked for, or what the kernel gives."""
        try:
            limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
        except (OSError, ValueError):
            return self._backlog
        return min(self._backlog, limit)

    # Binding.

    def _bind_tcp(self, service: Service, address: Address) -> None:
        scheme = "tls" if service.speaks_tls(address) else address.scheme
        port = address.port
        for attempt in range(_PORT_TRIES):
            bound: list[SlotSocket] = []
            try:
                for family, sockaddr in _resolved(address):
                    wanted = (sockaddr[0], port, *sockaddr[2:])
                    if port:
                        _probe(family, wanted, address)
                    sock = _bound_or_told(family, wanted, address)
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
            self._sockets += bound
            return

    def _bind_unix(self, service: Service, path: Path) -> None:
        _remove_stale(path)
        group = Group(service.name, "unix", socket.AF_UNIX, str(path))
        sock = _bound_or_told(socket.AF_UNIX, str(path), Address("unix", path=str(path)))
        self._unix_paths[path] = _mark(path)
        self.groups.append(group)
        self._sockets.append(SlotSocket(None, group, sock))

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
                group.steered = not steering.detach(order[0].socket)
            return True
        left_out = sorted(leaving.union(besides))
        if len(left_out) == len(order):
            return False
        group.steered = steering.attach(order[0].socket, len(order), left_out)
        return group.steered


def _resolved(address: Address) -> Iterator[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """Yield every family and socket address that an address stands for, IPv4 first."""
    if not address.host:
        yield socket.AF_INET, ("0.0.0.0", address.port)
        if _has_ipv6():
            yield socket.AF_INET6, ("::", address.port, 0, 0)
        return
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        # UnicodeError: a label that is empty or too long never gets as far as the resolver.
        reason = error.strerror if isinstance(error, OSError) else "no host can have that name"
        raise ReactorhostError(
            f"{address} cannot be resolved: {reason}", hint="give an address of this machine"
        ) from None
    families = {family: sockaddr for family, _, _, _, sockaddr in reversed(found)}
    for family in sorted(families):
        if family == socket.AF_INET or _has_ipv6() or len(families) == 1:
            yield family, families[family]


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def _bound(family: socket.AddressFamily, sockaddr: object, *, share: bool) -> socket.socket:
    """Return a socket that is bound, with every option that accepted sockets inherit."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Once, here: the flag belongs to the description that all workers share.
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if share:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(sockaddr)  # type: ignore[arg-type]  # one of three shapes, each from the kernel or a path
    except OSError:
        sock.close()
        raise
    return sock


def _bound_or_told(family: socket.AddressFamily, sockaddr: object, address: Address) -> socket.socket:
    try:
        return _bound(family, sockaddr, share=True)
    except OSError as error:
        raise _refusal(address, error) from None


def _probe(family: socket.AddressFamily, sockaddr: object, address: Address) -> None:
    """Make sure that nobody listens there: with SO_REUSEPORT a second host would bind without an error."""
    try:
        _bound(family, sockaddr, share=False).close()
    except OSError as error:
        raise _refusal(address, error) from None


def _refusal(address: Address, error: OSError) -> ReactorhostError:
    if error.errno == errno.EADDRINUSE:
        return AddressInUseError(f"{address} is in use by another process", hint="see which with: ss -ltnp")
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotPermittedError(f"may not listen on {address}", hint="ports below 1024 and foreign folders need root")
    if error.errno == errno.EADDRNOTAVAIL:
        return ReactorhostError(f"{address} is not an address of this machine", hint="see yours with: ip address")
    return ReactorhostError(f"cannot listen on {address}: {error.strerror}")


class AddressInUseError(ReactorhostError):
    """Somebody listens there."""


def _remove_stale(path: Path) -> None:
    """Remove a unix socket's file that nobody listens on any more.

    Raises:
        AddressInUseError: somebody does, or it is no socket.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(1)
            sock.connect(str(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        if path.is_socket():
            path.unlink()
            return
        raise AddressInUseError(
            f"{path} exists and is not a socket", hint="remove it, or choose another path"
        ) from None
    except OSError as error:
        raise _refusal(Address("unix", path=str(path)), error) from None
    raise AddressInUseError(f"unix://{path} is in use by another process", hint=f"see which with: ss -lxp src {path}")


def _mark(path: Path) -> tuple[int, int]:
    """Return what tells a file from another that took its path later."""
    facts = path.stat()
    return facts.st_ino, facts.st_ctime_ns


def _facts(each: SlotSocket) -> ListenerStatus:
    group = each.group
    facts: ListenerStatus = {
        "service": group.service,
        "address": str(group),
        "slot": each.slot,
        "depth": None,
        "limit": None,
        "dropped": None,
    }
    if group.family != socket.AF_UNIX:
        facts["depth"], facts["limit"] = _queue(each.socket)
        facts["dropped"] = _dropped(each.socket)
    return facts


def _queue(sock: socket.socket) -> tuple[int, int]:
    """Return length and limit of an accept queue: of a listener, tcpi_unacked and tcpi_sacked."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    depth, limit = struct.unpack_from("II", info, _TCP_INFO_UNACKED)
    return depth, limit


def _dropped(sock: socket.socket) -> int | None:
    """Return how many connections the kernel turned away; it says so since 4.11."""
    try:
        info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _SK_MEMINFO_BYTES)
    except OSError:
        return None
    return int.from_bytes(info[-4:], sys.byteorder) if len(info) == _SK_MEMINFO_BYTES else None
